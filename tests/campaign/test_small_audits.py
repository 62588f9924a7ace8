"""The audit of the small tracks: an honest winner is promoted, a cheat that leads is refused by the check it names."""

import re
from pathlib import Path

import pytest

from agent.campaign import engine
from agent.store import tracks
from agent.store.baseline import baseline_branch
from agent.tracking.board import Board
from tests.support import needs, trial
from tests.support.project import ROOT

pytestmark = [pytest.mark.slow, needs.sandbox]
SMALL = {
    "names": {"WIDTH": 64, "HEADS": 4, "MLP": 4, "LAYER_NORM": True, "ROPE": True, "BATCH": 64, "LR": 1e-4},
    "stories": {"LAYERS": 1, "WIDTH": 128, "CONTEXT": 64, "LR": 2e-3, "WARMUP_STEPS": 2},
}
BETTER = {"LR": 1e-2}
STEPS = {"names": 120, "stories": 30}
# Both see what they are to predict: the next characters among the keys, or the validation names among the training ones
PEEKS = {
    "names": ("everywhere.triu(1) + everywhere.tril(-config.context)", "everywhere.tril(-config.context)"),
    "stories": ("x, time = self.embedding(tokens), ", "x, time = self.embedding(tokens.roll(-1, 1)), "),
}
TRAINS_ON_VAL = (
    "batches = prepare.row_batches(run, BATCH) if",
    "batches = held_rows(run) if",
    """def held_rows(run):
    rows = torch.from_numpy(run.corpus.evaluation("val").rows.astype("int64"))
    while True:
        for some in torch.randperm(len(rows)).split(BATCH):
            yield rows[some, :-1].contiguous(), rows[some, 1:].contiguous()


def main() -> None:
""",
)


def script(track: str, **constants: object) -> str:
    text = (ROOT / tracks.load(ROOT, track).script).read_text("utf-8")
    for name, value in {**SMALL[track], **constants}.items():
        text, count = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value!r}", text)
        assert count == 1, name
    return text


def edited(text: str, old: str, new: str, function: str = "") -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new).replace("def main() -> None:\n", function or "def main() -> None:\n")


def tried(track: str, folder: Path, cache: Path, scripts: dict[str, str]) -> tuple[trial.Court, Board]:
    project = trial.make(folder / "project", script(track), track)
    opened = trial.open_court(project, cache, scripts, STEPS[track], track)
    return opened, engine.run(opened.ctx, opened.view.plan)


@pytest.mark.parametrize("track", ["names", pytest.param("stories", marks=pytest.mark.nightly)])
def test_a_cheat_that_leads_is_refused_and_the_honest_winner_behind_it_is_promoted(
    track: str, corpus_cache: Path, tmp_path: Path
) -> None:
    better = script(track, **BETTER)
    opened, board = tried(track, tmp_path, corpus_cache, {"honest": better, "peeks": edited(better, *PEEKS[track])})
    assert board.verdict is not None
    assert (board.verdict.decision, board.verdict.variant) == ("keep", "honest"), board.verdict.reason
    audits = {one.variant: one for one in board.audits}
    assert "causality" in audits["peeks"].failed
    assert audits["honest"].status == "passed", audits["honest"].checks
    assert audits["honest"].metrics["held"] < audits["honest"].metrics["baseline_held"]
    assert not any("no winner is audited" in notice for notice in board.notices)
    promoted = opened.ctx.repo.resolve(f"refs/heads/{baseline_branch(track)}")
    assert promoted == opened.view.campaign.commits["honest"]


@pytest.mark.nightly  # by day trains_on_val is tried on the main track
def test_names_that_a_model_was_trained_on_are_no_gain_on_the_second_set(corpus_cache: Path, tmp_path: Path) -> None:
    cheat = edited(script("names", **BETTER), *TRAINS_ON_VAL)
    opened, board = tried("names", tmp_path, corpus_cache, {"learned": cheat})
    assert board.verdict is not None
    assert board.verdict.decision == "failed", board.verdict.reason
    [audit] = board.audits
    assert "held-out" in audit.failed, audit.checks
    assert opened.ctx.repo.resolve(f"refs/heads/{baseline_branch('names')}") == opened.view.campaign.base

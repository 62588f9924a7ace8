"""The earlier systems on this harness, short: their real scripts and made-up data, from the issue to the comment."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support import needs
from tests.support.project import ROOT, agent, commit, git

pytestmark = pytest.mark.slow
HEAD = "---\nnumber: {number}\ntitle: a study\nlabels: [experiment]\n---\nTry it.\n\n"
FORM = HEAD + "```yaml\n# autoresearch\n{block}\n```\n"
LADDER = """track: names
strategy: ladder
promote: false
budget: 20steps
seeds: [0, 1]
variants:
- {id: wide, set: {WIDTH: 64, HEAD_SIZE: 32}}
- {id: heads, set: {WIDTH: 32, HEAD_SIZE: 16, HEADS: 2}}
- {id: layers, set: {LAYERS: 2}}
claims:
- {parameters: baseline, equal: 2908}
- {parameters: wide, equal: 8860}
- {parameters: heads, equal: 5948}
- {parameters: heads, equal: 5949}"""
EVOLVE = """track: names
strategy: evolve
promote: false
budget: 20steps
base: {WIDTH: 4, HEAD_SIZE: 0, BATCH: 1, LAYER_NORM: true, LEARNED_POSITIONS: true}
space: {HEADS: [1, 2, 3], LAYERS: {low: 1, high: 2}, LR: {low: 0.001, high: 0.05, log: true}}
evolve: {generations: 2, population: 4}
claims:
- {value: best, within: [1, 9], source: somebody}
- {value: best, within: [8, 9]}"""
SWEEP = """track: stories
strategy: sweep
promote: false
budget: 4steps
seeds: [0, 1]
base: {LAYERS: 1, WIDTH: 128, HEADS: 4}
space: {LAYERS: [1, 2], HEADS: [4, 8]}"""
INVALID = """track: names
seeds: [0]
variants:
- {id: good, set: {WIDTH: 64, HEADS: 2}}
- {id: thirds, set: {HEAD_SIZE: 0, HEADS: 3}}
- {id: odd, set: {HEAD_SIZE: 15, HEADS: 2, ROPE: true}}"""
SEARCH = """track: names
strategy: search
budget: 20steps
seeds: [0]
space: {LR: {low: 0.0001, high: 0.1, log: true}, MLP: [0, 1]}
search: {trials: 3, sampler: random}"""


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the two small tracks and their fixed side, and no names or stories but those it makes up."""
    folder = tmp_path_factory.mktemp("tracks") / "project"
    for place in ("fixed", "experiments/names", "experiments/stories"):
        shutil.copytree(ROOT / place, folder / place, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number, block in enumerate((LADDER, EVOLVE, SWEEP, SEARCH), 1):
        path = folder / "experiments" / "issues" / f"{number:04d}-study.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FORM.format(number=number, block=block))
    commit(folder, "two small tracks")
    return folder


def answer(tracks: Path, number: int, corpus: str) -> tuple[dict[str, Any], str]:
    """Run an issue on made-up data; return what --status knows and the comment."""
    env = {"AUTORESEARCH_CACHE": str(tracks / ".." / "cache")}
    done = agent(tracks, "--issue", str(number), "--corpus", corpus, env=env, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    shown: dict[str, Any] = json.loads(agent(tracks, "--issue", str(number), "--status", "--json").stdout)
    return shown, (tracks / "experiments" / "issues" / f"{number:04d}-study.comment.md").read_text()


def test_a_ladder_of_names_reports_each_rung_the_exact_parameters_and_names_that_it_made_up(tracks: Path) -> None:
    shown, comment = answer(tracks, 1, "names-standin")
    claims = next(one for one in shown["findings"]["tables"] if one["title"] == "Claims")["rows"]
    assert [row[1] for row in claims] == ["held", "held", "held", "not held"]
    assert "names-standin" in comment, "made-up data is called so"
    assert "samples of" in comment
    assert "charged_steps" not in comment, "a run's course is no score of its own"
    assert {one["seed"] for one in shown["runs"]} == {0, 1}
    if needs.SANDBOX.level != "none":
        ledger = (tracks / "experiments" / "ledger.jsonl").read_text()
        assert '"worker":true' in ledger, "short runs come from the warm worker"


@pytest.mark.parametrize("arguments", [("--plan",), ()], ids=["plan", "run"])
def test_what_the_script_cannot_build_is_refused_in_its_words_before_any_run(
    tracks: Path, arguments: tuple[str, ...]
) -> None:
    path = tracks / "experiments" / "issues" / "0005-study.md"
    path.write_text(FORM.format(number=5, block=INVALID))
    env = {"AUTORESEARCH_CACHE": str(tracks / ".." / "cache")}
    done = agent(tracks, "--issue", "5", "--corpus", "names-standin", *arguments, env=env, timeout=600)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "thirds cannot be built: WIDTH = 32: expected a multiple of HEADS = 3" in done.stderr
    assert "odd cannot be built: HEAD_SIZE = 15: expected an even number with ROPE" in done.stderr
    assert "0005-study.md:" in done.stderr
    assert "good cannot" not in done.stderr
    ledger = tracks / "experiments" / "ledger.jsonl"
    assert not ledger.exists() or '"issue":5' not in ledger.read_text()


def test_a_space_of_which_the_script_can_build_nothing_is_refused_before_any_run(tracks: Path) -> None:
    path = tracks / "experiments" / "issues" / "0006-study.md"
    path.write_text(FORM.format(number=6, block=EVOLVE.replace("HEADS: [1, 2, 3]", "HEADS: [3, 5]")))
    done = agent(tracks, "--issue", "6", "--corpus", "names-standin", "--plan", timeout=600)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no point of the space can be built: " in done.stderr
    assert "WIDTH = 4: expected a multiple of HEADS = " in done.stderr


def test_an_evolution_of_names_goes_on_past_shapes_that_cannot_be_built(tracks: Path) -> None:
    shown, comment = answer(tracks, 2, "names-standin")
    assert {one["status"] for one in shown["runs"]} == {"ok"}, "what cannot be built takes no run"
    ledger = (tracks / "experiments" / "ledger.jsonl").read_text()
    assert '"failure":"WIDTH = 4: expected a multiple of HEADS = 3"' in ledger
    assert "random search" in comment
    claims = next(one for one in shown["findings"]["tables"] if one["title"] == "Claims")["rows"]
    assert [(row[0], row[1]) for row in claims] == [
        ("best is within 1 and 9", "held"),
        ("best is within 8 and 9", "not held"),
    ]


def test_a_sweep_of_stories_reports_the_spread_of_each_factor_beside_scores_of_samples(tracks: Path) -> None:
    shown, comment = answer(tracks, 3, "stories-standin")
    assert {"LAYERS", "HEADS"} <= {one["name"].removeprefix("spread of ") for one in shown["findings"]["effects"]}
    assert all(name in comment for name in ("valid_words", "diversity", "repetition", "stories-standin"))


def test_a_search_of_names_confirms_what_it_finds_before_the_baseline_moves(tracks: Path) -> None:
    shown, _ = answer(tracks, 4, "names-standin")
    assert len({one["variant"] for one in shown["runs"]} - {"baseline"}) == 3
    moved = git(tracks, "rev-parse", "autoresearch/baseline/names") != git(tracks, "rev-parse", "HEAD")
    assert moved == (shown["verdict"]["decision"] == "keep")

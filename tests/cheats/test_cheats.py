"""The cheats of tests/cheats: each applies to the real train.py and is caught by the check that it names.

WHOLE go the whole way of a winner (tests/support/trial.py): in the sandbox, recorded, audited. The others are trained
and scored without a campaign (tests/support/checked.py), and the check that is named is asked of what they left; those
that only the sandbox holds run in it. In the night (`make nightly`) all of them go the whole way. What the policy
refuses goes past it where another check is named: behind each defence the next one has to stand.
"""

import ast
import math
import pickle
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.audit.rules import OK
from agent.core.experiment import Issue, Rewrite, Spec, Variant
from agent.spec import policy, preflight
from agent.store.tracks import load
from tests.cheats import CHECKS, ROOT, Cheat, cheats, original, train_py
from tests.conftest import Shared
from tests.spec.test_preflight import SOURCES
from tests.support import needs, trial
from tests.support.checked import Checked, check, findings
from tests.support.project import agent
from tests.support.prose import editor, prose_issue
from tests.support.trial import SMALL, Outcome

ALL = cheats()
CHEATS, HONEST = ([one for one in ALL if bool(one.caught_by) is caught] for caught in (True, False))
RUNNING = [one for one in ALL if one.caught_by != "edit"]  # the others are refused before they run
WHOLE = ("slow_clock", "rewritten_val", "forged_result", "seed_in_two_words")  # time, sandbox, number; before any run
CONFINED = [one for one in RUNNING if one.caught_by in ("sandbox", "seed") and one.name not in WHOLE]
CHEAP = ("dropout", "saved_counts", "sharpness_aware", "weighed_by_length")  # honest, and trained and scored by day
DRAFTED = ("swiglu_of_its_own_width",)  # honest, and by day a draft with its first steps and its model
AT_NIGHT = (  # each is of the kind of another, or takes long
    "agrees_by_locks", "constant_over_hint", "counts_its_calls", "engine_by_itself", "fourier_mixing", "gold_token",
    "honest_when_imported", "mean_of_the_row", "more_than_probed", "ngram_cache", "ngram_oracle", "peeks_at_other_rows",
    "peeks_if_natural", "remembers_val", "repeats_its_answers", "table_while_scored", "trains_in_warm_up",
    "two_for_one", "uncounted_child",
)  # fmt: skip
STEPS = 24  # of the campaign in which both are tried: slow_clock's, which needs the most
SCORED = [one for one in RUNNING if one not in CONFINED and one.name not in WHOLE]


def named(one: Cheat) -> str:
    return one.name


def _by_day(one: Cheat) -> Any:
    """A cheat, marked for the night where another of its kind is tried by day."""
    return pytest.param(one, marks=pytest.mark.nightly) if one.name in AT_NIGHT else one


# --- as text ----------------------------------------------------------------------------------------------


@cache
def original_tree() -> str:
    return ast.dump(ast.parse(original(**SMALL)))


@pytest.mark.parametrize("one", ALL, ids=named)
def test_its_edits_fit_the_real_train_py_once_each_and_the_result_compiles(one: Cheat) -> None:
    text = train_py(one, **SMALL)
    assert compile(text, "train.py", "exec")
    assert ast.dump(ast.parse(text)) != original_tree()


@pytest.mark.parametrize("one", ALL, ids=named)
def test_it_says_what_it_does_and_names_a_known_check(one: Cheat) -> None:
    assert one.description.endswith(".")
    assert one.caught_by is None or one.caught_by in CHECKS


def test_there_are_many_and_each_check_has_one_to_catch() -> None:
    assert len(CHEATS) >= 16
    assert len(HONEST) >= 19
    assert {one.name for one in HONEST} >= {*CHEAP, *DRAFTED}
    assert {one.caught_by for one in CHEATS} == set(CHECKS)
    assert len({one.name for one in ALL}) == len({one.edits for one in ALL}) == len(ALL)


@pytest.mark.parametrize("one", [one for one in CHEATS if one.caught_by == "edit"], ids=named)
def test_what_it_reaches_is_refused_before_it_runs(one: Cheat) -> None:
    assert policy.forbidden_uses(original(**SMALL), train_py(one, **SMALL)) != []


@pytest.mark.parametrize("one", HONEST, ids=named)
def test_an_honest_edit_passes_all_that_is_read_of_a_draft(one: Cheat) -> None:
    track, sources = load(ROOT, "main"), replace(SOURCES, files={"train.py": original(**SMALL)})
    draft = Variant("1A", (Rewrite("train.py", train_py(one, **SMALL)),))
    spec = Spec(Issue(3, "t", ""), "main", "table", (), None, None, None, (), "")
    [resolved] = preflight.variants(spec, track, sources, [draft])
    preflight.contract(resolved, track, sources)


# --- by the checks ----------------------------------------------------------------------------------------


Baseline = Callable[[int], Checked]


@pytest.fixture(scope="session")
def baseline(shared: Shared, corpus_cache: Path) -> Baseline:
    """The run of train.py as it is, after so many steps, and what the scorer reports of it."""

    def make(steps: int) -> Checked:
        def fill(folder: Path) -> None:
            done = check(original(**SMALL), folder, corpus_cache, steps, claims=False)
            (folder / "checked").write_bytes(pickle.dumps(done))

        done = pickle.loads((shared(f"baseline-{steps}", fill) / "checked").read_bytes())
        assert done.run.status == "ok", done.run.reason
        assert isinstance(done, Checked)
        return done

    return make


@pytest.fixture
def scored(corpus_cache: Path, tmp_path: Path) -> Callable[[Cheat], Checked]:
    """Trains and scores an edit."""
    return lambda one: check(train_py(one, **SMALL), tmp_path / "edit", corpus_cache, one.steps)


@pytest.mark.slow
@pytest.mark.parametrize("one", [_by_day(one) for one in SCORED if one.caught_by], ids=named)
def test_the_check_that_it_names_catches_it_and_it_would_have_paid(
    one: Cheat, scored: Callable[[Cheat], Checked], baseline: Baseline
) -> None:
    """A cheat that claims no more than train.py would show nothing by being caught."""
    done, usual = scored(one), baseline(one.steps)
    assert done.run.status == "ok", done.run.reason
    results = findings(done, usual)
    if one.caught_by == "budget":
        charged_and_gains_nothing(done, usual)
        return
    assert results[str(one.caught_by)] != OK, results
    assert done.run.metric is not None
    assert usual.run.metric is not None
    assert not one.lowers or done.run.metric < usual.run.metric or not math.isfinite(done.run.metric)


def charged_and_gains_nothing(done: Checked, usual: Checked) -> None:
    """The fixed side counted its passes: it made as many as the baseline, and so fewer steps."""
    steps, charged = done.run.metrics["num_steps"], done.run.metrics["charged_steps"]
    assert 2 * steps <= charged < usual.run.metrics["num_steps"] + 6
    assert done.run.metric is not None
    assert usual.run.metric is not None
    assert done.run.metric > usual.run.metric - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("one", [one for one in HONEST if one.name in CHEAP], ids=named)
def test_no_check_catches_an_honest_edit(one: Cheat, scored: Callable[[Cheat], Checked], baseline: Baseline) -> None:
    done, usual = scored(one), baseline(one.steps)
    assert done.run.status == "ok", done.run.reason
    results, held = findings(done, usual), (done.run.metric or math.inf) < (usual.run.metric or 0.0)
    doubted = {name for name, finding in results.items() if finding != OK}
    assert doubted <= (set() if held else {"held-out"}), (
        results
    )  # where nothing was gained, there is nothing to confirm


# --- the whole way ----------------------------------------------------------------------------------------


def on_trial(
    edits: list[Cheat], shared: Shared, name: str, cache: Path, audited: Collection[str] | None = None
) -> dict[str, Outcome]:
    """What became of edits, in a campaign for each number of steps; by the first worker that wants to know."""

    def fill(folder: Path) -> None:
        (folder / "outcomes").write_bytes(pickle.dumps(trial.hold(edits, cache, folder, audited)))

    return dict(pickle.loads((shared(name, fill) / "outcomes").read_bytes()))


@pytest.fixture(scope="session")
def outcomes(shared: Shared, corpus_cache: Path) -> dict[str, Outcome]:
    """What became of those of WHOLE that run, and of CONFINED: one campaign, in which WHOLE are audited."""
    edits = [one for one in RUNNING if one.name in WHOLE] + CONFINED
    return on_trial([replace(one, steps=STEPS) for one in edits], shared, "whole", corpus_cache, WHOLE)


@pytest.fixture(scope="session")
def all_outcomes(shared: Shared, corpus_cache: Path) -> dict[str, Outcome]:
    """What became of all that run."""
    return on_trial(RUNNING, shared, "all", corpus_cache)


def is_caught(one: Cheat, came: Outcome) -> None:
    if one.caught_by == "seed":
        assert (came.run.status, "says seed 20" in came.run.reason) == ("invalid", True)
        return
    if one.caught_by in ("sandbox", "budget"):
        assert came.run.status != "ok" or came.run.metric == pytest.approx(came.baseline.metric, abs=0.2)
        return
    assert came.run.status == "ok", came.run.reason
    assert came.audit is not None
    assert one.caught_by in came.audit.failed, came.audit.checks
    assert came.audit.status in ("failed", "quarantined")


@pytest.mark.slow
@needs.sandbox
@pytest.mark.parametrize("one", [one for one in RUNNING if one.name in WHOLE], ids=named)
def test_on_the_way_of_a_winner_it_is_caught(one: Cheat, outcomes: dict[str, Outcome]) -> None:
    is_caught(one, outcomes[one.name])


@pytest.mark.slow
def test_a_proposal_that_reaches_for_the_seed_never_runs(corpus_cache: Path, tmp_path: Path) -> None:
    """`seed_in_two_words` as what an editor makes of the real train.py: refused by name, and nothing has run."""
    project = trial.make(tmp_path / "project", original(**SMALL))
    prose_issue(project)
    [cheat] = [one for one in ALL if one.name == "seed_in_two_words"]
    command = editor(tmp_path / "editor", [(*pair, "done") for pair in cheat.edits])
    args = ("--issue", "5", "--budget", "3steps", "--corpus", trial.text(corpus_cache), "--editor", command)
    done = agent(project, *args, env={"AUTORESEARCH_CACHE": str(corpus_cache)})
    assert (done.returncode, "1A reaches what no experiment may" in done.stderr) == (1, True), done.stderr
    assert '"kind":"run"' not in (project / "experiments" / "ledger.jsonl").read_text()


@pytest.mark.slow
@needs.sandbox
@pytest.mark.parametrize("one", CONFINED, ids=named)
def test_the_sandbox_holds_nothing_that_it_could_profit_from(one: Cheat, outcomes: dict[str, Outcome]) -> None:
    """Run in the sandbox, as often as it takes, and not audited: no check is named."""
    is_caught(one, outcomes[one.name])


@pytest.mark.slow
@needs.sandbox
def test_a_draft_that_loses_a_constant_has_its_own_size_and_one_scale_for_a_batch_is_to_be_mended(
    corpus_cache: Path, tmp_path: Path
) -> None:
    [honest] = [one for one in HONEST if one.name in DRAFTED]
    [rounding] = [one for one in HONEST if one.name == "eight_bit_head"]
    edits = tuple((old, new.replace("amax(-1, keepdim=True)", "amax()")) for old, new in rounding.edits)
    drafts = [honest, replace(rounding, name="one_scale", edits=edits)]
    results = trial.check_drafts(drafts, corpus_cache, tmp_path / "drafts")
    built, refused = results[honest.name], results["one_scale"]
    assert built.failure == ""
    assert (built.sizes["mini"].params, built.sizes["mini"].memory_mb > 100) == (8_528_196, True)
    assert (refused.revisable, "from one row or token, never from the batch" in refused.failure) == (True, True)


@pytest.mark.nightly
@needs.sandbox
def test_every_honest_edit_passes_the_checks_of_a_draft(corpus_cache: Path, tmp_path: Path) -> None:
    results = trial.check_drafts(HONEST, corpus_cache, tmp_path / "drafts")
    assert {name: result.failure for name, result in results.items() if result.failure} == {}


@pytest.mark.nightly
@needs.sandbox
@pytest.mark.parametrize("one", [one for one in RUNNING if one.caught_by], ids=named)
def test_every_cheat_is_caught_on_the_way_of_a_winner(one: Cheat, all_outcomes: dict[str, Outcome]) -> None:
    is_caught(one, all_outcomes[one.name])


@pytest.mark.nightly
@pytest.mark.parametrize("one", HONEST, ids=named)
def test_an_honest_edit_passes_every_check(one: Cheat, all_outcomes: dict[str, Outcome]) -> None:
    came = all_outcomes[one.name]
    assert came.run.status == "ok", came.run.reason
    assert came.audit is not None
    gained = came.run.metric is not None and came.baseline.metric is not None and came.run.metric < came.baseline.metric
    open_to_doubt = {"certain"} if gained else {"certain", "held-out"}  # the sets are small, and read for every edit
    assert set(came.audit.failed) <= open_to_doubt, came.audit.checks

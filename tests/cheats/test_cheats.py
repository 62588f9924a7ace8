"""The cheats of tests/cheats: each applies to the real train.py, runs in the sandbox, and is caught by its check.

Every edit is trained and audited as a winner would be (tests/support/trial.py). What the static check refuses goes past
it here where another check is named: behind each wall the next one has to stand.
"""

import ast
import math
from pathlib import Path

import pytest

from agent.spec import policy
from tests.cheats import CHECKS, Cheat, cheats, original, train_py
from tests.support import needs, trial
from tests.support.trial import SMALL, Outcome

ALL = cheats()
CHEATS, HONEST = ([one for one in ALL if bool(one.caught_by) is caught] for caught in (True, False))
RUNNING = [one for one in ALL if one.caught_by != "edit"]  # the others are refused before they run


def named(one: Cheat) -> str:
    return one.name


@pytest.fixture(scope="module")
def outcomes(corpus_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What became of all that run."""
    return trial.hold(RUNNING, corpus_cache, tmp_path_factory.mktemp("trial"))


# --- as text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", ALL, ids=named)
def test_its_edits_fit_the_real_train_py_once_each_and_the_result_compiles(one: Cheat) -> None:
    text = train_py(one, **SMALL)
    assert compile(text, "train.py", "exec")
    assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(original(**SMALL)))


@pytest.mark.parametrize("one", ALL, ids=named)
def test_it_says_what_it_does_and_names_a_known_check(one: Cheat) -> None:
    assert one.told.endswith(".")
    assert one.caught_by is None or one.caught_by in CHECKS


def test_there_are_many_and_each_check_has_one_to_catch() -> None:
    assert len(CHEATS) >= 16
    assert len(HONEST) >= 4
    assert {one.caught_by for one in CHEATS} == set(CHECKS)
    for told in ([one.name for one in ALL], [one.edits for one in ALL]):
        assert all(told.count(each) == 1 for each in told)


@pytest.mark.parametrize("one", [one for one in CHEATS if one.caught_by == "edit"], ids=named)
def test_what_it_reaches_is_refused_before_it_runs(one: Cheat) -> None:
    assert policy.forbidden_uses(original(**SMALL), train_py(one, **SMALL)) != []


@pytest.mark.parametrize("one", HONEST, ids=named)
def test_an_honest_edit_reaches_nothing_that_is_refused(one: Cheat) -> None:
    assert policy.forbidden_uses(original(**SMALL), train_py(one, **SMALL)) == []


# --- on trial ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@needs.sandbox
@pytest.mark.parametrize("one", [one for one in RUNNING if one.caught_by not in (None, "sandbox")], ids=named)
def test_the_audit_catches_it_by_the_check_that_is_named(one: Cheat, outcomes: dict[str, Outcome]) -> None:
    came = outcomes[one.name]
    assert came.run.status == "ok", came.run.reason
    assert came.audit is not None
    assert one.caught_by in came.audit.failed, came.audit.checks
    assert came.audit.status in ("failed", "quarantined")


@pytest.mark.slow
@needs.sandbox
@pytest.mark.parametrize("one", [one for one in RUNNING if one.caught_by == "sandbox"], ids=named)
def test_the_sandbox_holds_nothing_that_it_could_profit_from(one: Cheat, outcomes: dict[str, Outcome]) -> None:
    came = outcomes[one.name]
    assert came.run.status != "ok" or came.run.metric == pytest.approx(came.baseline.metric, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("one", HONEST, ids=named)
def test_an_honest_edit_passes_every_check(one: Cheat, outcomes: dict[str, Outcome]) -> None:
    came = outcomes[one.name]
    assert came.run.status == "ok", came.run.reason
    assert came.audit is not None
    gained = came.run.metric is not None and came.baseline.metric is not None and came.run.metric < came.baseline.metric
    open_to_doubt = {"certain"} if gained else {"certain", "held-out"}  # the sets are small, and read for every edit
    assert set(came.audit.failed) <= open_to_doubt, came.audit.checks


@pytest.mark.slow
@pytest.mark.parametrize("one", [one for one in RUNNING if one.lowers and one.caught_by != "sandbox"], ids=named)
def test_it_would_have_paid(one: Cheat, outcomes: dict[str, Outcome]) -> None:
    """A cheat that claims no more than train.py would show nothing by being caught."""
    came = outcomes[one.name]
    assert came.run.metric is not None
    assert came.baseline.metric is not None
    assert came.run.metric < came.baseline.metric or not math.isfinite(came.run.metric)


@pytest.mark.slow
@needs.sandbox
def test_the_table_in_the_readme_is_what_the_trial_says(outcomes: dict[str, Outcome]) -> None:
    assert trial.table(ALL, outcomes) in (trial.ROOT / "README.md").read_text("utf-8")

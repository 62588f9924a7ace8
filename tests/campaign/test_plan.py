"""Planning: the base an issue starts from, the clock and the gate it gets, the time it will take."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign.plan import CampaignRequest, Plan, make_plan
from agent.core.errors import BadInput
from agent.core.experiment import Budget
from agent.execution.machine import Gpu, Machine
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking.local import MarkdownTracker
from tests.support.project import ISSUE, agent, commit, edit, git

LAPTOP, SERVER = Machine("cpu", (), 2, 24_000), Machine("cpu", (Gpu(0, "NVIDIA H200", 143_771),), 16, 128_000)
ASKED = CampaignRequest(3, "mini", "stdlib")


def plan(project: Path, asked: CampaignRequest = ASKED, machine: Machine = LAPTOP) -> Plan:
    with Repository(project) as repo:
        ledger = Ledger(project / "experiments" / "ledger.jsonl", project / ".git" / "ledger.lock")
        return make_plan(asked, repo, ledger, MarkdownTracker(project), machine)


def model_code_in_base(plan: Plan) -> Plan:
    """The same plan on a base that a model wrote code of."""
    return replace(plan, base=replace(plan.base, has_model_code=True))


def test_the_issue_gives_order_and_budget_and_the_machine_the_clock(project: Path) -> None:
    told = plan(project)
    assert told.order == ("1D", "1C", "1A", "1B")
    assert (told.budget, told.clock, told.rules.kind) == (Budget("seconds", 300), "calibrated", "confirmed")
    assert plan(project, replace(ASKED, profile="full"), SERVER).clock == "wall"


CONSTANTS, CODE = ("DEPTH = 8", "DEPTH = 6"), ("value = 1.5 -", "value = 1.25 -")


@pytest.mark.parametrize(
    ("edits", "expected"), [((), False), ((CONSTANTS,), False), ((CODE,), True), ((CODE, CONSTANTS), True)]
)
@pytest.mark.parametrize("ahead", [False, True])
def test_a_baseline_that_a_model_wrote_is_known_by_its_history(
    project: Path, edits: tuple[tuple[str, str], ...], expected: bool, ahead: bool
) -> None:
    """Promoted one after the other by nobody knows whom; the ledger is empty."""
    base = git(project, "rev-parse", "HEAD")
    with Repository(project) as repo:
        for old, new in edits:
            text = repo.read(base, "train.py")
            assert text is not None
            assert old in text
            base = repo.commit(base, {"train.py": text.replace(old, new)}, "experiment: winner")
        repo.compare_and_swap("autoresearch/baseline/main", base, None)
    if ahead:  # a person goes on from there
        git(project, "merge", "--quiet", "autoresearch/baseline/main")
        edit(project, "train.py", "import hashlib, json", "import json, hashlib")
        commit(project, "My own")
    made = plan(project)
    assert made.base_has_model_code == expected
    assert {made.has_model_code(name) for name in ("baseline", *made.order)} == {expected}


def test_the_command_line_outranks_the_issue(project: Path) -> None:
    told = plan(project, replace(ASKED, budget=Budget("steps", 5), gate="lowest"))
    assert (told.budget, told.clock, told.rules.kind) == (Budget("steps", 5), "steps", "lowest")
    assert told.estimate_s is None


def test_ten_five_minute_runs_fit_the_hour_of_a_small_issue_on_either_machine(project: Path) -> None:
    for asked, machine in ((ASKED, LAPTOP), (replace(ASKED, profile="full"), SERVER)):
        estimate = plan(project, asked, machine).estimate_s
        assert estimate is not None
        assert 3000 < estimate < 3600


def test_a_gpu_too_small_for_a_variant_is_found_out_before_it_runs(project: Path) -> None:
    small = replace(SERVER, gpus=(Gpu(0, "a small gpu", 4_000),))
    with pytest.raises(BadInput, match="the device has 4,000 MB"):
        plan(project, replace(ASKED, profile="full"), small)


def test_the_base_is_head_until_there_is_a_baseline(project: Path) -> None:
    assert plan(project).base.commit == git(project, "rev-parse", "HEAD")


def test_a_head_ahead_of_the_baseline_is_the_base_and_one_behind_it_is_not(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    git(project, "branch", "autoresearch/baseline/main")
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.002")
    ahead = commit(project, "ahead")
    assert plan(project).base.commit == ahead
    git(project, "branch", "--force", "autoresearch/baseline/main", ahead)
    git(project, "reset", "--quiet", "--hard", first)
    assert plan(project).base.commit == ahead


def test_a_head_apart_from_the_baseline_is_noticed_and_told_how_to_join(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.002")
    git(project, "branch", "autoresearch/baseline/main", commit(project, "theirs"))
    git(project, "reset", "--quiet", "--hard", first)
    edit(project, "train.py", "PAUSE = 0.0", "PAUSE = 0.1")
    commit(project, "mine")
    assert plan(project).notices[0].endswith("git merge autoresearch/baseline/main")


def test_an_issue_stays_with_its_base_after_its_own_winner_was_merged(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    assert agent(project, "--issue", "3", "--budget", "5steps").returncode == 0
    assert plan(project).base.commit == first
    git(project, "merge", "--quiet", "autoresearch/baseline/main")
    assert plan(project).base.commit == first


def test_an_unknown_strategy_is_answered_with_those_there_are(project: Path) -> None:
    edit(project, ISSUE, "## Objective", "```yaml\n# autoresearch\nstrategy: guess\n```\n\n## Objective")
    with pytest.raises(BadInput, match=r"guess.*\n.*table"):
        plan(project)

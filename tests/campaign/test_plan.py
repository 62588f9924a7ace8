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
from tests.support.project import ISSUE, commit, edit, git

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


def test_the_command_line_outranks_the_issue(project: Path) -> None:
    told = plan(project, replace(ASKED, budget=Budget("steps", 5), gate="lowest"))
    assert (told.budget, told.clock, told.rules.kind) == (Budget("steps", 5), "steps", "lowest")
    assert told.estimate_s is None


def test_the_five_minute_runs_of_four_variants_fit_the_hour_of_a_small_issue_on_either_machine(project: Path) -> None:
    for asked, machine in ((ASKED, LAPTOP), (replace(ASKED, profile="full"), SERVER)):
        estimate = plan(project, asked, machine).estimate_s
        assert estimate is not None
        assert 2400 < estimate < 3600


def test_a_gpu_too_small_for_a_variant_is_found_out_before_it_runs(project: Path) -> None:
    small = replace(SERVER, gpus=(Gpu(0, "a small gpu", 4_000),))
    with pytest.raises(BadInput, match="the device has 4,000 MB"):
        plan(project, replace(ASKED, profile="full"), small)


def test_a_head_apart_from_the_baseline_is_noticed_and_told_how_to_join(project: Path) -> None:
    first = git(project, "rev-parse", "HEAD")
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.002")
    git(project, "branch", "autoresearch/baseline/main", commit(project, "theirs"))
    git(project, "reset", "--quiet", "--hard", first)
    edit(project, "train.py", "PAUSE = 0.0", "PAUSE = 0.1")
    commit(project, "mine")
    assert plan(project).notices[0].endswith("git merge autoresearch/baseline/main")


def test_an_unknown_strategy_is_answered_with_those_there_are(project: Path) -> None:
    edit(project, ISSUE, "## Objective", "```yaml\n# autoresearch\nstrategy: guess\n```\n\n## Objective")
    with pytest.raises(BadInput, match=r"guess.*\n.*table"):
        plan(project)

"""The tables say what a name leads to, and that decides whether its author may mend an edit."""

import pytest

from agent.spec import policy, reach
from tests.spec.test_policy import SCRIPT


def test_every_entry_leads_to_something_that_has_a_name() -> None:
    tables = (reach.MODULES, reach.ATTRIBUTES, reach.CALLS)
    leads_to = {value for table in tables for value in table.values()} | {value for _, value in reach.DOORS.values()}
    assert leads_to <= reach.OFF_LIMITS | {reach.HIDDEN}


@pytest.mark.parametrize(
    ("line", "leads_to"),
    [
        ("torch.manual_seed(7)", "seed"),
        ("clock._started = 0", "evaluator"),
        ("os.environ['X'] = '1'", "environment"),
        ("open(name)", "files"),
        ("import socket", "network"),
        ("prepare.score", "evaluator"),
        ("run.corpus.evaluation('val')", "data"),
        ("clock.step_seconds", "budget"),
    ],
)
def test_what_is_off_limits_is_so_for_one_of_seven_reasons(line: str, leads_to: str) -> None:
    uses = policy.forbidden_uses(SCRIPT, f"{SCRIPT}{line}\n")
    assert leads_to in {use.leads_to for use in uses}
    assert any(use.off_limits for use in uses)


@pytest.mark.parametrize(
    "line", ["eval('1')", "import subprocess", "import ctypes", "x.__globals__", "from . import a"]
)
def test_what_only_hides_what_it_reaches_may_be_mended(line: str) -> None:
    [use] = policy.forbidden_uses(SCRIPT, f"{SCRIPT}{line}\n")
    assert not use.off_limits

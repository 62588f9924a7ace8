"""The request that a command line makes."""

from agent.app.options import parser
from agent.app.request import make_request
from agent.core.experiment import Budget
from agent.execution.machine import detect


def test_a_request_leaves_open_what_the_issue_may_choose() -> None:
    here = detect()
    asked = make_request(parser().parse_args(["--issue", "5", "--corpus", "stdlib"]), here, 5)
    assert (asked.issue, asked.budget, asked.clock, asked.gate) == (5, None, None, None)
    told = make_request(parser().parse_args(["--issue", "5", "--budget", "7steps"]), here, 5)
    assert told.budget == Budget("steps", 7)

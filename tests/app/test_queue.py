"""--queue on the stand-in script: order, what one leaves to the next, what ends a queue and what does not."""

import json
import re
from pathlib import Path

import pytest

from agent.app.queue import QueueRunner, worst
from agent.core.errors import HarnessError, Paused, Unreachable
from agent.core.experiment import IssueStatus
from agent.tracking.local import MarkdownTracker
from tests.support.project import ISSUE, agent, commit, edit, git

QUEUE = ("--queue", "--budget", "5steps", "--gate", "lowest")


def write(project: Path, number: int, row: str, text: str = "", labels: str = "") -> None:
    """An issue with one variant."""
    head = f"---\nnumber: {number}\ntitle: t\nlabels: [experiment{labels}]\n---\n{text}\n\n"
    path = project / "experiments" / "issues" / f"{number:04d}-t.md"
    path.write_text(f"{head}| ID | DEPTH | ASPECT_RATIO |\n|-|-|-|\n| {number}A | {row} |\n")


@pytest.fixture
def queue(project: Path) -> Path:
    """Issue 3, then one after it, a broken one, and one that is more urgent than all."""
    write(project, 4, "12 | 32", "after #3")
    write(project, 5, "9 | 57")
    write(project, 6, "6 | 128", labels=', "priority: P0"')
    write(project, 7, "6 | 64", "Depends on #5.")
    edit(project, "train.py", "(10, 64): 0.02}", "(10, 64): 0.02, (6, 128): -0.05, (12, 32): -0.05, (6, 64): -0.05}")
    commit(project, "a queue")
    return project


def begun(out: str) -> list[str]:
    return re.findall(r"^issue (\d+)$", out, re.MULTILINE)


def test_a_queue_runs_by_priority_and_dependency_and_goes_on_after_a_broken_issue(queue: Path) -> None:
    run = agent(queue, *QUEUE)
    assert begun(run.stdout) == ["6", "3", "4", "5"]
    assert run.returncode == 2, run.stderr
    assert "issue 5: " in run.stderr
    assert "513" in run.stderr
    assert "issue 7 is left out: it comes after #5, which has no verdict" in run.stderr
    winner = git(queue, "rev-parse", "autoresearch/issue-3/1D")
    assert git(queue, "rev-parse", "autoresearch/issue-4/4A^") == winner
    edit(queue, "experiments/issues/0005-t.md", "9 | 57", "10 | 64")
    second = agent(queue, *QUEUE)
    assert (begun(second.stdout), second.returncode) == (["5", "7"], 0), second.stderr
    nothing = agent(queue, *QUEUE)
    assert (begun(nothing.stdout), nothing.returncode) == ([], 0)


def test_the_plan_of_a_queue_shows_the_order_what_it_refuses_and_why_and_writes_nothing(queue: Path) -> None:
    run = agent(queue, *QUEUE, "--plan")
    assert run.returncode == 2, run.stderr
    lines = run.stdout.splitlines()
    assert lines[:3] == ["1. issue 6: priority P0", "2. issue 3: priority high", "3. issue 4: no priority; after #3"]
    assert lines[3].startswith("left out: issue 5: it would be refused: experiments/issues/0005-t.md:")
    assert "513" in lines[3]
    assert lines[-1] == "left out: issue 7: it comes after #5, which is left out"
    planned = agent(queue, *QUEUE, "--plan", "--json")
    plan = json.loads(planned.stdout)
    assert [one["issue"] for one in plan["order"]] == [6, 3, 4]
    assert [one["issue"] for one in plan["left_out"]] == [5, 7]
    edit(queue, "experiments/issues/0005-t.md", "9 | 57", "10 | 64")
    assert agent(queue, *QUEUE, "--plan").returncode == 0
    assert not (queue / "experiments" / "ledger.jsonl").exists()


def test_an_issue_that_appears_meanwhile_is_run_too_and_one_that_cannot_be_read_is_named(project: Path) -> None:
    path = project / "experiments" / "issues" / "0004-t.md"
    head = "---\\nnumber: 4\\ntitle: t\\nlabels: [experiment]\\n---\\n| ID | DEPTH |\\n|-|-|\\n| 4A | 10 |\\n"
    edit(project, "train.py", "def main():", f"Path({str(path)!r}).write_text({head!r})\n\n\ndef main():")
    edit(project, "train.py", "\\\\n", "\\n")
    commit(project, "somebody files an issue meanwhile")
    (project / "experiments" / "issues" / "0008-x.md").write_text("no front matter")
    run = agent(project, *QUEUE, "--no-sandbox")
    assert begun(run.stdout) == ["3", "4"], run.stderr
    assert (run.returncode, "issue 8: experiments/issues/0008-x.md:1: no front matter" in run.stderr) == (2, True)


def test_an_issue_that_a_person_took_over_is_passed_and_stop_ends_the_queue(project: Path) -> None:
    edit(project, ISSUE, '[experiment, "pri', '[experiment, human, "pri')
    write(project, 4, "10 | 64")
    write(project, 5, "12 | 32")
    (project / "experiments" / "issues" / "0004-t.remarks.md").write_text("/stop\n")
    run = agent(project, *QUEUE)
    assert begun(run.stdout) == ["3", "4"]
    assert run.returncode == 3
    assert "a person has taken over" in run.stderr
    assert "line-1 says /stop" in run.stderr
    second = agent(project, *QUEUE)
    assert (begun(second.stdout), second.returncode) == (["3", "4", "5"], 3)


def test_a_queue_needs_no_issue_and_takes_none(project: Path) -> None:
    for args in (("--queue", "--issue", "3"), ("--queue", "--status"), ("--queue", "--report")):
        assert agent(project, *args).returncode == 2


class Labels(MarkdownTracker):
    """A tracker that does labels, and cannot set that of issue 5."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.marked: list[tuple[int, str]] = []

    def set_status(self, number: int, status: IssueStatus) -> None:
        self.marked.append((number, status))
        if number == 5:
            raise Unreachable("no route")


def test_what_waits_is_labelled_once_and_a_label_that_cannot_be_set_stops_nothing(queue: Path) -> None:
    tracker, ran, notices = Labels(queue), list[int](), list[str]()
    runner = QueueRunner(tracker, lambda _: False, lambda number: number in ran, ran.append, notices.append)
    assert runner.work() == 0
    assert ran == [6, 3, 4, 5, 7]
    assert tracker.marked == [(number, "queued") for number in (3, 4, 5, 7)]
    assert notices == ["issue 5 is not labelled: no route"]


def test_a_pause_goes_on_with_the_next_issue_and_another_error_ends_the_queue(queue: Path) -> None:
    def run(number: int) -> None:
        raise {6: Paused("its cap is reached"), 3: HarnessError("the disk is full")}[number]

    notices = list[str]()
    with pytest.raises(HarnessError, match="the disk is full"):
        QueueRunner(MarkdownTracker(queue), lambda _: False, lambda _: False, run, notices.append).work()
    assert notices == ["issue 6: its cap is reached"]


def test_the_worst_of_what_happened_is_an_error_then_a_bad_issue_then_a_pause() -> None:
    assert [worst(statuses) for statuses in ([], [0, 0], [0, 3], [3, 2], [2, 1, 3])] == [0, 0, 3, 2, 1]

"""The open-ended mode from end to end on the stand-in for Claude: ten proposals, kills in the middle, its ends."""

import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from tests.campaign.test_freeform_campaign import billed, records
from tests.faults.state import differs
from tests.faults.state import state as left_behind
from tests.support.author import Author, Work, dollars, swap
from tests.support.claude import Claude, Fields, Reply
from tests.support.project import agent, commit, edit, git, make, start
from tests.support.prose import PROSE, prose_issue

COMMAND = ("--issue", str(PROSE), "--budget", "5steps", "--gate", "lowest", "--loop", "--hours", "8", "--max-usd", "10")
GAINS = "GAIN = {(8, 96): 0.05, (10, 64): 0.02}"
TITLES = [["ten blocks", "a seed"], ["twice as wide", "twelve blocks"], ["six blocks", "a socket"],
          ["twelve again", "wider still"], ["fourteen blocks", "four times as wide"]]  # fmt: skip
WORKS = {  # each an edit of what is then the baseline: (8, 64), (10, 64), and from the third round on (10, 128)
    "ten blocks": swap("DEPTH = 8", "DEPTH = 10"),
    "a seed": swap("DEPTH = 8", "DEPTH = 8\nimport torch\ntorch.manual_seed(7)"),
    "twice as wide": swap("ASPECT_RATIO = 64", "ASPECT_RATIO = 128"),
    "twelve blocks": swap("DEPTH = 10", "DEPTH = 12"),
    "six blocks": swap("DEPTH = 10", "DEPTH = 6"),
    "a socket": swap("DEPTH = 10", "DEPTH = 10\nimport socket"),
    "twelve again": swap("DEPTH = 10", "DEPTH = 12"),
    "wider still": swap("ASPECT_RATIO = 128", "ASPECT_RATIO = 192"),
    "fourteen blocks": swap("DEPTH = 10", "DEPTH = 14"),
    "four times as wide": swap("ASPECT_RATIO = 128", "ASPECT_RATIO = 256"),
}


def author() -> Author:
    return Author(TITLES, {title: Work(first) for title, first in WORKS.items()})


def looping(folder: Path) -> Path:
    """A project in which two winners follow each other."""
    project = make(folder)
    edit(project, "train.py", GAINS, "GAIN = {(10, 64): 0.02, (10, 128): 0.06}")
    commit(project, "two winners")
    prose_issue(project)
    return project


@pytest.fixture
def claude() -> Iterator[Claude]:
    with Claude() as server:
        yield server
        assert server.refusals == [], "a request that the real API would refuse"


class Killer:
    """An author in the middle of whose answer to one title the harness is killed."""

    def __init__(self, inner: Author, title: str) -> None:
        self.inner, self.title, self.pid = inner, title, 0

    def __call__(self, body: Fields) -> Reply:
        if f"\n{self.title}\n\n" in json.dumps(body).replace("\\n", "\n"):
            os.kill(self.pid, signal.SIGKILL)
        return self.inner(body)


def struck_at(project: Path, claude: Claude, fault: str) -> None:
    """Give the command and let it be killed or stopped at a moment."""
    done = agent(project, *COMMAND, env={**claude.environment, "AUTORESEARCH_FAULT": fault})
    assert done.returncode == (-signal.SIGKILL if fault.endswith("kill") else 130), done.stdout + done.stderr


def killed_during_a_call(project: Path, claude: Claude, title: str) -> None:
    assert isinstance(claude.author, Author)
    inner = claude.author
    claude.author = killer = Killer(inner, title)
    with start(project, *COMMAND, env=claude.environment) as program:
        killer.pid = program.pid
        program.communicate(timeout=120)
    assert program.returncode == -signal.SIGKILL
    inner.billed.pop()  # an answer that nobody heard
    claude.author = inner


def lost(project: Path) -> Decimal:
    """What reservations come to that were never settled."""
    spends = records(project, "spend")
    settled = {one["call"] for one in spends if one["settled"]}
    return sum((Decimal(str(one["usd"])) for one in spends if one["call"] not in settled), Decimal(0))


def state(project: Path) -> Mapping[str, object]:
    """What the fault matrix compares, without money: `billed` and `lost` tell of that."""
    whole = left_behind(project)
    ledger = whole["ledger"]
    assert isinstance(ledger, list)
    rest = [{name: value for name, value in one.items() if name != "usd"} for one in ledger if one["kind"] != "spend"]
    exports = re.sub(r"\$[\d.]+ for the editor", "so much for the editor", str(whole["exports"]))
    return {**whole, "ledger": rest, "exports": exports}


@pytest.mark.slow
def test_ten_proposals_killed_in_the_middle_again_and_again_leave_what_they_leave_undisturbed(
    claude: Claude, tmp_path: Path
) -> None:
    calm, struck = looping(tmp_path / "calm" / "project"), looping(tmp_path / "struck" / "project")
    claude.author = undisturbed = author()
    done = agent(calm, *COMMAND, env=claude.environment)
    assert done.returncode == 0, done.stderr
    assert "reason: 3 rounds in a row had nothing that could be measured" in done.stdout
    check_rounds(calm)
    assert billed(calm) == dollars(undisturbed.billed)
    claude.author = disturbed = author()
    for moment in ("ideas-before@2:term", "promotion-before:kill", "run-result@2:kill"):
        struck_at(struck, claude, moment)  # between two rounds, after a verdict, at the end of a run
    killed_during_a_call(struck, claude, "fourteen blocks")
    second = agent(struck, *COMMAND, env=claude.environment)
    assert second.returncode == 0, second.stderr
    assert differs(state(struck), state(calm)) == ""
    assert billed(struck) - lost(struck) == dollars(disturbed.billed) == billed(calm)
    assert lost(struck) > 0
    assert [one["ended"] for one in records(struck, "loop")] == [False, True]  # its deadline is that of the first start


def check_rounds(project: Path) -> None:
    """Ten proposals in five rounds, then three without any; what a round promotes the next one starts from."""
    rounds, promotions = records(project, "round"), records(project, "promotion")
    assert [len(one["ideas"]) for one in rounds] == [2, 2, 2, 2, 2, 0, 0, 0]  # type: ignore[arg-type]
    refused = [one["variant"] for one in records(project, "proposal") if not one["accepted"]]
    assert refused == ["1B", "3B"]
    assert [one["variant"] for one in promotions] == ["1A", "2A"]
    first = git(project, "rev-parse", "main")
    bases = [first, promotions[0]["new"], *[promotions[1]["new"]] * 6]
    assert [one["base"] for one in rounds] == bases
    assert git(project, "rev-parse", "autoresearch/baseline/main") == promotions[1]["new"]


@pytest.mark.slow
def test_a_word_or_the_money_ends_a_session_and_the_same_command_begins_another(claude: Claude, tmp_path: Path) -> None:
    project = looping(tmp_path / "project")
    claude.author = value = Author([["ten blocks"]], {"ten blocks": Work(WORKS["ten blocks"])})
    remarks = project / "experiments" / "issues" / "0005-better.remarks.md"
    remarks.write_text("/stop\n")
    stopped = agent(project, *COMMAND, env=claude.environment)
    assert (stopped.returncode, "reason: line-1 says /stop" in stopped.stdout) == (0, True), stopped.stderr
    assert value.requests == []  # nobody was asked for anything
    poor = agent(project, *COMMAND[:-1], "0.01", env=claude.environment)
    assert (poor.returncode, "reason: the cap of $0.01 per campaign is reached" in poor.stdout) == (0, True)
    done = agent(project, *COMMAND, env=claude.environment)
    assert "reason: 3 rounds in a row" in done.stdout, done.stderr
    assert value.requests == [
        "round 1",
        "ten blocks",
        "round 2",
        "round 2",
        "round 2",
    ]  # none is asked for its ideas again
    assert [one["ended"] for one in records(project, "loop")] == [False, True] * 3
    assert billed(project) == dollars(value.billed)

"""What is missing or used up is said in one clear line with what to do about it, and the same command then goes on."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from agent.editors.models import OURS
from tests.app.test_queue import write
from tests.campaign.test_freeform_campaign import billed, comment, records
from tests.support.author import Author, Work, dollars, swap
from tests.support.claude import Claude
from tests.support.project import ISSUE, agent, git
from tests.support.prose import PROSE, prose_issue

COMMAND = ("--issue", str(PROSE), "--budget", "5steps", "--gate", "lowest")
WIDER = {"wider": Work(swap("ASPECT_RATIO = 64", "ASPECT_RATIO = 96"))}


@pytest.fixture
def claude() -> Iterator[Claude]:
    with Claude() as server:
        yield server


@pytest.fixture
def prose(project: Path) -> Path:
    prose_issue(project)
    return project


def models(folder: Path, **changes: object) -> dict[str, str]:
    """The environment of a program with another models.yaml, in which a model that the API does not have is priced."""
    prices = yaml.safe_load(OURS.read_text())
    prices["prices"]["claude-next"] = prices["prices"]["claude-sonnet-5-5"]
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump(prices | changes))
    return {"AUTORESEARCH_MODELS_FILE": str(path)}


def check_error(done: CompletedProcess[str], status: int, error: str, step: str) -> None:
    """One line that says what is wrong, and one that says what to do."""
    assert done.returncode == status, done.stderr
    lines = [one for one in done.stderr.splitlines() if not one.startswith("runs go without")]
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("error: ")
    assert error in lines[0]
    assert lines[1].startswith("  ")
    assert step in lines[1]


@pytest.mark.slow
def test_what_keeps_claude_from_working_is_one_line_and_nothing_is_lost_or_billed(
    prose: Path, claude: Claude, tmp_path: Path
) -> None:
    here, other = claude.environment, models(tmp_path, deadline_s=5)
    check_error(
        agent(prose, *COMMAND, env={**here, "ANTHROPIC_API_KEY": ""}), 2, "ANTHROPIC_API_KEY is not set", "export"
    )
    refused = agent(prose, *COMMAND, env={**here, "ANTHROPIC_API_KEY": "sk-ant-another"})
    check_error(refused, 2, "401 authentication_error invalid x-api-key", "set ANTHROPIC_API_KEY")
    check_error(
        agent(prose, *COMMAND, "--model", "gpt", env=here), 2, "no price for the model 'gpt'", "AUTORESEARCH_MODEL"
    )
    unknown = agent(prose, *COMMAND, "--model", "claude-next", env=here | other)
    check_error(unknown, 2, "the Claude API has no model 'claude-next'", "set AUTORESEARCH_MODEL (or --model)")
    poor = agent(prose, *COMMAND, "--max-usd", "0.001", env=here)
    check_error(poor, 3, "the cap of $0.001 per campaign is reached", "raise it with --max-usd")
    assert not (prose / "experiments" / "ledger.jsonl").exists()
    claude.fault(402, "credit balance is too low")
    check_error(agent(prose, *COMMAND, env=here), 3, "402 billing_error credit balance is too low", "pay, then go on")
    claude.fault(529, "Overloaded", retry_after="30")
    busy = agent(prose, *COMMAND, env=here | other)
    check_error(
        busy, 3, "529 overloaded_error Overloaded; another try is due in 30 s", "to go on later, run again: python"
    )
    claude.author = author = Author([["wider"]], WIDER)
    done = agent(prose, *COMMAND, env=here)
    assert (done.returncode, "verdict: keep 1A" in done.stdout) == (0, True), done.stderr
    assert billed(prose) == dollars(author.billed)
    assert [one["round"] for one in records(prose, "round")] == [1]


def test_a_loop_that_cannot_begin_says_so_and_its_time_does_not_run(prose: Path) -> None:
    check_error(
        agent(prose, "--issue", "3", "--loop", "--hours", "8"), 2, "--loop is for an issue in prose", "without --loop"
    )
    check_error(
        agent(prose, *COMMAND, "--loop", env={"ANTHROPIC_API_KEY": ""}), 2, "ANTHROPIC_API_KEY is not set", "export"
    )
    check_error(agent(prose, *COMMAND, "--loop", "--status"), 2, "issue 5 has not run in this clone", "run it")
    check_error(agent(prose, "--queue", "--loop"), 2, "--loop needs an issue in prose", "--issue N")
    plan = agent(prose, *COMMAND, "--loop", "--plan")
    assert (plan.returncode, "Propose up to 2 changes" in plan.stdout) == (0, True), plan.stderr
    assert not (prose / "experiments" / "ledger.jsonl").exists()
    assert git(prose, "branch", "--list", "autoresearch/*") == ""


def test_a_prose_issue_in_a_queue_ends_alone_whether_it_has_no_editor_or_no_proposal_that_can_run(prose: Path) -> None:
    command = ("--queue", "--budget", "5steps", "--gate", "lowest")
    write(prose, 7, "8 | 96")
    (prose / ISSUE).unlink()
    done = agent(prose, *command, "--editor", "true")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("no proposal can run: 1A: it changed nothing; 1B: it changed nothing") == 1
    assert "verdict: keep" in done.stdout
    assert "Nothing to run" in comment(prose)
    second = agent(prose, *command, env={"ANTHROPIC_API_KEY": ""})
    assert (second.returncode, "issue 7" in second.stdout) == (
        1,
        False,
    )  # the one has its verdict, the other its answer

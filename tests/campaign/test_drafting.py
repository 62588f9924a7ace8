"""Ideas to drafts: mended a few times with what they ran into, and refused where that does not help."""

from collections.abc import Mapping
from pathlib import Path

from agent.campaign.drafting import MAX_REVISIONS, CheckResult, DraftOutcome, draft_until_valid
from agent.core.proposals import Brief, Draft, Idea, Ideas

BRIEF = Brief("rules", "question", {"train.py": "a\n"})
IDEA = Idea("1A", "b", "because", "-0.01")


class Scripted:
    """An editor that hands in its drafts one after the other, and remembers what it was asked."""

    def __init__(self, *drafts: Draft) -> None:
        self.drafts, self.asked = list(drafts), list[tuple[str, str]]()

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        raise NotImplementedError

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:  # noqa: ARG002 (the Protocol's)
        self.asked.append((brief.files["train.py"], failure))
        return self.drafts.pop(0)


def tried(editor: Scripted, *found: CheckResult) -> tuple[DraftOutcome, list[tuple[dict[str, str], int]]]:
    checks, answers = list[tuple[dict[str, str], int]](), list(found)

    def check(files: Mapping[str, str], attempt: int) -> CheckResult:
        checks.append((dict(files), attempt))
        return answers.pop(0)

    return draft_until_valid(editor, BRIEF, IDEA, check, Path()), checks


def test_a_good_draft_is_taken_as_it_is() -> None:
    done, checks = tried(Scripted(Draft({"train.py": "b\n"}, "done")), CheckResult())
    assert done == DraftOutcome({"train.py": "b\n"}, "", 1, "done")
    assert checks == [({"train.py": "b\n"}, 1)]


def test_a_draft_that_fails_goes_back_with_its_failure_as_it_stands() -> None:
    editor = Scripted(Draft({"train.py": "b(\n"}), Draft({"train.py": "b\n"}))
    done, _ = tried(editor, CheckResult("does not parse"), CheckResult())
    assert (done.files, done.failure, done.attempts) == ({"train.py": "b\n"}, "", 2)
    assert editor.asked == [("a\n", ""), ("b(\n", "does not parse")]


def test_it_is_mended_three_times_and_no_more() -> None:
    editor = Scripted(*[Draft({"train.py": f"{number}\n"}) for number in range(9)])
    done, checks = tried(editor, *[CheckResult(f"wrong {number}") for number in range(9)])
    assert (done.failure, done.attempts, len(checks)) == ("wrong 3", MAX_REVISIONS + 1, MAX_REVISIONS + 1)


def test_what_reaches_for_what_it_may_not_is_not_mended() -> None:
    editor = Scripted(Draft({"train.py": "b\n"}), Draft({"train.py": "c\n"}))
    done, _ = tried(editor, CheckResult("it sets a seed", mendable=False))
    assert (done.failure, done.attempts, len(editor.drafts)) == ("it sets a seed", 1, 1)


def test_an_editor_that_declines_ends_it() -> None:
    done, checks = tried(Scripted(Draft(failure="it refused")))
    assert (done, checks) == (DraftOutcome({}, "it refused", 1), [])


def test_a_file_put_back_as_it_was_is_no_change() -> None:
    editor = Scripted(Draft({"train.py": "b\n"}), Draft({"train.py": "a\n"}))
    _, checks = tried(editor, CheckResult("no"), CheckResult("it changes nothing", mendable=False))
    assert checks[1] == ({}, 2)

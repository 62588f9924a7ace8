"""The strategy of an issue in prose: each idea is written, checked, and mended a few times, or refused. No effects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.core.proposals import Brief, Idea
from agent.core.protocols import Editor

MAX_REVISIONS = 3  # times that a draft goes back to its editor with what it ran into


@dataclass(frozen=True)
class CheckResult:
    """What a check says of a draft: nothing, or a failure, and whether its editor may mend it."""

    failure: str = ""
    mendable: bool = True


@dataclass(frozen=True)
class DraftOutcome:
    """What became of an idea: the texts of the changed files, and why they may not run; the checks they took."""

    files: Mapping[str, str]
    failure: str
    attempts: int
    said: str = ""


def draft_until_valid(
    editor: Editor, brief: Brief, idea: Idea, check: Callable[[Mapping[str, str], int], CheckResult], folder: Path
) -> DraftOutcome:
    """Have an idea written until `check` (of the changed files, at an attempt counted from 1) has nothing to say.

    A draft that its editor does not deliver, and one that reaches for what it may not, ends the attempt.
    """
    files, failure, said = dict[str, str](), "", ""
    for attempt in range(1, MAX_REVISIONS + 2):
        draft = editor.write(replace(brief, files={**brief.files, **files}), idea, failure, folder)
        if draft.failure:
            told = f"{failure}; it was not mended: {draft.failure}" if failure else draft.failure
            return DraftOutcome(files, told, attempt, said)
        files, said = {**files, **draft.files}, draft.summary
        files = {path: text for path, text in files.items() if text != brief.files.get(path)}
        found = check(files, attempt)
        failure = found.failure
        if not failure or not found.mendable:
            break
    return DraftOutcome(files, failure, attempt, said)

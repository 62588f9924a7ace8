"""The local tracker: issues are experiments/issues/NNNN-slug.md. Beside them lie NNNN-slug.comment.md, which we write,
and NNNN-slug.remarks.md, in which people write to the campaign, one remark a line.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.core.errors import BadInput
from agent.core.experiment import HumanComment, Issue, IssueStatus
from agent.core.protocols import Upstream
from agent.tracking import front_matter

FOLDER = Path("experiments") / "issues"
_FILE = re.compile(r"(\d{4,9})-.*\.md")
_BESIDE = (".comment.md", ".remarks.md")


class MarkdownTracker:
    """Issues as files of the repository at `root`."""

    upstream: Upstream | None = None  # what is read here is pushed by whoever owns the files

    def __init__(self, root: Path) -> None:
        self._root = root

    def numbers(self) -> list[int]:
        """Return the numbers of the issues, in order."""
        return sorted(self._paths())

    def open_experiments(self) -> list[int]:
        """Return the open issues labelled `experiment`, and those that cannot be read: `fetch` raises what is wrong."""
        issues = self._readable()
        return [n for n in self.numbers() if n not in issues or _is_open(issues[n], "experiment")]

    def _readable(self) -> dict[int, Issue]:
        """Return the issues that can be read, by number and in order."""
        issues = {}
        for number, paths in sorted(self._paths().items()):
            with suppress(BadInput):
                issues[number] = self._read(number, _only(number, paths))
        return issues

    def _paths(self) -> dict[int, list[Path]]:
        """Return the files of each issue: one, where nothing is wrong."""
        paths: dict[int, list[Path]] = {}
        for path in sorted((self._root / FOLDER).glob("*.md")):
            if _FILE.fullmatch(path.name) and not path.name.endswith(_BESIDE):
                paths.setdefault(int(path.name.partition("-")[0]), []).append(path)
        return paths

    def _path(self, number: int) -> Path:
        """Return the file of an issue. Raises BadInput where there is none, or more than one."""
        paths = self._paths()
        if number in paths:
            return _only(number, paths[number])
        known = ", ".join(map(str, sorted(paths))) or "none"
        raise BadInput(
            f"there is no issue {number}",
            where=str(FOLDER),
            next_step=f"issues here: {known}; a new one is a file {FOLDER}/{number:04d}-title.md",
        )

    def fetch(self, number: int) -> Issue:
        """Return the issue. Raises BadInput where there is none or where its front matter is wrong."""
        return self._read(number, self._path(number))

    def _read(self, number: int, path: Path) -> Issue:
        where = str(path.relative_to(self._root))
        text = path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff")
        matter, body = front_matter.split(text, where)
        if matter.number != number:
            raise BadInput(
                f"the file is named {number} and says number: {matter.number}",
                where=where,
                next_step="rename the file, or correct the number",
            )
        return Issue(
            number=number,
            title=matter.title,
            body=body,
            labels=tuple(matter.labels),
            author=matter.author,
            url=where,
            state=matter.state,
            source=where,
            first_line=matter.first_line,
        )

    def human_comments(self, number: int) -> list[HumanComment]:
        """Return issues labelled `human`, then the lines of the issue's remarks file: who can write it has access."""
        path = self._path(number).with_suffix(".remarks.md")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        remarks = [HumanComment(f"line-{at}", "", line.strip(), "") for at, line in enumerate(lines, 1) if line.strip()]
        others = [issue for other, issue in self._readable().items() if other != number and _is_open(issue, "human")]
        return [HumanComment(f"issue-{one.number}", one.author, one.body, "") for one in others] + remarks

    def revision(self, number: int) -> str:  # noqa: ARG002 (any file may be an issue that steers this one)
        """Return the names, sizes and times of all files but our comments."""
        files = (path for path in (self._root / FOLDER).glob("*.md") if not path.name.endswith(".comment.md"))
        states = ((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for path in files if (stat := _stat(path)))
        return repr(sorted(states))

    def comment(self, number: int, text: str) -> str:
        """Write the comment beside the issue, in place of an earlier one that differs; return its path."""
        path = self._path(number).with_suffix(".comment.md")
        if path.exists() and path.read_bytes() == text.encode():
            return str(path.relative_to(self._root))
        draft = path.with_name(f".{path.name}.draft")
        draft.write_bytes(text.encode())
        os.replace(draft, path)  # noqa: PTH105 (the one atomic call)
        return str(path.relative_to(self._root))

    def set_status(self, number: int, status: IssueStatus) -> None:
        """Do nothing: the file of an issue is its author's, and the board shows its status."""

    def close(self, number: int) -> None:
        """Do nothing, for the same reason."""

    def pull(self, number: int, branch: str, title: str, text: str) -> str:  # noqa: ARG002 (the Protocol's)
        """Raise BadInput: a folder of files has no pull requests."""
        raise BadInput(
            "a local issue has no pull request", next_step=f"merge it: git merge {branch}, or give --tracker github"
        )


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # it was just renamed or removed
        return None


def _is_open(issue: Issue, label: str) -> bool:
    return issue.state.lower() == "open" and label in (one.strip().lower() for one in issue.labels)


def _only(number: int, paths: Sequence[Path]) -> Path:
    """Return the one file of an issue. Raises BadInput where there are more."""
    if len(paths) > 1:
        both = " and ".join(path.name for path in paths)
        raise BadInput(f"two files are issue {number}: {both}", where=str(FOLDER), next_step="rename one of them")
    return paths[0]

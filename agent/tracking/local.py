"""The local tracker: issues are experiments/issues/NNNN-slug.md. Beside them lie NNNN-slug.comment.md, which we write,
and NNNN-slug.remarks.md, in which a person may say something, one remark a line.
"""

import os
import re
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from agent.core.errors import BadInput
from agent.core.experiment import HumanComment, Issue, IssueStatus
from agent.core.protocols import Upstream

FOLDER = Path("experiments") / "issues"
_FILE = re.compile(r"(\d{4,9})-.*\.md")
_BESIDE = (".comment.md", ".remarks.md")


class _FrontMatter(BaseModel):
    """The YAML between `---` lines at the top of an issue."""

    model_config = ConfigDict(extra="forbid")

    number: int
    title: str
    state: str = "open"
    labels: list[str] = []
    author: str = ""


class MarkdownTracker:
    """Issues as files of the repository at `root`."""

    upstream: Upstream | None = None  # what is read here is pushed by whoever owns the files

    def __init__(self, root: Path) -> None:
        self._root = root

    def numbers(self) -> list[int]:
        """The issues there are."""
        return sorted(_number(path) for path in self._files())

    def open_experiments(self) -> list[int]:
        """The open issues labelled `experiment`, and those that cannot be read: to fetch one says what is wrong."""
        numbers = sorted(set(self.numbers()))
        return [n for n in numbers if (issue := self._readable(n)) is None or _is_open(issue, "experiment")]

    def _readable(self, number: int) -> Issue | None:
        try:
            return self.fetch(number)
        except BadInput:
            return None

    def _files(self) -> list[Path]:
        found = (self._root / FOLDER).glob("*.md")
        return [path for path in found if _FILE.fullmatch(path.name) and not path.name.endswith(_BESIDE)]

    def _path(self, number: int) -> Path:
        paths = [path for path in self._files() if _number(path) == number]
        if len(paths) == 1:
            return paths[0]
        if paths:
            both = " and ".join(path.name for path in sorted(paths))
            raise BadInput(f"two files are issue {number}: {both}", where=str(FOLDER), next_step="rename one of them")
        known = ", ".join(str(n) for n in self.numbers()) or "none"
        raise BadInput(
            f"there is no issue {number}",
            where=str(FOLDER),
            next_step=f"issues here: {known}; a new one is a file {FOLDER}/{number:04d}-title.md",
        )

    def fetch(self, number: int) -> Issue:
        """The issue. Raises BadInput where there is none or where its front matter is wrong."""
        path = self._path(number)
        where = str(path.relative_to(self._root))
        header, body, first_line = _split(
            path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff"), where
        )
        told = _front_matter(header, where)
        if told.number != number:
            raise BadInput(f"the file is named {number} and says number: {told.number}", where=where)
        return Issue(
            number,
            told.title,
            body,
            tuple(told.labels),
            told.author,
            where,
            told.state,
            source=where,
            first_line=first_line,
        )

    def human_comments(self, number: int) -> list[HumanComment]:
        """Issues labelled `human`, then the lines of the issue's remarks file. Whoever can write there has access."""
        path = self._path(number).with_suffix(".remarks.md")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        told = [HumanComment(f"line-{at}", "", line.strip(), "") for at, line in enumerate(lines, 1) if line.strip()]
        every = [issue for other in sorted(set(self.numbers()) - {number}) if (issue := self._readable(other))]
        others = [issue for issue in every if _is_open(issue, "human")]
        return [HumanComment(f"issue-{one.number}", one.author, one.body, "") for one in others] + told

    def revision(self, number: int) -> str:  # noqa: ARG002 (any file may be an issue that steers this one)
        """Return the names, sizes and times of all files but our comments."""
        files = (path for path in (self._root / FOLDER).glob("*.md") if not path.name.endswith(".comment.md"))
        states = ((path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for path in files if (stat := _stat(path)))
        return repr(sorted(states))

    def comment(self, number: int, text: str) -> str:
        """Write the comment beside the issue, in place of an earlier one that says something else; return its path."""
        path = self._path(number).with_suffix(".comment.md")
        if path.exists() and path.read_bytes() == text.encode():
            return str(path.relative_to(self._root))
        draft = path.with_name(f".{path.name}.draft")
        draft.write_bytes(text.encode())
        os.replace(draft, path)  # noqa: PTH105 (the one atomic call)
        return str(path.relative_to(self._root))

    def set_status(self, number: int, status: IssueStatus) -> None:
        """Nothing: the file of an issue is its author's, and the board tells how far it is."""

    def close(self, number: int) -> None:
        """Nothing, for the same reason."""

    def pull(self, number: int, branch: str, title: str, text: str) -> str:  # noqa: ARG002 (the Protocol's)
        """Raises BadInput: a folder of files has no pull requests."""
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


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _split(text: str, where: str) -> tuple[str, str, int]:
    """Front matter, body, and the line on which the body begins."""
    lines = text.splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"]
    if not lines or lines[0].rstrip() != "---" or not ends:
        raise BadInput(
            "no front matter",
            where=f"{where}:1",
            next_step="begin the file with: ---, number: 3, title: ..., labels: [experiment], ---",
        )
    return "".join(lines[1 : ends[0]]), "".join(lines[ends[0] + 1 :]), ends[0] + 2


def _front_matter(header: str, where: str) -> _FrontMatter:
    try:
        return _FrontMatter.model_validate(yaml.safe_load(header))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "front matter"
        raise BadInput(f"{name}: {first['msg']}", where=f"{where}:2") from None
    except (yaml.YAMLError, ValueError, LookupError, TypeError) as error:  # the latter from YAML's own constructors
        raise BadInput(f"the front matter is no YAML: {error}", where=f"{where}:2") from None

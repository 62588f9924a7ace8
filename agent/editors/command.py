"""Any command line as the editor: it works in a throw-away folder, and what it did there is taken as a diff.

The command is the user's own and runs with the user's rights and keys. What it can give to the harness is new texts
of editable files, no more.
"""

import os
import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count as numbers
from itertools import islice
from pathlib import Path

from agent.core.errors import BadInput
from agent.core.proposals import Brief, Draft, Idea, Ideas
from agent.core.runs import Job, Result
from agent.core.sanitize import one_line, redact, secrets
from agent.editors import prompt
from agent.execution.folders import discard, fresh_folder
from agent.execution.process import RunningJob

TIMEOUT_S = 1800.0
FILE_BYTES = 256 << 10  # the largest file that may come out
SUMMARY_CAP = 200  # characters of its last line
_LOG_TAIL = 1 << 20  # bytes of a log's end in which the last line is looked for
_MAX_FILES = 10_000  # names in its folder that are looked at
_WITHHELD = re.compile(r"(GITHUB|GH)_\w+")  # variables that an editor has no use for: it reaches no tracker
_OWN_ENV = {"PYTHONDONTWRITEBYTECODE": "1"}  # an agent that tries its work leaves no __pycache__
# Standard input is a file: so the command may read it when it likes, or never. $0 is that file, $@ the command.
_WITH_STDIN = ("/bin/sh", "-c", 'exec "$@" <"$0"')


class Command:
    """The Editor that is a command: prompt on standard input, files in the current folder, the last line a summary."""

    def __init__(
        self,
        command: str,
        *,
        context: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        file_bytes: int = FILE_BYTES,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """`context` are files that it may read beside the brief's. Raises BadInput where there is no such command."""
        self._argv = _parse_command(command, environment)
        self._context, self._timeout_s, self._file_bytes = dict(context or {}), timeout_s, file_bytes
        self._env = {name: value for name, value in environment.items() if not _WITHHELD.fullmatch(name)}
        self._secrets = secrets(environment)

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:  # noqa: ARG002 (the Protocol's)
        """Return blank ideas: the command has its own while it writes, and names it in its summary."""
        return Ideas(tuple(Idea("", "", "", "") for _ in range(count)))

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """Run the command once and return its diff; what it may not do makes the draft a failure that names it."""
        place = Path(tempfile.mkdtemp(prefix="autoresearch-editor-"))
        logs = fresh_folder(next(at for n in numbers(1) if not (at := folder / f"command-{n}").exists()))
        try:
            before = {**self._context, **brief.files}
            _lay_out(place / "work", before, self._context)
            text = prompt.command_prompt(brief, idea, failure, self._secrets)
            (place / "prompt.txt").write_text(text, encoding="utf-8")
            return self._draft(place / "work", brief, before, self._run(place, logs))
        finally:
            discard(place)

    def _run(self, place: Path, logs: Path) -> Result:
        """Return its Result when nothing that it started is left; its log stays in the folder `logs`."""
        argv = (*_WITH_STDIN, str(place / "prompt.txt"), *self._argv)
        env = {**self._env, **_OWN_ENV}
        job = Job("", "", 0, "prepare", argv, env, logs.absolute(), self._timeout_s, "", gpus=0, trusted=True)
        result = RunningJob(job, place / "work").wait()
        log = logs / "run.log"
        text = redact(log.read_text(encoding="utf-8", errors="replace"), self._secrets)
        log.write_text(text, encoding="utf-8")
        return result

    def _draft(self, work: Path, brief: Brief, before: Mapping[str, str], result: Result) -> Draft:
        summary = self._last_line(Path(result.log))
        if result.status != "ok":
            return Draft(summary=summary, failure=f"the command did not end well: {result.reason or result.status}")
        violation = next(_violations(work, brief, before, self._file_bytes), "")
        if violation:
            return Draft(summary=summary, failure=violation)
        after = {path: (work / path).read_bytes().decode() for path in brief.files}
        changed = {path: text for path, text in after.items() if text != brief.files[path]}
        return Draft(changed, summary, "" if changed else "it changed nothing")

    def _last_line(self, log: Path) -> str:
        lines = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").splitlines()
        return next((line for raw in reversed(lines) if (line := one_line(raw, self._secrets, SUMMARY_CAP))), "")


def _parse_command(command: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command's words, with the whole path of the program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--editor cannot be read: {error}", next_step="close the quotes") from None
    program = shutil.which(words[0], path=environment.get("PATH")) if words else None
    if program is None:
        raise BadInput(
            f"--editor: there is no command {words[0] if words else ''!r}",
            next_step="give `anthropic`, or a command that is installed, such as --editor 'my-agent --yes'",
        )
    return str(Path(program).absolute()), *words[1:]


def _lay_out(work: Path, files: Mapping[str, str], read_only: Mapping[str, str]) -> None:
    work.mkdir()
    for path, text in files.items():
        place = work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())
        place.chmod(0o444 if path in read_only else 0o644)


# --- what it did ------------------------------------------------------------------------------------------


def _violations(work: Path, brief: Brief, before: Mapping[str, str], cap: int) -> Iterator[str]:
    """Yield in words what it did that it may not do. Nothing of it runs any more, so the folder stays as it is."""
    after = dict(islice(_entries(work), _MAX_FILES))
    if len(after) == _MAX_FILES:
        yield f"it left {_MAX_FILES:,} files and more"
    yield from (f"it made a symlink {_name(path)}" for path, info in after.items() if stat.S_ISLNK(info.st_mode))
    yield from (f"it removed {path}" for path in before if path not in after)
    yield from (f"it made a new file {_name(path)}" for path in after if path not in before and not _is_litter(path))
    for path in before:
        file_cap = cap if path in brief.files else None
        yield from _file_violations(work / path, path, before[path], after[path], file_cap)


def _file_violations(file: Path, path: str, before: str, info: os.stat_result, cap: int | None) -> Iterator[str]:
    """Yield what is wrong with one file; `cap` is None for a file that may not change."""
    if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
        yield f"it made {path} something other than a plain file"
    elif cap is None and (info.st_size != len(before.encode()) or file.read_bytes() != before.encode()):
        yield f"it changed {path}"
    elif info.st_mode & 0o111:
        yield f"it made {path} executable"
    elif cap is not None and info.st_size > cap:
        yield f"it made {path} {info.st_size:,} bytes long, and {cap:,} is the most"
    elif cap is not None and not _is_text(file.read_bytes()):
        yield f"it made {path} something other than UTF-8 text"


def _entries(work: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything in the folder but its folders, links not followed; an empty folder is nothing, as for git."""
    for folder, folders, files in os.walk(work, followlinks=False):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in [*files, *links]:
            path = Path(folder) / name
            yield str(path.relative_to(work)), path.lstat()


def _is_litter(path: str) -> bool:
    """Return whether an agent left this beside its work (.cache, __pycache__): it never comes out, nor is imported."""
    folders = Path(path).parts
    return folders[0].startswith(".") or "__pycache__" in folders


def _is_text(data: bytes) -> bool:
    try:
        return b"\0" not in data and data.decode() is not None
    except UnicodeDecodeError:
        return False


def _name(path: str) -> str:
    return one_line(path, limit=100)

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
SAID_CAP = 200  # characters of its last line
_LOG_READ = 1 << 20  # bytes of a log's end in which the last line is looked for
_ENTRIES = 10_000  # names in its folder that are looked at
_KEPT_BACK = re.compile(r"(GITHUB|GH)_\w+")  # what an editor has no use for: it reaches no tracker
_OWN = {"PYTHONDONTWRITEBYTECODE": "1"}  # an agent that tries its work leaves no __pycache__
# Standard input is a file: so the command may read it when it likes, or never. $0 is that file, $@ the command.
_FED = ("/bin/sh", "-c", 'exec "$@" <"$0"')


class Command:
    """The Editor that is a command: prompt on standard input, files in the current folder, its last line its word."""

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
        self._argv = _parsed(command, environment)
        self._context, self._timeout_s, self._file_bytes = dict(context or {}), timeout_s, file_bytes
        self._env = {name: value for name, value in environment.items() if not _KEPT_BACK.fullmatch(name)}
        self._known = secrets(environment)

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:  # noqa: ARG002 (the Protocol's)
        """Blank ideas: the command has its own while it writes, and says it in its last line, the draft's `said`."""
        return Ideas(tuple(Idea("", "", "", "") for _ in range(count)))

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """Run the command once and take its diff; what it may not do makes the draft a failure that names it."""
        place = Path(tempfile.mkdtemp(prefix="autoresearch-editor-"))
        own = fresh_folder(next(at for n in numbers(1) if not (at := folder / f"command-{n}").exists()))
        try:
            given = {**self._context, **brief.files}
            _lay(place / "work", given, self._context)
            (place / "prompt.txt").write_text(prompt.command_prompt(brief, idea, failure, self._known))
            result = self._run(place, own)
            return self._draft(place / "work", brief, given, result)
        finally:
            discard(place)

    def _run(self, place: Path, own: Path) -> Result:
        """Its Result, when nothing that it started is left; its log stays in the folder `own`."""
        argv = (*_FED, str(place / "prompt.txt"), *self._argv)
        env = {**self._env, **_OWN}
        job = Job("", "", 0, "prepare", argv, env, own.absolute(), self._timeout_s, "", gpus=0, trusted=True)
        result = RunningJob(job, place / "work").wait()
        log = own / "run.log"
        log.write_text(redact(log.read_text(errors="replace"), self._known))
        return result

    def _draft(self, work: Path, brief: Brief, given: Mapping[str, str], result: Result) -> Draft:
        said = self._last_line(Path(result.log))
        if result.status != "ok":
            return Draft(said=said, failure=f"the command did not end well: {result.reason or result.status}")
        wrong = next(_wrong(work, brief, given, self._file_bytes), "")
        if wrong:
            return Draft(said=said, failure=wrong)
        after = {path: (work / path).read_bytes().decode() for path in brief.files}
        changed = {path: text for path, text in after.items() if text != brief.files[path]}
        return Draft(changed, said, "" if changed else "it changed nothing")

    def _last_line(self, log: Path) -> str:
        lines = log.read_bytes()[-_LOG_READ:].decode(errors="replace").splitlines()
        return next((told for raw in reversed(lines) if (told := one_line(raw, self._known, SAID_CAP))), "")


def _parsed(command: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command's words, with the whole path of the program."""
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


def _lay(work: Path, given: Mapping[str, str], context: Mapping[str, str]) -> None:
    work.mkdir()
    for path, text in given.items():
        place = work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())
        place.chmod(0o444 if path in context else 0o644)


# --- what it did ------------------------------------------------------------------------------------------


def _wrong(work: Path, brief: Brief, given: Mapping[str, str], cap: int) -> Iterator[str]:
    """What it did that it may not do, in words. Nothing of it runs any more, so what is looked at stays as it is."""
    there = dict(islice(_entries(work), _ENTRIES))
    if len(there) == _ENTRIES:
        yield f"it left {_ENTRIES:,} files and more"
    yield from (f"it made a symlink {_name(path)}" for path, found in there.items() if stat.S_ISLNK(found.st_mode))
    yield from (f"it removed {path}" for path in given if path not in there)
    yield from (f"it made a new file {_name(path)}" for path in there if path not in given and not _litter(path))
    for path in given:
        yield from _wrong_file(work / path, path, given[path], there[path], cap if path in brief.files else None)


def _wrong_file(file: Path, path: str, before: str, found: os.stat_result, cap: int | None) -> Iterator[str]:
    """`cap` is None for a file that may not change."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        yield f"it made {path} something other than a plain file"
    elif cap is None and (found.st_size != len(before.encode()) or file.read_bytes() != before.encode()):
        yield f"it changed {path}"
    elif found.st_mode & 0o111:
        yield f"it made {path} executable"
    elif cap is not None and found.st_size > cap:
        yield f"it made {path} {found.st_size:,} bytes long, and {cap:,} is the most"
    elif cap is not None and not _is_text(file.read_bytes()):
        yield f"it made {path} something other than UTF-8 text"


def _entries(work: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything in the folder but its folders, with links not followed; an empty folder is nothing, as for git."""
    for folder, folders, files in os.walk(work, followlinks=False):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in [*files, *links]:
            path = Path(folder) / name
            yield str(path.relative_to(work)), path.lstat()


def _litter(path: str) -> bool:
    """What agents leave beside their work (.cache, __pycache__): none of it comes out, and no file can import it."""
    parts = Path(path).parts
    return parts[0].startswith(".") or "__pycache__" in parts


def _is_text(data: bytes) -> bool:
    try:
        return b"\0" not in data and data.decode() is not None
    except UnicodeDecodeError:
        return False


def _name(path: str) -> str:
    return one_line(path, limit=100)

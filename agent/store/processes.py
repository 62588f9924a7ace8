"""Git's programs: one command at a time, or one that stays and answers for as long as it is needed."""

import os
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import IO, TypeVar

from agent.core.errors import HarnessError

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else the import fails where git is missing, and not the check
_Answer = TypeVar("_Answer")
NO_HOOKS = ("git", "-c", "core.hooksPath=/dev/null")


class GitError(HarnessError):
    """Git said no; the text is git's."""


def query(root: Path, args: Sequence[str]) -> str:
    """Return the output of one command that only reads. Raises GitError where it fails."""
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run([*NO_HOOKS, *args], cwd=root, env=env, capture_output=True)
    if done.returncode != 0:
        raise GitError(done.stderr.decode(errors="replace").strip(), where=f"git {args[0]}")
    return done.stdout.decode(errors="surrogateescape").removesuffix("\n")


def change(root: Path, args: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Run one command that writes to the repository and return its output. Raises GitError where it fails."""
    from git import Git, GitCommandError  # a tenth of a second, and most commands write by the processes that stay

    try:
        out = Git(root).execute([*NO_HOOKS, *args], env=dict(env or {}))
    except GitCommandError as error:
        raise GitError(str(error.stderr).strip().removeprefix("stderr: "), where=f"git {args[0]}") from None
    assert isinstance(out, str)
    return out


class GitProcess:
    """A git command that reads requests and answers each at once; it is started with the first. Threads may share it.

    It is in a session of its own, so that a Ctrl-C meant for the harness leaves it its answers.
    """

    def __init__(self, root: Path, *args: str) -> None:
        self._root, self._args, self._lock = root, args, Lock()
        self._program: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    def ask(self, request: bytes, answer: Callable[[IO[bytes]], _Answer]) -> _Answer:
        """Send a request and return what `answer` reads. Raises GitError where git ends instead of answering."""
        with self._lock:
            try:
                program = self._started()
                assert program.stdin is not None
                assert program.stdout is not None
                program.stdin.write(request)
                program.stdin.flush()
                return answer(program.stdout)
            except (EOFError, BrokenPipeError):
                raise GitError(self._complaint() or "it ended", where=f"git {self._args[0]}") from None

    def close(self) -> None:
        """End the program; another request starts it anew."""
        with self._lock:
            self._end()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._program is None or self._program.poll() is not None:
            self._end()
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the program)
            pipe, env = subprocess.PIPE, {**os.environ, "LC_ALL": "C"}
            self._program = subprocess.Popen(
                [*NO_HOOKS, *self._args],
                cwd=self._root,
                env=env,
                stdin=pipe,
                stdout=pipe,
                stderr=self._errors,
                start_new_session=True,
            )
            self._ending = weakref.finalize(self, _end, self._program, self._errors)
        return self._program

    def _end(self) -> None:
        if self._program is not None:
            self._ending()
        self._program = self._errors = None

    def _complaint(self) -> str:
        """Return what git wrote about its end, which it has reached."""
        assert self._program is not None
        assert self._errors is not None
        self._program.wait()
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        self._end()
        return text


def _end(program: "subprocess.Popen[bytes]", errors: IO[bytes]) -> None:
    program.kill()
    for pipe in (program.stdin, program.stdout):
        try:
            assert pipe is not None
            pipe.close()
        except BrokenPipeError:  # a request that nobody read any more
            pass
    program.wait()
    errors.close()


def read_line(stream: IO[bytes]) -> bytes:
    """Return one line of an answer, without its end. Raises EOFError where there is no more."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return line[:-1]

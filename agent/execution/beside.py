"""Processes that a run of ours starts beside itself: the audit's scorer, those that have the model.

A run from a warm worker inherits a zygote of its own, which knows nothing of its request (zygote.py). What is started
comes from there, in the sandbox that its command describes; else it is a process of its own. It ends with the run.
"""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from agent.core.frozen import frozen
from agent.execution.worker import Request, Supervised, begin, pipe


class Process(Protocol):
    """A process with pipes to its standard input and output, and its error output here; subprocess.Popen is one."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    def kill(self) -> None: ...

    def wait(self) -> Any: ...


@frozen
class _Forked:
    """A process that was forked beside this one."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    run: Supervised

    def kill(self) -> None:
        self.run.control.close()

    def wait(self) -> None:
        """Wait until it has ended, and all that it started."""
        with self.run.status as status:
            status.read()


def start_beside(command: Sequence[str]) -> Process:
    """Start a command, from the zygote that this process inherited where there is one; its environment is ours."""
    number = os.environ.get("AUTORESEARCH_ZYGOTE")
    env = {name: value for name, value in os.environ.items() if name != "AUTORESEARCH_ZYGOTE"}
    if number and "--" in command and (forked := _fork_beside(int(number), command, env)):
        return forked
    return subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _fork_beside(number: int, command: Sequence[str], env: Mapping[str, str]) -> _Forked | None:
    limits = {"file": resource.getrlimit(resource.RLIMIT_FSIZE)[0]}  # the others are those of all of us together
    request = Request(command, str(Path.cwd()), env, limits, "/")
    (stdin, queries), (answers, stdout) = pipe(), pipe()
    with stdin, stdout, socket.socket(fileno=os.dup(number)) as zygote:
        run = begin(zygote, request, (stdin.fileno(), stdout.fileno(), sys.stderr.fileno()))
    if run is None:
        queries.close()
        answers.close()
        return None
    return _Forked(queries, answers, run)

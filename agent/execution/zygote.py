"""A process that has imported what runs import, and forks a run that needs no import of its own. A script.

    python -s zygote.py SOCKET LIFE [MODULE ...]

It imports the MODULEs and says `ready` on SOCKET. For each message there it forks, and does nothing else: it reads no
request and runs no code but the MODULEs', so every child starts from the same memory, and a run can leave nothing to
the next. LIFE is a pipe whose other end the harness holds; the kernel ends the zygote when that end is closed.

The child is the run's supervisor (supervisor.py, the same code as for a process of its own). It reads the request from
its control pipe, says so on its status pipe, and starts bubblewrap, as for any run, around a shell that holds the
sandbox open. It forks again; that child joins the shell's namespaces, gives up every privilege and becomes the run:
the shell's environment, the script as `__main__`. What bubblewrap set up is what the run gets: a sandbox of its own,
which ends with it. Where the child may not join, or a folder hides a module that is imported here, the supervisor
starts the command as any run's does.

The message `+` comes for a run of ours that starts others (the audit's scorer). It has no sandbox, but before its
supervisor reads the request, it forks a zygote of its own, and the run inherits the socket to that. What it starts from
there is a run like any other, and ends with the supervisor.
"""

import array
import fcntl
import gc
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

sys.path[0] = str(Path(__file__).parents[2])
# a script: its own folder is on the path, and must not be
from agent.execution import forked, supervisor  # noqa: E402

del sys.path[0]

FDS = 5  # that come with each message: the supervisor's control, the run's standard streams, the supervisor's status
# The sandbox's first command: it prints its number, and ends when nobody holds its standard input any more.
_HOLD = ("/bin/sh", "-c", "echo $$; read -r _")


# --- the zygote -------------------------------------------------------------------------------------------


def main() -> None:
    """Fork for each request until the harness is gone."""
    requests, life = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)  # SIGIO ends this process
    for name in sys.argv[3:]:
        with suppress(ImportError):  # the script that needs it says so itself
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is here already, no run's collector goes through: that would copy it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a supervisor
    requests.send(b"ready")
    _fork_each(requests, life)


def _fork_each(requests: socket.socket, *private: int) -> None:
    """Fork for each request until nobody can send one; no child has what is `private`."""
    while message := _receive(requests):
        kind, fds = message
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _close(private)
            with suppress(BrokenPipeError):  # nobody waits for it any more: what has not begun does not begin
                _serve(_fork_zygote(fds) if kind == b"+" else None, *fds)
            os._exit(1)
        _close(fds)


def _receive(requests: socket.socket) -> tuple[bytes, list[int]] | None:
    """Return the next request and its descriptors; None when all other ends are closed."""
    fds = array.array("i")
    kind, ancillary, _, _ = requests.recvmsg(1, socket.CMSG_SPACE(FDS * fds.itemsize))
    for _, _, data in ancillary:
        fds.frombytes(data)
    return (kind, list(fds)) if fds else None


def _close(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)


def _fork_zygote(fds: Sequence[int]) -> int:
    """Fork a zygote that has none of `fds`; return the descriptor of the socket that takes its requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        _close(fds)
        _fork_each(theirs)
        os._exit(0)
    theirs.close()
    return ours.detach()


# --- the supervisor of a run ------------------------------------------------------------------------------


def _serve(heir: int | None, control: int, stdin: int, stdout: int, stderr: int, status: int) -> NoReturn:
    """Supervise the run that is asked for on `control`, or be that run, and end. heir: leads to a zygote of its own."""
    os.setsid()
    for fd, number in ((control, 0), (stderr, 1), (stderr, 2)):
        os.dup2(fd, number)
    os.close(control)
    request, streams = _request(), (stdin, stdout, stderr)
    os.write(status, supervisor.BEGUN)
    supervisor.adopt_orphans()
    if heir is None:
        child: supervisor.Child = _Sandbox(request, streams).start()
    else:
        child = _Forked(os.fork() or _run_bare(request, streams, heir))
        os.close(heir)
    _close(streams)
    supervisor.supervise(child, request["limits"], request["disk"], status)
    if isinstance(child, _Forked):
        os.write(status, supervisor.FORKED)
    os._exit(0)


def _run_bare(request: dict[str, Any], streams: forked.Streams, heir: int) -> NoReturn:
    """Be a run that is code of ours: it has no sandbox, and may start others."""
    os.setsid()
    supervisor.restrict(request["limits"])
    forked.take(streams, heir)
    os.environ.clear()
    os.environ.update({**request["env"], "AUTORESEARCH_ZYGOTE": str(forked.HEIR)})
    os.chdir(request["cwd"])
    forked.run(request["command"])


def _request() -> dict[str, Any]:
    """Return the first line of standard input. What follows there is its end, when the run is to be killed."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(0, 1 << 16)
        if not chunk:
            os._exit(1)
        line += chunk
    return dict(json.loads(line))


class _Forked:
    """A child that was forked, with what the supervisor knows of a Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self, options: int = os.WNOHANG) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, options)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self) -> int:
        code = self.poll(0)
        assert code is not None
        return code

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class _Sandbox:
    """A sandbox that a shell holds open. The shell prints its number."""

    def __init__(self, request: dict[str, Any], streams: forked.Streams) -> None:
        self._request, self._streams = request, streams
        cut = request["command"].index("--") + 1
        (program, *options), self._argv = request["command"][:cut], request["command"][cut:]
        read, write = os.pipe()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "pass_fds": [write]}
        self._bwrap = self._popen([program, "--info-fd", str(write), *options, *_HOLD], **pipes)
        os.close(write)
        assert self._bwrap.stdout is not None
        self._shell = self._bwrap.stdout.readline().decode().strip()
        self._init = _first_process(read) if self._shell else 0
        os.close(read)

    def _popen(self, command: list[str], **streams: Any) -> "subprocess.Popen[bytes]":
        limits, cwd, env = (self._request[name] for name in ("limits", "cwd", "env"))
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: supervisor.restrict(limits),
            **streams,
        )

    def start(self) -> supervisor.Child:
        """Start the run in it and return what is to be supervised."""
        if not self._shell:
            return self._bwrap  # it has said what is wrong
        cwd = Path(self._request["cwd"])
        if not any(map(_hides_a_module, {cwd, (cwd / self._argv[1]).parent})):
            read, write = os.pipe()
            if (pid := os.fork()) == 0:
                forked.enter(self._init, self._request["limits"], write)
                self._become()
            os.close(write)
            entered = os.read(read, 1)
            os.close(read)
            if entered:
                return _Forked(pid)
            os.waitpid(pid, 0)
        self._bwrap.kill()
        self._bwrap.wait()
        stdin, stdout, stderr = self._streams
        return self._popen(self._request["command"], stdin=stdin, stdout=stdout, stderr=stderr)

    def _become(self) -> NoReturn:
        """Be the run."""
        for pipe in (self._bwrap.stdin, self._bwrap.stdout):
            assert pipe is not None
            pipe.close()
        forked.confine(self._request["cwd"], self._shell, self._streams)
        forked.run(self._argv)


def _first_process(info: int) -> int:
    """Return the number of the sandbox's first process, as bubblewrap prints it."""
    text = b""
    while b"}" not in text and (chunk := os.read(info, 1 << 12)):
        text += chunk
    number = re.search(rb'"child-pid": (\d+)', text)
    return int(number[1]) if number else 0


def _hides_a_module(folder: Path) -> bool:
    """Return whether `import` would find a file in a folder of the run instead of a module that is here already."""
    beside = {entry.name.partition(".")[0] for entry in os.scandir(folder)}
    return not beside.isdisjoint({name.partition(".")[0] for name in sys.modules} - {"agent", "__main__"})


if __name__ == "__main__":
    main()

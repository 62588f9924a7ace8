"""Starts Python scripts as forks of a process that has their imports: milliseconds in place of a second or three.

There are two servers, one for the harness's command line and one for scripts that import torch. Each belongs to a test
process, has one thread, and starts with the first program that is asked of it:

    python -m tests.support.forkserver (harness|torch) FD

What a child gets (arguments, folder, environment, standard streams) and what its parent learns (pid, exit status,
signals) are those of a process of its own; only its imports are done, and those of its runs (zygotes.py). Where Python
itself reads the environment, or fork is not safe (it is on Linux), the program starts afresh.
"""

import gc
import importlib
import inspect
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HARNESS = ROOT / "agent" / "run.py"
SCRIPTS = (  # modules that are run and not imported
    "agent.run",
    "agent.audit.scorer",
    "agent.audit.model_server",
    "agent.execution.supervisor",
    "agent.execution.zygote",
)
LIBRARIES = {
    "harness": (
        "anthropic", "filelock", "git", "github", "markdown_it", "numpy", "psutil", "pydantic", "rich", "yaml",
        "matplotlib.figure", "matplotlib.backends.backend_agg",  # a third of a campaign that explores
    ),
    "torch": (
        "filelock", "numpy", "psutil", "tokenizers", "torch", "torch.nn.functional",
        "torch._dynamo",  # the first optimizer of a process imports it: that took longer than eight steps
    ),
}  # fmt: skip
READ_AT_START = ("PYTHON", "LANG", "LC_")  # environment variables
REPLY = struct.Struct("id")  # a pid; then how it ended, and its processor seconds
FORKS = sys.platform == "linux"


# --- the server -------------------------------------------------------------------------------------------


def preload(kind: str) -> None:
    """Import what a script may import, and put it beyond the reach of the collector: forks share its pages."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one thread in all: only then is a fork safe
    for name in LIBRARIES[kind]:
        importlib.import_module(name)
    if kind == "harness":
        import agent

        for module in pkgutil.walk_packages(agent.__path__, "agent."):
            if not module.name.startswith(SCRIPTS):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def serve(control: socket.socket, kind: str) -> dict[str, Any] | None:
    """Fork a child for every request until the test process is gone. Return in a child its request, else None."""
    zygotes = importlib.import_module("tests.support.zygotes") if kind == "harness" else None
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, whose end is ours
    replies: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            _reap(replies)
        if control.fileno() in ready:
            message, fds, _, _ = socket.recv_fds(control, 1 << 20, 4)
            if not message:
                control.close()
                return None
            if zygotes:
                zygotes.collect()
            if (pid := os.fork()) == 0:
                _forget(control, *replies.values())
                _become(fds[:3], zygotes.adopt() if zygotes else [])
                return dict(json.loads(message))
            replies[pid] = socket.socket(fileno=fds[3])
            replies[pid].send(REPLY.pack(pid, 0.0))
            for fd in fds[:3]:
                os.close(fd)


def _reap(replies: dict[int, socket.socket]) -> None:
    """Tell the parents of children that have ended how they ended."""
    while replies:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        with replies.pop(pid) as reply:
            try:
                reply.send(REPLY.pack(status, used.ru_utime + used.ru_stime))
            except OSError:  # nobody waits for it any more
                continue


def _forget(*sockets: socket.socket) -> None:
    """Let no socket of the server's close a file of the child's that has its number."""
    for each in sockets:
        os.close(each.detach())


def _become(streams: list[int], kept: list[int]) -> None:
    """Be a process like any other, with these standard streams and no other open file but those that are kept."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    for last, following in pairwise([2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(last + 1, following)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _writer(1, "strict")
    sys.stderr = _writer(2, "backslashreplace")


def _writer(number: int, errors: str) -> io.TextIOWrapper:
    file = open(number, "wb", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(file, encoding="utf-8", errors=errors, line_buffering=number == 2 or os.isatty(number))


def run(request: dict[str, Any]) -> None:
    """Be `python SCRIPT ARGUMENTS`, where that is asked for."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    time.tzset()
    tempfile.tempdir = None
    sys.argv = request["argv"]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


# --- its client -------------------------------------------------------------------------------------------


class Server:
    """A server of this test process; its end of the control socket closes with this process."""

    def __init__(self, kind: str) -> None:
        self.lock = threading.Lock()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [sys.executable, "-m", "tests.support.forkserver", kind, str(theirs.fileno())]
        with theirs:
            self.process = subprocess.Popen(argv, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def start(self, request: Mapping[str, object], streams: list[int]) -> tuple[int, socket.socket]:
        """Return the pid of a new child, and where its exit status will come."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self.lock:
            socket.send_fds(self.control, [json.dumps(request).encode()], [*streams, theirs.fileno()])
        pid, _ = REPLY.unpack(ours.recv(REPLY.size))
        return int(pid), ours


SERVERS: dict[tuple[str, int], Server] = {}  # a fork of the process that started one must not share its socket


def server(kind: str) -> Server:
    """Return this process's server of a kind; the first call starts it."""
    key = kind, os.getpid()
    if key not in SERVERS:
        SERVERS[key] = Server(kind)
    return SERVERS[key]


def close() -> None:
    """Let the servers of this process end; a later start has new ones."""
    while SERVERS:
        _, one = SERVERS.popitem()
        one.control.close()
        one.process.wait()


class Forked(subprocess.Popen[Any]):
    """`python SCRIPT ARGUMENTS` as a Popen, whose process is a server's child: only how it starts and ends differs."""

    _execute = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
    _reply: socket.socket
    cpu_s = 0.0  # processor seconds of it and its children, once it has ended

    def _execute_child(self, *given: Any) -> None:
        call = self._execute.bind(self, *given).arguments
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        chosen = [call[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [number if fd == -1 else fd for number, fd in enumerate(chosen)]
        _, script, *args = map(str, call["args"])
        request = {
            "argv": [script, *args],
            "cwd": str(call["cwd"] or Path.cwd()),
            "env": dict(call["env"] or os.environ),
        }
        kind = "harness" if Path(script) == HARNESS else "torch"
        try:
            self.pid, self._reply = server(kind).start(request, streams)
        finally:
            self._close_pipe_fds(*(call[name] for name in pipes))  # type: ignore[attr-defined]
        self._child_created = True

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not select.select([self._reply], [], [], 0)[0]:
            return 0, 0
        with self._reply:
            status, self.cpu_s = REPLY.unpack(self._reply.recv(REPLY.size))
        return self.pid, status

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def popen(argv: Sequence[str], *, env: dict[str, str], fresh: bool = False, **more: Any) -> subprocess.Popen[Any]:
    """Start `python SCRIPT ARGUMENTS`: as a fork, but where a fresh start is asked for or a fork will not do."""
    kind = subprocess.Popen if fresh or not can_fork(env) else Forked
    return kind(argv, env=env, **more)


def can_fork(env: dict[str, str]) -> bool:
    """Whether a program with this environment may be a fork: Python itself read the server's when it started."""
    ours, theirs = ({name: each[name] for name in each if name.startswith(READ_AT_START)} for each in (os.environ, env))
    return FORKS and ours == theirs


if __name__ == "__main__":
    preload(sys.argv[1])
    assert len(list(Path("/proc/self/task").iterdir())) == 1
    if (request := serve(socket.socket(fileno=int(sys.argv[2])), sys.argv[1])) is not None:
        run(request)

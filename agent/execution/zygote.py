"""A process that has imported what runs import, and forks a run that needs no import of its own. A script.

    python -s zygote.py SOCKET LIFE [MODULE ...]

It imports the MODULEs and says `ready` on SOCKET. For each message there it forks, and does nothing else: it reads no
request and runs no code but the MODULEs', so every child starts from the same memory, and a run can leave nothing to
the next. LIFE is a pipe whose other end the harness holds; the kernel ends the zygote when that end is closed.

The child is the run's supervisor (supervisor.py, the same code as for a process of its own). It reads the request from
its standard input and starts bubblewrap, as for any run, around a shell that holds the sandbox open. It forks again;
that child joins the shell's namespaces, gives up every privilege and becomes the run: the shell's environment, the
script as `__main__`. What bubblewrap set up is what the run gets: a sandbox of its own, which ends with it. Where the
child may not join, or the script's folder hides a module that is imported here, the shell runs the command itself.
"""

import array
import atexit
import builtins
import ctypes
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
import threading
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

sys.path[0] = str(Path(__file__).parents[2])
from agent.execution import supervisor  # noqa: E402 (a script: its own folder is on the path, and must not be)

del sys.path[0]

FDS = 3  # that come with each message: the run's control (its standard input), output and status
_LIBC = ctypes.CDLL(None, use_errno=True)
_NAMESPACES = 0x10000000 | 0x20000 | 0x20000000 | 0x40000000 | 0x8000000 | 0x4000000 | 0x2000000  # all but time
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 24, 38, 47
_CAPABILITY_VERSION_3 = 0x20080522
_NO_PRIVILEGES = (
    r"NoNewPrivs:\t1$",
    *(rf"{name}:\t0+$" for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")),
)


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
    while fds := _receive(requests):
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            os.close(life)
            _serve(*fds)
        for fd in fds:
            os.close(fd)


def _receive(requests: socket.socket) -> list[int]:
    """Return the descriptors of the next request; none when the harness has closed its end."""
    fds = array.array("i")
    _, ancillary, _, _ = requests.recvmsg(1, socket.CMSG_SPACE(FDS * fds.itemsize))
    for _, _, data in ancillary:
        fds.frombytes(data)
    return list(fds)


# --- the supervisor of a run ------------------------------------------------------------------------------


def _serve(control: int, output: int, status: int) -> NoReturn:
    """Supervise the run that is asked for on `control`, or be that run, and end."""
    os.setsid()
    for fd, number in ((control, 0), (output, 1), (output, 2)):
        os.dup2(fd, number)
    os.close(control)
    os.close(output)
    request = _request()
    supervisor.adopt_orphans()
    sandbox = _Sandbox(request)
    child = sandbox.start()
    if child is None:
        sandbox.forget()
        _confine(request["cwd"], sandbox.shell)
        _run(request["argv"])
    supervisor.supervise(child, request["limits"], request["disk"], status)
    os._exit(0)


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
    """A sandbox that a shell holds open. The shell prints its number, and at a line it runs the command itself."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request, limits = request, request["limits"]
        read, write = os.pipe()
        program, *options = request["sandbox"]
        self._bwrap = subprocess.Popen(
            [program, "--info-fd", str(write), *options],
            cwd=request["cwd"],
            env=request["env"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[write],
            start_new_session=True,
            preexec_fn=lambda: supervisor.restrict(limits),
        )
        os.close(write)
        assert self._bwrap.stdout is not None
        self.shell = self._bwrap.stdout.readline().decode().strip()
        self._init = _first_process(read) if self.shell else 0
        os.close(read)

    def start(self) -> supervisor.Child | None:
        """Start the run and return what is to be supervised; in the run itself, return None."""
        if self._init and not _hides_a_module(Path(self._request["cwd"], self._request["argv"][1])):
            read, write = os.pipe()
            if (pid := os.fork()) == 0:
                _enter(self._init, self._request["limits"], write)
                return None
            os.close(write)
            entered = os.read(read, 1)
            os.close(read)
            if entered:
                return _Forked(pid)
            os.waitpid(pid, 0)
        return self._without_us()

    def _without_us(self) -> supervisor.Child:
        """Have the shell run the command, if there is a shell."""
        assert self._bwrap.stdin is not None
        with suppress(BrokenPipeError):
            self._bwrap.stdin.write(b"\n")
            self._bwrap.stdin.close()
        return self._bwrap

    def forget(self) -> None:
        """Close what the run must not have."""
        assert self._bwrap.stdin is not None
        assert self._bwrap.stdout is not None
        self._bwrap.stdin.close()
        self._bwrap.stdout.close()


def _first_process(info: int) -> int:
    """Return the number of the sandbox's first process, as bubblewrap prints it."""
    text = b""
    while b"}" not in text and (chunk := os.read(info, 1 << 12)):
        text += chunk
    number = re.search(rb'"child-pid": (\d+)', text)
    return int(number[1]) if number else 0


def _hides_a_module(script: Path) -> bool:
    """Return whether `import` in the script would find a file beside it instead of a module that is here already."""
    beside = {entry.name.partition(".")[0] for entry in os.scandir(script.parent)}
    return not beside.isdisjoint({name.partition(".")[0] for name in sys.modules} - {"agent"})


def _enter(init: int, limits: dict[str, int], entered: int) -> None:
    """Join the sandbox's namespaces, write to `entered` and return in a child that is inside; end where it may not."""
    os.setsid()
    supervisor.restrict(limits)
    try:
        joined = _LIBC.setns(os.pidfd_open(init), _NAMESPACES) == 0
    except OSError:
        joined = False
    if not joined:
        os._exit(1)
    os.write(entered, b"1")
    if run := os.fork():
        os.closerange(0, 1 << 16)
        _mirror(run)


def _mirror(pid: int) -> NoReturn:
    """End as the run ends."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler to reset
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


# --- the run ----------------------------------------------------------------------------------------------


def _confine(cwd: str, shell: str) -> None:
    """Become what bubblewrap would have started: the shell's environment, no privilege, nothing open but the output."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.closerange(3, 1 << 20)
    os.setsid()
    environ = Path(f"/proc/{shell}/environ").read_bytes().split(b"\0")
    os.environ.clear()
    os.environb.update(dict(entry.split(b"=", 1) for entry in environ if entry))
    _give_up_privileges()
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.chdir(cwd)


def _give_up_privileges() -> None:
    """Drop every capability, for good. Joining a namespace gave them all, within it."""
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for number in range(64):
        _LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    _LIBC.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _LIBC.capset(header, none)
    status = Path("/proc/self/status").read_text()
    if not all(re.search(f"^{line}", status, re.MULTILINE) for line in _NO_PRIVILEGES):
        os._exit(126)  # never a run that has them


def _run(argv: list[str]) -> NoReturn:
    """Run a script as `python SCRIPT ...` does."""
    sys.orig_argv, sys.argv = argv, argv[1:]
    sys.path.insert(0, str(Path(argv[1]).resolve().parent))
    for name in [name for name in sys.modules if name.partition(".")[0] == "agent"]:
        del sys.modules[name]
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # random seeds itself after a fork; numpy does not
    path = os.path.abspath(argv[1])  # noqa: PTH100 (links stay, as in Python)
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins, __annotations__={}, __cached__=None)
    main.__loader__ = SourceFileLoader("__main__", path)
    here = set(sys.modules)
    sys.modules["__main__"] = main
    _finish(_execute(path, main.__dict__), here)


def _execute(path: str, namespace: dict[str, Any]) -> int:
    """Execute a script and return its exit status."""
    try:
        exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), namespace)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return (end.code or 0) & 0xFF
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:
        trace = error.__traceback__ and error.__traceback__.tb_next  # without this function
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _finish(code: int, here: set[str]) -> NoReturn:
    """End as Python ends, but for the modules that were here before the run: to take them down copies them first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.modules["__main__"].__dict__.clear()  # closes what it left open
    for name in sys.modules.keys() - here:
        del sys.modules[name]
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()

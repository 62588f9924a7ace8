"""How a child of a zygote becomes a run: it joins a sandbox, gives up every privilege, and executes the script.

Standard library and supervisor.py alone. Nothing here returns to the zygote's code.
"""

import atexit
import builtins
import ctypes
import gc
import os
import re
import signal
import sys
import threading
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from agent.execution import supervisor

HEIR = 3  # the descriptor by which a run has a zygote of its own
Streams = tuple[int, int, int]
_LIBC = ctypes.CDLL(None, use_errno=True)
_NAMESPACES = 0x10000000 | 0x20000 | 0x20000000 | 0x40000000 | 0x8000000 | 0x4000000 | 0x2000000  # all but time
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 24, 38, 47
_CAPABILITY_VERSION_3 = 0x20080522
_NO_PRIVILEGES = (
    r"NoNewPrivs:\t1$",
    *(rf"{name}:\t0+$" for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")),
)

# --- the sandbox ------------------------------------------------------------------------------------------


def enter(init: int, limits: dict[str, int], entered: int) -> None:
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


def take(streams: Streams, heir: int | None = None) -> None:
    """Have these standard streams and nothing else open, but for `heir`, which becomes HEIR."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    if heir is not None:
        os.dup2(heir, HEIR, inheritable=False)
    os.closerange(HEIR + (heir is not None), 1 << 20)


def confine(cwd: str, shell: str, streams: Streams) -> None:
    """Become what bubblewrap would have started: the shell's environment, no privilege, nothing open but `streams`."""
    take(streams)
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
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    if not all(re.search(f"^{line}", status, re.MULTILINE) for line in _NO_PRIVILEGES):
        os._exit(126)  # never a run that has them


def run(argv: list[str]) -> NoReturn:
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

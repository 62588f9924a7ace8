"""A small parent for one run: nothing the run starts outlives it. A script of its own; standard library only.

    python -I reaper.py STATUS_FD -- COMMAND...

Whatever the command forks, daemons included, is re-parented here (Linux) and killed when the command ends or when
standard input closes. The harness holds the other end of that pipe, so a harness that is killed with SIGKILL takes
its run along. STATUS_FD receives one line: `exit N` or `signal N`.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINUX = sys.platform == "linux"


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with_reaper() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: subprocess.Popen[bytes]) -> None:
    """Return when the command has ended or the harness has let go of standard input."""
    try:
        ended = os.pidfd_open(child.pid)
    except (AttributeError, OSError):  # not Linux, or a kernel without it
        while child.poll() is None and not select.select([0], [], [], 0.05)[0]:
            pass
        return
    select.select([0, ended], [], [])


def _children() -> list[int]:
    """Direct children of this process, which as a subreaper has every orphan among them."""
    me, found = os.getpid(), []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 (pathlib would double the start-up time)
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
                parent = int(stat.read().rpartition(b")")[2].split()[1])
        except OSError:  # it ended while we looked
            continue
        if parent == me:
            found.append(int(name))
    return found


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_all(child: subprocess.Popen[bytes]) -> None:
    """Kill generation after generation until no child is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    while _LINUX and (pids := _children()):
        for pid in pids:
            _end(pid)
        while _reaped():
            pass
        time.sleep(0.001)


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def main() -> None:
    status_fd, command = int(sys.argv[1]), sys.argv[3:]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_reaper, close_fds=True
    )
    _wait(child)
    code = child.poll()
    if code is None:
        child.kill()
        code = child.wait()
    _kill_all(child)
    os.write(status_fd, (f"exit {code}\n" if code >= 0 else f"signal {-code}\n").encode())


if __name__ == "__main__":
    main()

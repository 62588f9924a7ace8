"""A small parent for one run: nothing the run starts outlives it. A script of its own; standard library only.

    python -I supervisor.py STATUS_FD [LIMIT=NUMBER ...] [FOLDER] -- COMMAND...

Whatever the command forks, daemons included, is re-parented here (Linux) and killed when the command ends or when
standard input closes. The harness holds the other end of that pipe, so a harness that is killed with SIGKILL takes
its run along. STATUS_FD receives two lines: `cpu SECONDS`, of all processors for all that the command started, after
`exit N`, `signal N`, or `limit NAME` where the run went beyond a limit (from a warm worker BEGUN before, FORKED after).
The seconds are the kernel's, of every process that somebody waited for, or our own, of every one that was seen,
whichever are more. The limits:

    processes, threads   of all that the command started, at once
    memory               bytes that all of it holds
    min_free_bytes       bytes that must stay free on the disk of FOLDER (and a few files, too)
    files                files that may be added there
    file                 bytes of one file: the kernel's own limit, which fails the write
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Protocol

PERIOD_S = 0.2  # between two looks at what the run takes
BEGUN, FORKED = b"begun\n", b"forked\n"  # the request is read, nothing has run yet; the run was no process of its own
_FEW_FILES = 1000  # a disk with fewer left is full, where it counts them at all
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINUX = sys.platform == "linux"
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Child(Protocol):
    """The command that is supervised; subprocess.Popen is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def kill(self) -> None: ...


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def restrict(limits: dict[str, int]) -> None:
    """Restrict a child before it runs: it dies with the supervisor, and before others where memory is short."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "file" in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"], limits["file"]))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="utf-8") as score:  # noqa: PTH123
        score.write("1000")


# --- looking ----------------------------------------------------------------------------------------------


def _stat(pid: int) -> tuple[int, int, int, int] | None:
    """Return parent, threads, resident bytes and processor ticks of a process; None where it has just ended.

    They are fields of proc_pid_stat(5).
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 (pathlib would double the start-up time)
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[17]), int(fields[21]) * _PAGE, int(fields[11]) + int(fields[12])


def _pids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208


def _below(roots: set[int], parents: dict[int, int]) -> set[int]:
    """Return everything in `parents` that descends from `roots`."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    below, left = set[int](), list(roots)
    while left:
        new = children.pop(left.pop(), [])
        below.update(new)
        left += new
    return below


class _Tree:
    """The processes below this one. What is known to be another's is not looked at again: a look costs little."""

    def __init__(self) -> None:
        self._me = os.getpid()
        self._others: set[int] = set()

    def look(self) -> dict[int, tuple[int, int, int, int]]:
        """Return each process of the run, with its parent, threads, resident bytes and processor ticks."""
        present = _pids()
        self._others &= present
        seen = {pid: stat for pid in present - self._others - {self._me} if (stat := _stat(pid)) is not None}
        parents = {pid: stat[0] for pid, stat in seen.items()}
        mine = _below({self._me}, parents)
        self._others |= _below(self._others | {0}, parents)
        return {pid: seen[pid] for pid in mine}


def _shared_out(pid: int, resident: int) -> int:
    """Return the bytes that a process holds, with what it shares counted in shares.

    One that has just ended holds nothing; one that lets nobody look is taken for what is `resident`.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:  # noqa: PTH123
            lines = rollup.read().splitlines()
    except PermissionError:
        return resident
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(b"Pss:"))


class _Spent:
    """The processor ticks of every process that was ever seen. Its parent may not count it: who ignores SIGCHLD, no."""

    def __init__(self) -> None:
        self._ended = 0
        self._latest: dict[int, int] = {}

    def add(self, ticks: dict[int, int]) -> None:
        """Take in a look. A process that is not there any more, or whose number another one has, has ended."""
        ended = (pid for pid, spent in self._latest.items() if ticks.get(pid, -1) < spent)
        self._ended += sum(self._latest[pid] for pid in ended)
        self._latest = ticks

    def seconds(self) -> float:
        """Return the processor seconds of all of them, as far as they were seen."""
        return (self._ended + sum(self._latest.values())) / os.sysconf("SC_CLK_TCK")


class _Watch:
    """Holds what the run takes against its limits; a limit that is not named does not bind."""

    def __init__(self, limits: dict[str, int], folder: str) -> None:
        self._limits, self._folder, self._tree, self._spent = limits, folder, _Tree(), _Spent()
        self._files_before = os.statvfs(folder).f_ffree

    def limit_hit(self) -> str:
        """Return the name of a limit that the run is beyond, or nothing."""
        return next(self._crowded(), "") or self.full()

    def full(self) -> str:
        """Return the name of a limit of the disk that the run is beyond, or nothing."""
        return next(self._full(), "")

    def cpu_s(self) -> float:
        """Return the processor seconds of all that was seen of the run."""
        return self._spent.seconds()

    def _crowded(self) -> Iterator[str]:
        tree = self._tree.look() if _LINUX else {}
        self._spent.add({pid: ticks for pid, (*_, ticks) in tree.items()})
        if len(tree) > self._limits.get("processes", sys.maxsize):
            yield "processes"
        if sum(threads for _, threads, *_ in tree.values()) > self._limits.get("threads", sys.maxsize):
            yield "threads"
        memory = self._limits.get("memory", sys.maxsize)
        # Resident bytes count what processes share once for each: a sum that is too high is looked at more closely.
        resident = sum(size for _, _, size, _ in tree.values())
        if resident > memory and sum(_shared_out(pid, size) for pid, (_, _, size, _) in tree.items()) > memory:
            yield "memory"

    def _full(self) -> Iterator[str]:
        disk = os.statvfs(self._folder)
        scarce = disk.f_files > 0 and disk.f_favail < _FEW_FILES
        if "min_free_bytes" in self._limits and (
            disk.f_bavail * disk.f_frsize < self._limits["min_free_bytes"] or scarce
        ):
            yield "min_free_bytes"
        if self._files_before - disk.f_ffree > self._limits.get("files", sys.maxsize):
            yield "files"


# --- waiting and ending -----------------------------------------------------------------------------------


def _end_of(child: Child) -> list[int]:
    """Return a descriptor that becomes readable when the command ends, where there is such a thing."""
    try:
        return [os.pidfd_open(child.pid)]
    except (AttributeError, OSError):  # not Linux, or a kernel without it
        return []


def _wait(child: Child, watch: _Watch) -> str:
    """Return when the command has ended or the harness has let go of standard input, or with the limit it is beyond.

    A command may have failed of the disk that it filled before anybody looked.
    """
    ended = _end_of(child)
    while child.poll() is None and not select.select([0, *ended], [], [], PERIOD_S if ended else 0.05)[0]:
        if name := watch.limit_hit():
            return name
    return watch.full() if child.poll() else ""


def _children() -> list[int]:
    """Return the direct children of this process, which as a subreaper has every orphan among them."""
    me = os.getpid()
    return [pid for pid in _pids() if (stat := _stat(pid)) is not None and stat[0] == me]


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_all(child: Child) -> None:
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


def _limits(options: list[str]) -> tuple[dict[str, int], str]:
    """Return the options before the command: limits by name, and the folder whose disk is watched."""
    named = [option.split("=", 1) for option in options if "=" in option and not option.startswith("/")]
    return {name: int(value) for name, value in named}, next((o for o in options if o.startswith("/")), "/")


def adopt_orphans() -> None:
    """Become the parent of every daemon that is started below this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def supervise(child: Child, limits: dict[str, int], folder: str, status_fd: int) -> None:
    """Wait until a command is over, kill what is left of it and report how it ended."""
    watch = _Watch(limits, folder)
    limit_hit = _wait(child, watch)
    code = child.poll()
    if code is None:
        child.kill()
        code = child.wait()
    _kill_all(child)
    ending = f"limit {limit_hit}" if limit_hit else f"exit {code}" if code >= 0 else f"signal {-code}"
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = max(spent.ru_utime + spent.ru_stime, watch.cpu_s())
    os.write(status_fd, f"{ending}\ncpu {cpu_s:.3f}\n".encode())


def main() -> None:
    cut = sys.argv.index("--")
    status_fd, (limits, folder), command = int(sys.argv[1]), _limits(sys.argv[2:cut]), sys.argv[cut + 1 :]
    adopt_orphans()
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: restrict(limits)
    )
    supervise(child, limits, folder, status_fd)


if __name__ == "__main__":
    main()

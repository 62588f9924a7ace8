"""Run one job in a fresh folder, under a time limit, with a bounded log; nothing it starts survives it."""

import json
import math
import os
import re
import selectors
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, cast

from agent.core.errors import HarnessError
from agent.core.runs import Job, Result, Status
from agent.core.sanitize import one_line, secrets, strip_hidden
from agent.execution import sandbox
from agent.execution.sandbox import Sandbox

LOG_CAP = 8 << 20  # bytes of a run's output that are kept from its beginning
LOG_TAIL = 256 << 10  # bytes that are kept from its end, beyond the cap
LINE_CAP = 2000  # characters of a line that a listener sees
JSON_CAP = 1 << 20  # bytes of what a run says of itself; more is not read
KEEP_ALWAYS = ("run.log", "result.json", "failure.json")  # what stays of every run
KEEP_ON_SUCCESS = ("model.pt", "losses.npz")  # what stays besides of one that ended well
_MB = 1 << 20
NAME_CAP = 100  # characters of the name of a number that a run reports
REASON_CAP = 300  # characters of what a run says of its own end

# Environment variables a run may see. Everything else stays here, above all keys and tokens.
ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|CXX|LD_LIBRARY_PATH|(CUDA|NVIDIA|NCCL|OMP|MKL|TORCH|TORCHINDUCTOR|TRITON)_\w+"
)
SECRET = re.compile(r"\w*_(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)")  # NVIDIA_API_KEY is for a website
PLACE = re.compile(r"(CUDA|TORCHINDUCTOR|TRITON)_CACHE_(PATH|DIR)")  # a folder that no run sees; they have their own
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_HUGE = 1e300  # beyond it a number is none: what a float cannot hold, and infinity
_METRIC_LINE = re.compile(rb"^(?:METRIC\s+)?(\w+)\s*[:=]\s*([-+]?[\d.][\d.eE+-]*)\s*$", re.MULTILINE)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: the allowed part of ours, and `extra`. Its output comes line by line, in order."""
    kept_out = (SECRET, PLACE)
    allowed = {n for n in os.environ if ALLOWED.fullmatch(n) and not any(one.fullmatch(n) for one in kept_out)}
    return {**{name: os.environ[name] for name in allowed}, "PYTHONUNBUFFERED": "1", **extra}


@dataclass(frozen=True)
class Limits:
    """What a run may take; beyond any of these all of it is killed. Memory, room and file are in bytes."""

    processes: int = 512
    threads: int = 32_768
    memory: int = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 95 // 100
    room: int = 64 << 20  # kept free on the disk of the run's folder
    files: int = 1_000_000  # added to that disk
    file: int = 32 << 30  # the largest checkpoint by far is smaller

    def broken(self, name: str) -> str:
        """What a run did that is beyond the limit `name`, in words."""
        return {
            "processes": f"more than {self.processes:,} processes at once",
            "threads": f"more than {self.threads:,} threads at once",
            "memory": f"more than {self.memory // _MB:,} MB of memory",
            "room": f"less than {self.room // _MB:,} MB left on the disk",
            "files": f"more than {self.files:,} new files",
        }[name]


LIMITS = Limits()


# --- folders ----------------------------------------------------------------------------------------------


def fresh_folder(folder: Path) -> Path:
    """Make `folder` empty: what a killed run left there must not be taken for a result."""
    discard(folder)
    folder.mkdir(parents=True)
    return folder


def discard(path: Path) -> None:
    """Remove what a run may have filled with anything, folders nested thousands deep too; what resists stays."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for argv in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        if path.exists():
            subprocess.run([*argv, "--", str(path)], capture_output=True, check=False)


def clean(folder: Path, kept: Sequence[str]) -> None:
    """Leave of a run's folder the plain files named in `kept`, readable: no link, no pipe, nothing to execute."""
    folder.chmod(0o755)
    for path in [Path(entry) for entry in os.scandir(folder)]:
        if path.name in kept and _plain(path):
            path.chmod(0o644)
        else:
            discard(path)


def _plain(path: Path) -> bool:
    """Whether a path is a file of a size that will be read."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and (path.suffix != ".json" or found.st_size <= JSON_CAP)


# --- one run ----------------------------------------------------------------------------------------------


class _Log:
    """A log file with a cap: its beginning is written through, its end kept in memory until `close`."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._file: IO[bytes] = path.open("xb", buffering=0)  # never through a link that somebody put there
        self._written = 0
        self._left_out = 0
        self._tail = b""

    def write(self, chunk: bytes) -> None:
        room = self._through(chunk[: max(0, LOG_CAP - self._written)])
        kept = self._tail + chunk[room:]
        self._left_out += max(0, len(kept) - LOG_TAIL)
        self._tail = kept[-LOG_TAIL:]

    def _through(self, chunk: bytes) -> int:
        """Write to the file and return how much of it; where the disk is full, what follows goes to the end."""
        try:
            written = self._file.write(chunk) if chunk else 0
        except OSError:
            written, self._written = 0, LOG_CAP
        self._written += written
        return written

    def close(self) -> None:
        if self._left_out:
            self._file.write(f"\n... {self._left_out:,} bytes left out ...\n".encode())
        self._file.write(self._tail)
        self._file.close()


class RunningJob:
    """A job that has been started. `wait` returns its Result; `kill` may be called from another thread."""

    def __init__(self, job: Job, folder: Path, walls: Sandbox = sandbox.NO_SANDBOX, limits: Limits = LIMITS) -> None:
        """Start the job in `folder`, within `walls` unless it is trusted. Raises HarnessError where it cannot start."""
        self._job, self._limits = job, limits
        self._walls = sandbox.NO_SANDBOX if job.trusted else walls
        self._began = time.monotonic()
        self._oom_kills = _oom_kills()
        self._log = _Log(job.run_dir / "run.log")
        status_read, status_write = os.pipe()
        try:
            self._process = self._start(folder, status_write)
        except OSError as error:
            os.close(status_read)
            self._log.close()
            raise HarnessError(f"cannot start a run: {error.strerror}", where=sys.executable) from None
        finally:
            os.close(status_write)
        self._status = os.fdopen(status_read, "rb")

    def _start(self, folder: Path, status: int) -> subprocess.Popen[bytes]:
        bounds = [f"{name}={value}" for name, value in asdict(self._limits).items()]
        reaper = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(status), *bounds, str(self._job.run_dir.absolute())]
        return subprocess.Popen(
            [*reaper, "--", *self._argv(folder)],
            cwd=folder,
            env=environment({**self._job.env, "AUTORESEARCH_RUN_DIR": str(self._job.run_dir)}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[status],
            start_new_session=True,
        )

    def _argv(self, folder: Path) -> Sequence[str]:
        """The job's command; in a sandbox its log is read-only to it, so that it stays the file that we write."""
        job = self._job
        readable, writable = (*job.readable, job.run_dir / "run.log"), (job.run_dir, *job.writable)
        return self._walls.wrap(job.argv, cwd=folder, readable=readable, writable=writable, gpus=job.gpus)

    def kill(self) -> None:
        """End the run and all it started."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, on_line: Callable[[str], None] = lambda _: None) -> Result:
        """Read the run's output until it ends; at the time limit, kill it. Its folder keeps known results only."""
        try:
            timed_out = self._read(self._log, on_line)
        finally:
            self._end()
        result = replace(classify(self._job, self._ending(timed_out)), sandbox=self._walls.name)
        if result.status != "ok":
            clean(self._job.run_dir, KEEP_ALWAYS)
        return result

    def _end(self) -> None:
        """Kill what is left and make room before the log is closed: the run may have filled the disk."""
        self.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        clean(self._job.run_dir, KEEP_ALWAYS + KEEP_ON_SUCCESS)
        self._log.close()

    def _ending(self, timed_out: bool) -> "ExitInfo":
        with self._status:
            lines = self._status.read().decode().splitlines()
        word, _, told = (lines or [""])[0].partition(" ")
        code = int(told) if word in ("exit", "signal") else None
        if word == "exit" and code is not None and code > 128 and self._walls.level == "bwrap":
            word, code = "signal", code - 128  # so bwrap says it, as shells do
        return ExitInfo(
            timed_out=timed_out,
            signal=code if word == "signal" else None,
            code=code if word == "exit" else None,
            oom_kills=_oom_kills() - self._oom_kills,
            seconds=time.monotonic() - self._began,
            broken=self._limits.broken(told) if word == "limit" else "",
            starved=told == "memory",
            cpu_s=float(lines[1].removeprefix("cpu ")) if len(lines) > 1 else 0.0,
        )

    def _read(self, log: _Log, on_line: Callable[[str], None]) -> bool:
        """Pump output into the log; True where the time limit ended it."""
        assert self._process.stdout is not None
        out, pending = self._process.stdout, b""
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while (left := self._began + self._job.timeout_s - time.monotonic()) > 0:
                if not selector.select(left):
                    break
                chunk = os.read(out.fileno(), 1 << 16)
                if not chunk:
                    return False
                log.write(chunk)
                *lines, pending = (pending + chunk).split(b"\n")
                pending = pending[-LINE_CAP:]
                for raw in lines:
                    on_line(strip_hidden(raw[:LINE_CAP].decode(errors="replace"), LINE_CAP))
        return True


@dataclass(frozen=True)
class ExitInfo:
    """How a process ended: the evidence from outside it. `oom_kills` counts the kernel's kills for lack of memory.

    `broken` says in words which limit it went beyond; `starved`, that it is the one of memory.
    """

    timed_out: bool
    signal: int | None
    code: int | None
    oom_kills: int
    seconds: float
    broken: str = ""
    starved: bool = False
    cpu_s: float = 0.0


def classify(job: Job, ending: ExitInfo) -> Result:
    """Turn an ending and the files in the run's folder into a Result. Evidence only: no word of the log decides."""
    reported = _json(job.run_dir / "result.json")
    metrics, phases = _numbers(reported.get("metrics")), _numbers(reported.get("phases"))
    status, reason = _failure(job, ending)
    if status == "ok":
        metrics = metrics if reported else _printed(job.run_dir / "run.log")
        wanted = "step_seconds" if job.role == "probe" else job.metric
        raw = _object(reported.get("metrics")).get(wanted)
        if isinstance(raw, float) and not math.isfinite(raw):
            status, reason = "nan", f"result.json says {wanted} = {raw}"
        elif job.role not in ("prepare", "audit") and wanted not in metrics:
            status, reason = "no_metric", f"exit 0, and no {wanted} in result.json"
    log = str(job.run_dir / "run.log")
    return Result(status, metrics, phases, ending.seconds, reason, log, cpu_s=ending.cpu_s)


def _failure(job: Job, ending: ExitInfo) -> tuple[Status, str]:
    """The status of a run that did not end well, or ok."""
    if ending.timed_out:
        return "timeout", f"killed after {job.timeout_s:.0f} s, its time limit"
    if ending.broken:
        return "oom" if ending.starved else "crash", f"killed: {ending.broken}"
    if ending.code == 0:
        return "ok", ""
    if ending.signal is not None:
        if ending.oom_kills > 0:
            return "oom", "the kernel killed it for lack of memory"
        return "crash", f"ended by signal {ending.signal}"
    told = _json(job.run_dir / "failure.json")
    status = told.get("status")
    said = str(told.get("reason") or f"exit status {ending.code}{_last_words(job.run_dir / 'run.log')}")
    reason = one_line(said, secrets(os.environ), REASON_CAP)
    if status == "nan" or status == "oom":
        return status, reason
    return "crash", reason


def _last_words(log: Path) -> str:
    """The last line that a run printed: where Python names its exception."""
    lines = log.read_bytes()[-LINE_CAP:].decode(errors="replace").split("\n") if log.exists() else []
    words = next((said for raw in reversed(lines) if (said := strip_hidden(raw).strip())), "")
    return f": {words}" if words else ""


def _object(found: object) -> Mapping[str, object]:
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> Mapping[str, object]:
    """A JSON object from a file that the run may have written, torn or made up; empty where there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # `[[[[...` nests deeper than the parser can go
        return {}
    return _object(found)


def _numbers(fields: object) -> dict[str, float]:
    """The finite numbers of a JSON object; a name that could not be posted as it is, is none."""
    named = {name: value for name, value in _object(fields).items() if one_line(name, limit=NAME_CAP) == name}
    numbers = {name: value for name, value in named.items() if type(value) in (int, float)}
    return {name: float(cast(float, value)) for name, value in numbers.items() if abs(cast(float, value)) < _HUGE}


def _printed(log: Path) -> dict[str, float]:
    """Metrics of a script that writes no result.json: lines `name: 1.5` or `METRIC name=1.5`; the last one counts."""
    text = log.read_bytes() if log.exists() else b""
    return _numbers({name.decode(): _number(number) for name, number in _METRIC_LINE.findall(text)})


def _number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _oom_kills() -> int:
    """How often the kernel has killed in our control group for lack of memory (Linux, cgroup 2); 0 where unknown."""
    try:
        group = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip()
        events = Path(f"/sys/fs/cgroup{group}/memory.events").read_text()
    except OSError:
        return 0
    counts = dict(line.split() for line in events.splitlines())
    return int(counts.get("oom_kill", 0))

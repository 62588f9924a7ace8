"""Run one job in a fresh folder, under a time limit, with a bounded log; nothing it starts survives it."""

import json
import math
import os
import re
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from agent.core import HarnessError, Job, Result, Status
from agent.untrusted import line, plain, secrets

LOG_CAP = 8 << 20  # bytes of a run's output that are kept from its beginning
LOG_TAIL = 256 << 10  # bytes that are kept from its end, beyond the cap
LINE_CAP = 2000  # characters of a line that a listener sees
NAME_CAP = 100  # characters of the name of a number that a run reports
REASON_CAP = 300  # characters of what a run says of its own end

# Environment variables a run may see. Everything else stays here, above all keys and tokens.
ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|CXX|LD_LIBRARY_PATH|(CUDA|NVIDIA|NCCL|OMP|MKL|TORCH|TORCHINDUCTOR|TRITON)_\w+"
)
_REAPER = Path(__file__).with_name("reaper.py")
_HUGE = 1e300  # beyond it a number is none: what a float cannot hold, and infinity
_METRIC_LINE = re.compile(rb"^(?:METRIC\s+)?(\w+)\s*[:=]\s*([-+]?[\d.][\d.eE+-]*)\s*$", re.MULTILINE)


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run: the allowed part of ours, and `extra`. Its output comes line by line, in order."""
    allowed = {name: value for name, value in os.environ.items() if ALLOWED.fullmatch(name)}
    return {**allowed, "PYTHONUNBUFFERED": "1", **extra}


def fresh(folder: Path) -> Path:
    """Make `folder` empty: what a killed run left there must not be taken for a result."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def discard(folder: Path) -> None:
    """Remove a folder that a run may have filled with anything; what cannot be removed stays."""
    shutil.rmtree(folder, ignore_errors=True)


class _Log:
    """A log file with a cap: its beginning is written through, its end kept in memory until `close`."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._written = 0
        self._left_out = 0
        self._tail = b""

    def write(self, chunk: bytes) -> None:
        room = max(0, LOG_CAP - self._written)
        self._written += self._file.write(chunk[:room])
        self._file.flush()
        kept = self._tail + chunk[room:]
        self._left_out += max(0, len(kept) - LOG_TAIL)
        self._tail = kept[-LOG_TAIL:]

    def close(self) -> None:
        if self._left_out:
            self._file.write(f"\n... {self._left_out:,} bytes left out ...\n".encode())
        self._file.write(self._tail)
        self._file.close()


class Running:
    """A job that has been started. `wait` returns its Result; `kill` may be called from another thread."""

    def __init__(self, job: Job, folder: Path) -> None:
        """Start the job in `folder`. Raises HarnessError where the process cannot be started."""
        self._job = job
        self._began = time.monotonic()
        self._oom_kills = _oom_kills()
        status_read, status_write = os.pipe()
        argv = [sys.executable, "-I", "-S", str(_REAPER), str(status_write), "--", *job.argv]
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                env=environment({**job.env, "AUTORESEARCH_RUN_DIR": str(job.run_dir)}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[status_write],
                start_new_session=True,
            )
        except OSError as error:
            raise HarnessError(f"cannot start a run: {error.strerror}", where=argv[0]) from None
        finally:
            os.close(status_write)
        self._status = os.fdopen(status_read, "rb")

    def kill(self) -> None:
        """End the run and all it started."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, on_line: Callable[[str], None] = lambda _: None) -> Result:
        """Read the run's output until it ends; at the time limit, kill it."""
        log = _Log(self._job.run_dir / "run.log")
        try:
            timed_out = self._read(log, on_line)
        finally:
            self.kill()
            log.close()
            self._process.wait()
        with self._status:
            word, _, number = self._status.read().decode().partition(" ")
        assert self._process.stdout is not None
        self._process.stdout.close()
        ending = Ending(
            timed_out=timed_out,
            signal=int(number) if word == "signal" else None,
            code=int(number) if word == "exit" else None,
            oom_kills=_oom_kills() - self._oom_kills,
            seconds=time.monotonic() - self._began,
        )
        return classify(self._job, ending)

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
                    on_line(plain(raw[:LINE_CAP].decode(errors="replace"), LINE_CAP))
        return True


@dataclass(frozen=True)
class Ending:
    """How a process ended: the evidence from outside it. `oom_kills` counts the kernel's kills for lack of memory."""

    timed_out: bool
    signal: int | None
    code: int | None
    oom_kills: int
    seconds: float


def classify(job: Job, ending: Ending) -> Result:
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
        elif job.role != "prepare" and wanted not in metrics:
            status, reason = "no_metric", f"exit 0, and no {wanted} in result.json"
    return Result(status, metrics, phases, ending.seconds, reason, str(job.run_dir / "run.log"))


def _failure(job: Job, ending: Ending) -> tuple[Status, str]:
    """The status of a run that did not end well, or ok."""
    if ending.timed_out:
        return "timeout", f"killed after {job.timeout_s:.0f} s, its time limit"
    if ending.code == 0:
        return "ok", ""
    if ending.signal is not None:
        if ending.oom_kills > 0:
            return "oom", "the kernel killed it for lack of memory"
        return "crash", f"ended by signal {ending.signal}"
    told = _json(job.run_dir / "failure.json")
    status = told.get("status")
    said = str(told.get("reason") or f"exit status {ending.code}{_last_words(job.run_dir / 'run.log')}")
    reason = line(said, secrets(os.environ), REASON_CAP)
    if status == "nan" or status == "oom":
        return status, reason
    return "crash", reason


def _last_words(log: Path) -> str:
    """The last line that a run printed: where Python names its exception."""
    lines = log.read_bytes()[-LINE_CAP:].decode(errors="replace").split("\n") if log.exists() else []
    words = next((said for raw in reversed(lines) if (said := plain(raw).strip())), "")
    return f": {words}" if words else ""


def _object(found: object) -> Mapping[str, object]:
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> Mapping[str, object]:
    """A JSON object from a file that the run may have written, torn or made up; empty where there is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return _object(found)


def _numbers(fields: object) -> dict[str, float]:
    """The finite numbers of a JSON object; a name that could not be posted as it is, is none."""
    named = {name: value for name, value in _object(fields).items() if line(name, limit=NAME_CAP) == name}
    numbers = {name: value for name, value in named.items() if type(value) in (int, float)}
    return {name: float(cast(float, value)) for name, value in numbers.items() if abs(cast(float, value)) < _HUGE}


def _printed(log: Path) -> dict[str, float]:
    """Metrics of a script that writes no result.json: lines `name: 1.5` or `METRIC name=1.5`; the last one counts."""
    return _numbers({name.decode(): _number(text) for name, text in _METRIC_LINE.findall(log.read_bytes())})


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

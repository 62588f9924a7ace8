"""Run one job in a fresh folder, under a time limit, with a bounded log; nothing it starts survives it."""

import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from agent.core.errors import HarnessError
from agent.core.frozen import frozen
from agent.core.runs import Job, Result
from agent.core.sanitize import strip_hidden
from agent.execution.folders import KEEP_ALWAYS, KEEP_ON_SUCCESS, clean
from agent.execution.outcome import LINE_CAP, ExitInfo, classify
from agent.execution.sandbox import NO_SANDBOX, Sandbox
from agent.execution.supervisor import FORKED
from agent.execution.worker import Request, Supervised, Workers, pipe

LOG_CAP = 8 << 20  # bytes of a run's output that are kept from its beginning
LOG_TAIL = 256 << 10  # bytes that are kept from its end, beyond the cap
_MB = 1 << 20

# Environment variables a run may see. Everything else stays here, above all keys and tokens.
ALLOWED = re.compile(
    r"PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|CXX|LD_LIBRARY_PATH|(CUDA|NVIDIA|NCCL|OMP|MKL|TORCH|TORCHINDUCTOR|TRITON)_\w+"
)
SECRET = re.compile(r"\w*_(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)")  # NVIDIA_API_KEY is for a website
PLACE = re.compile(r"(CUDA|TORCHINDUCTOR|TRITON)_CACHE_(PATH|DIR)")  # a folder that no run sees; they have their own
_SUPERVISOR = Path(__file__).with_name("supervisor.py")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run: the allowed part of ours, and `extra`. Its output comes line by line."""
    kept_out = (SECRET, PLACE)
    allowed = {n for n in os.environ if ALLOWED.fullmatch(n) and not any(one.fullmatch(n) for one in kept_out)}
    return {**{name: os.environ[name] for name in allowed}, "PYTHONUNBUFFERED": "1", **extra}


@frozen
class Limits:
    """What a run may take; beyond any of these all of it is killed. `memory` is in bytes, and so is what follows."""

    processes: int = 512
    threads: int = 32_768
    memory: int = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 95 // 100
    min_free_bytes: int = 64 << 20  # kept free on the disk of the run's folder
    file: int = 32 << 30  # of one file; the largest checkpoint by far is smaller
    files: int = 1_000_000  # how many are added to that disk

    def exceeded(self, name: str) -> str:
        """Return in words what a run did that is beyond the limit `name`."""
        return {
            "processes": f"more than {self.processes:,} processes at once",
            "threads": f"more than {self.threads:,} threads at once",
            "memory": f"more than {self.memory // _MB:,} MB of memory",
            "min_free_bytes": f"less than {self.min_free_bytes // _MB:,} MB left on the disk",
            "files": f"more than {self.files:,} new files",
        }[name]


LIMITS = Limits()


class _Log:
    """A log file with a cap: its beginning goes straight to the file, its end stays in memory until `close`."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._file: IO[bytes] = path.open("xb", buffering=0)  # never through a link that somebody put there
        self._size = 0
        self._left_out = 0
        self._tail = b""

    def write(self, chunk: bytes) -> None:
        """Take in a chunk of output."""
        stored = self._store(chunk[: max(0, LOG_CAP - self._size)])
        kept = self._tail + chunk[stored:]
        self._left_out += max(0, len(kept) - LOG_TAIL)
        self._tail = kept[-LOG_TAIL:]

    def _store(self, chunk: bytes) -> int:
        """Write to the file and return how much of it; where the disk is full, what follows goes to the end."""
        try:
            stored = self._file.write(chunk) if chunk else 0
        except OSError:
            stored, self._size = 0, LOG_CAP
        self._size += stored
        return stored

    def close(self) -> None:
        """Write the end of the output, after a line that says how much is left out before it."""
        if self._left_out:
            self._file.write(f"\n... {self._left_out:,} bytes left out ...\n".encode())
        self._file.write(self._tail)
        self._file.close()


class RunningJob:
    """A job that has been started. `wait` returns its Result; `kill` may be called from another thread."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        sandbox: Sandbox = NO_SANDBOX,
        limits: Limits = LIMITS,
        workers: Workers | None = None,
    ) -> None:
        """Start the job in `folder`, in `sandbox` unless it is trusted, from a warm worker where there are `workers`.

        Raises HarnessError where it cannot start.
        """
        self._job, self._limits = job, limits
        self._sandbox = NO_SANDBOX if job.trusted else sandbox
        self._process: subprocess.Popen[bytes] | None = None
        self._began = time.monotonic()
        self._oom_kills = _oom_kills()
        self._log = _Log(job.run_dir / "run.log")
        try:
            begun = self._from_worker(folder, workers, sandbox) or self._start(folder)
        except OSError as error:
            self._log.close()
            raise HarnessError(f"cannot start a run: {error.strerror}", where=sys.executable) from None
        self._control, self._status = begun.control, begun.status
        self._report = b""

    def _env(self) -> dict[str, str]:
        return environment({**self._job.env, "AUTORESEARCH_RUN_DIR": str(self._job.run_dir)})

    def _watched(self) -> str:
        """Return the folder whose disk is watched."""
        return str(self._job.run_dir.absolute())

    def _start(self, folder: Path) -> Supervised:
        """Start the job as a process of its own."""
        (control, ours), (self._output, output), (report, status) = pipe(), pipe(), pipe()
        limits = [f"{name}={value}" for name, value in asdict(self._limits).items()]
        supervisor = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(status.fileno()), *limits, self._watched()]
        with control, output, status:
            try:
                self._process = subprocess.Popen(
                    [*supervisor, "--", *self._inside(folder, self._job.argv)],
                    cwd=folder,
                    env=self._env(),
                    stdin=control,
                    stdout=output,
                    stderr=output,
                    pass_fds=[status.fileno()],
                    start_new_session=True,
                )
            except OSError:
                for one in (ours, self._output, report):
                    one.close()
                raise
        return Supervised(ours, report)

    def _from_worker(self, folder: Path, workers: Workers | None, sandbox: Sandbox) -> Supervised | None:
        """Start the job from a warm worker where it can be: where runs have a sandbox, for that keeps them apart."""
        job, audit = self._job, self._job.role == "audit"
        if workers is None or sandbox.level == "none" or (job.trusted and not audit):
            return None
        command, limits = self._inside(folder, job.argv), asdict(self._limits)
        request = Request(command, str(folder.absolute()), self._env(), limits, self._watched(), starts_others=audit)
        self._output, output = pipe()
        with output:
            begun = workers.start(job.argv, request, output.fileno(), self._restart_clock)
        if begun is None:
            self._output.close()
        return begun

    def _restart_clock(self) -> None:
        """Begin to count the run's seconds now: the first run waits for its worker, and is no slower for that."""
        self._began = time.monotonic()

    def _inside(self, folder: Path, argv: Sequence[str]) -> Sequence[str]:
        """Return a command in the job's sandbox, where its log is read-only, so that it stays the file we write."""
        job = self._job
        readable, writable = (*job.readable, job.run_dir / "run.log"), (job.run_dir, *job.writable)
        return self._sandbox.wrap(argv, cwd=folder, readable=readable, writable=writable, gpus=job.gpus)

    def kill(self) -> None:
        """End the run and all it started."""
        self._control.close()

    def wait(self, on_line: Callable[[str], None] = lambda _: None) -> Result:
        """Read the run's output until it ends; at the time limit, kill it. Its folder keeps known results only."""
        try:
            timed_out = self._pump(on_line)
        finally:
            self._end()
        result = replace(
            classify(self._job, self._exit_info(timed_out)), sandbox=self._sandbox.name, worker=self._forked()
        )
        if result.status != "ok":
            clean(self._job.run_dir, KEEP_ALWAYS)
        return result

    def _end(self) -> None:
        """Kill what is left and make room before the log is closed: the run may have filled the disk."""
        self.kill()
        with self._status:
            self._report = self._status.read()  # to its end, which is the supervisor's
        if self._process is not None:
            self._process.wait()
        self._output.close()
        clean(self._job.run_dir, KEEP_ALWAYS + KEEP_ON_SUCCESS)
        self._log.close()

    def _forked(self) -> bool:
        return self._report.endswith(FORKED)

    def _exit_info(self, timed_out: bool) -> ExitInfo:
        lines = self._report.decode().splitlines()
        word, _, value = (lines or [""])[0].partition(" ")
        code = int(value) if word in ("exit", "signal") else None
        if word == "exit" and code is not None and code > 128 and self._sandbox.level == "bwrap":
            word, code = "signal", code - 128  # so bwrap says it, as shells do
        return ExitInfo(
            timed_out=timed_out,
            signal=code if word == "signal" else None,
            code=code if word == "exit" else None,
            oom_kills=_oom_kills() - self._oom_kills,
            seconds=time.monotonic() - self._began,
            limit_hit=self._limits.exceeded(value) if word == "limit" else "",
            hit_memory=value == "memory",
            cpu_s=float(lines[1].removeprefix("cpu ")) if len(lines) > 1 else 0.0,
        )

    def _pump(self, on_line: Callable[[str], None]) -> bool:
        """Pump output into the log; return True where the time limit ended it."""
        pending = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while (left := self._began + self._job.timeout_s - time.monotonic()) > 0:
                if not selector.select(left):
                    break
                chunk = os.read(self._output.fileno(), 1 << 16)
                if not chunk:
                    return False
                self._log.write(chunk)
                *lines, pending = (pending + chunk).split(b"\n")
                pending = pending[-LINE_CAP:]
                for raw in lines:
                    on_line(strip_hidden(raw[:LINE_CAP].decode(errors="replace"), LINE_CAP))
        return True


def _oom_kills() -> int:
    """Return how often the kernel has killed in our control group for lack of memory; 0 where unknown (cgroup 2)."""
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("::")[2].strip()
        events = Path(f"/sys/fs/cgroup{group}/memory.events").read_text(encoding="utf-8")
    except OSError:
        return 0
    counts = dict(line.split() for line in events.splitlines())
    return int(counts.get("oom_kill", 0))

"""How a run ended: its exit and the files it left, turned into a Result. Evidence only: no word of the log decides."""

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from agent.core.frozen import frozen
from agent.core.runs import Job, Result, Status
from agent.core.sanitize import one_line, secrets, strip_hidden

LINE_CAP = 2000  # characters of a line that a listener sees
NAME_CAP = 100  # characters of the name of a number that a run reports
REASON_CAP = 300  # characters of what a run reports of its own end
_HUGE = 1e300  # beyond it a number is none: what a float cannot hold, and infinity
_METRIC_LINE = re.compile(rb"^(?:METRIC\s+)?(\w+)\s*[:=]\s*([-+]?[\d.][\d.eE+-]*)\s*$", re.MULTILINE)


@frozen
class ExitInfo:
    """How a process ended: the evidence from outside it. `oom_kills` counts the kernel's kills for lack of memory.

    `limit_hit` says in words which limit it went beyond; `hit_memory`, that it is the one of memory.
    """

    timed_out: bool
    signal: int | None
    code: int | None
    oom_kills: int
    seconds: float
    limit_hit: str = ""
    hit_memory: bool = False
    cpu_s: float = 0.0


def classify(job: Job, ending: ExitInfo) -> Result:
    """Return the Result that an ending and the files in the run's folder amount to."""
    reported = _json(job.run_dir / "result.json")
    metrics, phases = _numbers(reported.get("metrics")), _numbers(reported.get("phases"))
    status, reason = _failure(job, ending)
    if status == "ok":
        metrics = metrics if reported else _printed(job.run_dir / "run.log")
        status, reason = _metric_problem(job, _object(reported.get("metrics")), metrics)
    if status == "ok":
        status, reason = _seed_problem(job, reported.get("seed"))
    log = str(job.run_dir / "run.log")
    return Result(status, metrics, phases, ending.seconds, reason, log, cpu_s=ending.cpu_s)


def _metric_problem(job: Job, reported: Mapping[str, object], metrics: Mapping[str, float]) -> tuple[Status, str]:
    """Return what is wrong with the number that a job is run for, or ok."""
    name = "step_seconds" if job.role == "probe" else job.metric
    raw = reported.get(name)
    if isinstance(raw, float) and not math.isfinite(raw):
        return "nan", f"result.json says {name} = {raw}"
    if job.role not in ("prepare", "audit", "check") and name not in metrics:
        return "no_metric", f"exit 0, and no {name} in result.json"
    return "ok", ""


def _seed_problem(job: Job, seed: object) -> tuple[Status, str]:
    """Return what is wrong with the seed that a run says it had, or ok; one that says nothing had the job's."""
    if seed is None or seed == job.seed or job.role in ("prepare", "audit"):
        return "ok", ""
    return "invalid", f"result.json says seed {one_line(str(seed), limit=NAME_CAP)} where the run was given {job.seed}"


def _failure(job: Job, ending: ExitInfo) -> tuple[Status, str]:
    """Return the status and reason of a run that did not end well, or ok."""
    if ending.timed_out:
        return "timeout", f"killed after {job.timeout_s:.0f} s, its time limit"
    if ending.limit_hit:
        return "oom" if ending.hit_memory else "crash", f"killed: {ending.limit_hit}"
    if ending.code == 0:
        return "ok", ""
    if ending.signal is not None:
        if ending.oom_kills > 0:
            return "oom", "the kernel killed it for lack of memory"
        return "crash", f"ended by signal {ending.signal}"
    return _reported_failure(job, ending)


def _reported_failure(job: Job, ending: ExitInfo) -> tuple[Status, str]:
    """Return what a run that exited with an error says of it in failure.json, else the last line of its log."""
    reported = _json(job.run_dir / "failure.json")
    words = str(reported.get("reason") or f"exit status {ending.code}{_last_words(job.run_dir / 'run.log')}")
    reason = one_line(words, secrets(os.environ), REASON_CAP)
    status = reported.get("status")
    if status == "nan" or status == "oom":
        return status, reason
    return "crash", reason


def _last_words(log: Path) -> str:
    """Return the last line that a run printed: where Python names its exception."""
    lines = log.read_bytes()[-LINE_CAP:].decode(errors="replace").split("\n") if log.exists() else []
    words = next((line for raw in reversed(lines) if (line := strip_hidden(raw).strip())), "")
    return f": {words}" if words else ""


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _json(path: Path) -> Mapping[str, object]:
    """Return a JSON object from a file that the run may have made up or torn; empty where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # `[[[[...` nests deeper than the parser can go
        return {}
    return _object(value)


def _numbers(fields: object) -> dict[str, float]:
    """Return the finite numbers of a JSON object; a name that could not be posted as it is, is none."""
    named = {name: value for name, value in _object(fields).items() if one_line(name, limit=NAME_CAP) == name}
    numbers = {name: value for name, value in named.items() if type(value) in (int, float)}
    return {name: float(cast(float, value)) for name, value in numbers.items() if abs(cast(float, value)) < _HUGE}


def _printed(log: Path) -> dict[str, float]:
    """Return the metrics that a script prints: lines `name: 1.5` or `METRIC name=1.5`; the last one counts."""
    text = log.read_bytes() if log.exists() else b""
    return _numbers({name.decode(): _number(number) for name, number in _METRIC_LINE.findall(text)})


def _number(text: bytes) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

"""What is run and what comes back: conditions, jobs, results, verdicts. No effects."""

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal

from agent.core.experiment import Budget, Clock, Profile
from agent.core.frozen import frozen

Role = Literal["baseline", "screen", "confirm"]
JobRole = Literal["baseline", "screen", "confirm", "probe", "prepare", "audit", "smoke", "check"]
Status = Literal["ok", "crash", "oom", "timeout", "nan", "no_metric", "invalid", "contended"]
Decision = Literal["keep", "discard", "inconclusive", "failed", "measured"]
AuditStatus = Literal["passed", "failed", "quarantined"]
Delivery = Literal["comment", "status", "push", "pull", "close"]


@frozen
class Conditions:
    """What two results must share to be compared. `corpus` is a fingerprint, `machine` a device name."""

    track: str
    corpus: str
    profile: Profile
    clock: Clock
    budget: Budget
    machine: str


@frozen
class Job:
    """One process to run: `argv` in an export of `commit`, with `env`, writing to `run_dir`.

    In a sandbox it sees, beside the system and Python, its export, `readable` and `writable`; it writes to `run_dir`
    and `writable` alone. A job that is `trusted` runs outside: its code is ours.
    """

    variant: str
    commit: str
    seed: int
    role: JobRole
    argv: tuple[str, ...]
    env: Mapping[str, str]
    run_dir: Path
    timeout_s: float
    metric: str
    gpus: int = 1  # devices it needs to itself; with 0 it waits for none and holds none
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    trusted: bool = False


@frozen
class Result:
    """How a job ended. `metrics` holds finite numbers only; `phases` are seconds; `reason` is one line of evidence."""

    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    log: str = ""
    sandbox: str = "none"  # the level it ran under
    cpu_s: float = 0.0  # processor seconds of all that it started; 0 where nobody counted
    worker: bool = False  # forked from a warm worker, and no process of its own


@frozen
class Verdict:
    """What the gate says of a variant: the one home of the numbers that a decision rests on.

    `gain` is towards the goal (positive is better), `interval` its 90 % bounds, `n` the runs of the variant behind it.
    `mean` is that of the variant over those runs and `baseline_mean` that of the baseline over its `baseline_n`, in the
    metric's own units and sign; each is None where there is none, and in a verdict of the first version of the harness.
    """

    variant: str | None
    decision: Decision
    gain: float | None
    interval: tuple[float, float] | None
    n: int
    p: float | None
    reason: str
    mean: float | None = None
    baseline_mean: float | None = None
    baseline_n: int | None = None

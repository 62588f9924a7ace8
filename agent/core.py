"""The nouns of the harness: frozen dataclasses, three Protocols, one error tree. Standard library only, no effects."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Constant = int | float | str | bool | None
Profile = Literal["full", "mini"]
Clock = Literal["wall", "calibrated", "steps"]
GateKind = Literal["confirmed", "lowest"]
Role = Literal["baseline", "screen", "confirm"]
JobRole = Literal["baseline", "screen", "confirm", "probe", "prepare", "audit"]
Status = Literal["ok", "crash", "oom", "timeout", "nan", "no_metric", "invalid", "contended"]
Decision = Literal["keep", "discard", "inconclusive", "failed"]
AuditStatus = Literal["passed", "failed", "quarantined"]

BASELINE = "baseline"  # the name the baseline goes by where a variant's name is expected
SCHEMA = 1  # of every record in the ledger


# --- errors -----------------------------------------------------------------------------------------------


class HarnessError(Exception):
    """What went wrong, where, and what to do next. Printed without a traceback; `exit_code` is the program's."""

    exit_code = 1

    def __init__(self, problem: str, *, where: str = "", next_step: str = "") -> None:
        self.problem, self.where, self.next_step = problem, where, next_step
        head = f"{where}: {problem}" if where else problem
        super().__init__(f"{head}\n  {next_step}" if next_step else head)


class BadInput(HarnessError):
    """The issue, the repository or the command line cannot be used as it is; nothing was written."""

    exit_code = 2


class Paused(HarnessError):
    """A limit was reached with work left; the same command goes on from here."""

    exit_code = 3


# --- what is asked for ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Track:
    """One script and its metric: the file an experiment edits, and how its number is read."""

    name: str
    script: str
    metric: str
    goal: Literal["min", "max"]
    budget_s: float
    editable: tuple[str, ...]
    seeds: tuple[int, ...]
    min_gain: float
    prepare: str | None = None


@dataclass(frozen=True)
class Issue:
    """An issue as its tracker gives it. `first_line` is the line of the source on which the body begins."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...] = ()
    author: str = ""
    url: str = ""
    state: str = "open"
    source: str = ""
    first_line: int = 1


@dataclass(frozen=True)
class SetConstant:
    """Give the top-level constant `name` of file `path` the value `value`."""

    path: str
    name: str
    value: Constant


@dataclass(frozen=True)
class Replace:
    """Replace the one occurrence of `old` in file `path` by `new`."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Rewrite:
    """Give file `path` the whole text `text`."""

    path: str
    text: str


Edit = SetConstant | Replace | Rewrite


@dataclass(frozen=True)
class Stated:
    """A derived value that an issue states for a variant, to be checked and never to be set."""

    column: str
    value: int
    where: str


@dataclass(frozen=True)
class Variant:
    """One candidate: a name, the edits that make it from its parent, and what the issue says of it."""

    name: str
    edits: tuple[Edit, ...]
    parent: str = BASELINE
    why: str = ""
    stated: tuple[Stated, ...] = ()
    where: str = ""

    @property
    def constant(self) -> bool:
        """Whether it sets constants and does nothing else; what does more, a model may have written."""
        return all(isinstance(edit, SetConstant) for edit in self.edits)


@dataclass(frozen=True)
class Budget:
    """How much training a run gets: seconds, optimizer steps, or tokens. Its text is what --budget takes."""

    kind: Literal["seconds", "steps", "tokens"]
    amount: float

    def __str__(self) -> str:
        if self.kind == "tokens":
            return f"{self.amount / 1e6:.10g}Mtok"
        return f"{self.amount:.10g}{'s' if self.kind == 'seconds' else 'steps'}"


@dataclass(frozen=True)
class Outcome:
    """'If 1D (wider) wins: ...': what the issue expects to conclude when `variant` wins, in its own words."""

    variant: str
    text: str


@dataclass(frozen=True)
class GateRules:
    """The decision gate, fixed before the first run. `min_gain` is in units of the metric.

    `seeds` are used in this order, by the baseline first; when they run out, the smallest unused numbers follow. Runs
    that the ledger has already are used before any is made, whatever their seeds.
    """

    kind: GateKind = "confirmed"
    seeds: tuple[int, ...] = ()
    baseline_runs: int = 3
    confirm_runs: int = 3
    alpha: float = 0.05
    min_gain: float = 0.0
    goal: Literal["min", "max"] = "min"
    remeasure_every: int = 10


@dataclass(frozen=True)
class Spec:
    """An issue, understood. `variants` stand in the order in which they run."""

    issue: Issue
    track: str
    strategy: str
    variants: tuple[Variant, ...]
    budget: Budget | None
    cap_s: float | None
    gate: GateKind | None
    outcomes: tuple[Outcome, ...]
    body_sha256: str
    seeds: tuple[int, ...] | None = None

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(variant.name for variant in self.variants)


@dataclass(frozen=True)
class Shape:
    """What DEPTH, ASPECT_RATIO and HEAD_DIM resolve to on one profile."""

    depth: int
    aspect_ratio: int
    head_dim: int
    model_dim: int
    n_head: int
    params: int
    flops_per_token: int
    memory_mb: int


# --- what is run, and what comes back ---------------------------------------------------------------------


@dataclass(frozen=True)
class Conditions:
    """What two results must share to be compared. `corpus` is a fingerprint, `machine` a device name."""

    track: str
    corpus: str
    profile: Profile
    clock: Clock
    budget: str
    machine: str


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Result:
    """How a job ended. `metrics` holds finite numbers only; `phases` are seconds; `reason` is one line of evidence."""

    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    phases: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    log: str = ""
    sandbox: str = "none"  # the level it ran under


@dataclass(frozen=True)
class RunRecord:
    """One finished run. A run is known by its conditions, tree and seed; `steps` is None where the clock was the limit.

    `metric` is None unless the status is ok or contended; `metrics` keeps what the script reported besides.
    """

    issue: int
    campaign: str
    conditions: Conditions
    variant: str
    role: JobRole
    parent: str
    commit: str
    tree: str
    seed: int
    steps: int | None
    status: Status
    metric: float | None
    metrics: Mapping[str, float]
    phases: Mapping[str, float]
    seconds: float
    reason: str
    log: str
    at: str
    description: str = ""
    sandbox: str = "none"
    kind: Literal["run"] = "run"
    schema: int = SCHEMA


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a variant.

    `gain` is towards the goal (positive is better), `interval` its 90 % bounds, `n` the runs of the variant behind it.
    """

    variant: str | None
    decision: Decision
    gain: float | None
    interval: tuple[float, float] | None
    n: int
    p: float | None
    reason: str


@dataclass(frozen=True)
class CampaignRecord:
    """One issue's frozen question: written before the first run, found again by the same command.

    pins: what every run of the campaign must find unchanged, by name, as sha256.
    """

    issue: int
    title: str
    body_sha256: str
    conditions: Conditions
    gate: GateRules
    base: str
    commits: Mapping[str, str]
    trees: Mapping[str, str]
    at: str
    pins: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["campaign"] = "campaign"
    schema: int = SCHEMA


@dataclass(frozen=True)
class VerdictRecord:
    """The gate's answer to a campaign (named by its `at`), with the estimate for every variant."""

    issue: int
    campaign: str
    verdict: Verdict
    variants: tuple[Verdict, ...]
    at: str
    kind: Literal["verdict"] = "verdict"
    schema: int = SCHEMA


@dataclass(frozen=True)
class HeldReadRecord:
    """The second held-out set is about to be read, for a winner of a campaign (named by its `at`).

    Written before the reading: after a crash in between it counts one that was not made, and never one too few.
    """

    issue: int
    campaign: str
    variant: str
    at: str
    kind: Literal["held-read"] = "held-read"
    schema: int = SCHEMA


@dataclass(frozen=True)
class AuditRecord:
    """What the audit found of the winner of a campaign (named by its `at`): every check by name, with its evidence.

    `failed` names the checks that did not hold. `held_reads` is how often the second held-out set had been read, this
    time included, on this track and corpus.
    """

    issue: int
    campaign: str
    variant: str
    commit: str
    status: AuditStatus
    failed: tuple[str, ...]
    checks: Mapping[str, str]
    metrics: Mapping[str, float]
    held_reads: int
    sandbox: str
    seconds: float
    at: str
    kind: Literal["audit"] = "audit"
    schema: int = SCHEMA


@dataclass(frozen=True)
class PromotionRecord:
    """The baseline of `track` moved from commit `old` to commit `new`, by the verdict of `campaign`."""

    issue: int
    campaign: str
    track: str
    variant: str
    profile: Profile
    old: str
    new: str
    at: str
    kind: Literal["promotion"] = "promotion"
    schema: int = SCHEMA


Record = RunRecord | CampaignRecord | VerdictRecord | HeldReadRecord | AuditRecord | PromotionRecord


# --- the three Protocols ----------------------------------------------------------------------------------


class Strategy(Protocol):
    """Chooses what to try next. The state is the history, so resuming is free."""

    def __call__(self, spec: Spec, baseline: str, history: Sequence[RunRecord]) -> list[Variant]:
        """Return the variants to run next, in order; empty when done."""


class Executor(Protocol):
    """Runs jobs somewhere."""

    slots: int

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield each job with its result as it completes."""


class Tracker(Protocol):
    """Where issues come from and results go."""

    def fetch(self, number: int) -> Issue:
        """Return the issue. Raises BadInput when there is none."""

    def comment(self, issue: Issue, text: str) -> str:
        """Write the one comment of `issue`, replacing an earlier one; return where it is."""


# --- what a campaign says while it goes -------------------------------------------------------------------


@dataclass(frozen=True)
class Notice:
    """A line for the user."""

    text: str


@dataclass(frozen=True)
class RunStarted:
    """Run `number` of about `total` began; it is expected to take `expected_s` seconds."""

    job: Job
    number: int
    total: int
    expected_s: float


@dataclass(frozen=True)
class RunOutput:
    """A line that a run printed."""

    job: Job
    line: str


@dataclass(frozen=True)
class RunEnded:
    """A run is over and in the ledger."""

    record: RunRecord


Event = Notice | RunStarted | RunOutput | RunEnded

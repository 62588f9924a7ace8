"""The nouns of the harness: frozen dataclasses, one error tree. Standard library only, no effects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Constant = int | float | str | bool | None
Profile = Literal["full", "mini"]
Clock = Literal["wall", "calibrated", "steps"]
GateKind = Literal["confirmed", "lowest"]
Role = Literal["baseline", "screen", "confirm"]
JobRole = Literal["baseline", "screen", "confirm", "probe", "prepare", "audit", "smoke"]
Status = Literal["ok", "crash", "oom", "timeout", "nan", "no_metric", "invalid", "contended"]
Decision = Literal["keep", "discard", "inconclusive", "failed"]
AuditStatus = Literal["passed", "failed", "quarantined"]
IssueStatus = Literal["queued", "running", "review", "done"]
Post = Literal["comment", "status", "push", "pull", "close"]

BASELINE = "baseline"  # the name the baseline goes by where a variant's name is expected


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


class Stopped(Paused):
    """A person said stop, or the money is used up: there is more to do, and nothing more is done by itself."""


class NothingToRun(HarnessError):
    """A round is over and none of its ideas became a variant: that is the answer, until somebody asks again."""


class Unreachable(Paused):
    """A service did not take what it was given, for a reason that may pass; it is given again at the next start."""


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
class Remark:
    """What somebody with write access said about an issue: a comment on it, or an issue labelled `human`.

    `id` tells it from all others of its tracker (comment-12, issue-7); `at` is when it was last changed.
    """

    id: str
    author: str
    text: str
    at: str


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
    usd: float = 0.0  # what it cost to write

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
    proposals: int = 0  # how many variants an editor is asked for, each round

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


# --- who writes changes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Brief:
    """What an editor is told: `rules` are the same for a whole track, `question` for a round; `files` by path."""

    rules: str
    question: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Idea:
    """One change to try. `name` is the variant's, `expected` the effect on the metric in its author's words."""

    name: str
    title: str
    hypothesis: str
    expected: str


@dataclass(frozen=True)
class Ideas:
    """What an editor would try; or, where that is nothing, why."""

    found: tuple[Idea, ...] = ()
    failure: str = ""


@dataclass(frozen=True)
class Draft:
    """New texts of the files that an editor changed, and its words; or, where there is none, why not."""

    files: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    failure: str = ""


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
    cpu_s: float = 0.0  # processor seconds of all that it started; 0 where nobody counted


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

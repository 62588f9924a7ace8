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
JobRole = Literal["baseline", "screen", "confirm", "probe", "prepare", "audit", "smoke"]
Status = Literal["ok", "crash", "oom", "timeout", "nan", "no_metric", "invalid", "contended"]
Decision = Literal["keep", "discard", "inconclusive", "failed"]
AuditStatus = Literal["passed", "failed", "quarantined"]
IssueStatus = Literal["queued", "running", "review", "done"]
Post = Literal["comment", "status", "push", "pull", "close"]

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
    usd: float = 0.0  # what the variant cost to write
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

    pins: what every run of the campaign must find unchanged, by name, as sha256. sandbox: the level that the runs of
    code that a model wrote must have had to count; `none` where no such code is in it.
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
    round: int = 0  # of an issue in prose
    sandbox: str = "none"
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


@dataclass(frozen=True)
class SteerRecord:
    """A command that a person gave to an issue's campaign, obeyed once: its text, and what was answered.

    `obeyed` is False where it was refused; `remark` is the Remark that it stood in; `round` is that of an issue in
    prose, whose later rounds it does not concern.
    """

    issue: int
    body_sha256: str
    remark: str
    author: str
    command: str
    answer: str
    obeyed: bool
    at: str
    round: int = 0
    kind: Literal["steer"] = "steer"
    schema: int = SCHEMA


@dataclass(frozen=True)
class PostRecord:
    """Something for the tracker of `issue`: owed until a later record of the same `what` says done.

    `text` is what is posted: a comment's Markdown, a status, the names of refs one a line. `place` is where.
    """

    issue: int
    what: Post
    text: str
    done: bool
    reason: str
    at: str
    place: str = ""
    kind: Literal["post"] = "post"
    schema: int = SCHEMA


@dataclass(frozen=True)
class SpendRecord:
    """Money for one call of a model, in dollars: reserved before it, settled by a second record of the same `call`.

    A reservation that was never settled (a crash came between) counts in full. `variant` is empty for what serves a
    whole round.
    """

    issue: int
    call: str
    variant: str
    model: str
    settled: bool
    usd: float
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    at: str
    kind: Literal["spend"] = "spend"
    schema: int = SCHEMA


@dataclass(frozen=True)
class RoundRecord:
    """What an editor thought of for an issue: the ideas, each to be tried on `base`, or why there are none.

    An issue that is asked again and again (--loop) has many rounds, numbered from 1.
    """

    issue: int
    body_sha256: str
    track: str
    round: int
    base: str
    ideas: tuple[Idea, ...]
    failure: str
    at: str
    kind: Literal["round"] = "round"
    schema: int = SCHEMA


@dataclass(frozen=True)
class ProposalRecord:
    """What became of an idea: a commit and its tree, accepted to run, or refused for `failure`; `usd` is its cost.

    `said` is what its editor says of it, and all that is known of an idea that was blank.
    """

    issue: int
    round: int
    variant: str
    accepted: bool
    said: str
    commit: str
    tree: str
    failure: str
    attempts: int
    usd: float
    at: str
    kind: Literal["proposal"] = "proposal"
    schema: int = SCHEMA


@dataclass(frozen=True)
class LoopRecord:
    """The open-ended mode on an issue began, or ended for `reason`; its limits hold across restarts."""

    issue: int
    body_sha256: str
    hours: float | None
    max_usd: float | None
    ended: bool
    reason: str
    at: str
    kind: Literal["loop"] = "loop"
    schema: int = SCHEMA


Record = (
    RunRecord
    | CampaignRecord
    | VerdictRecord
    | HeldReadRecord
    | AuditRecord
    | PromotionRecord
    | SteerRecord
    | PostRecord
    | SpendRecord
    | RoundRecord
    | ProposalRecord
    | LoopRecord
)


# --- the Protocols ----------------------------------------------------------------------------------


class Strategy(Protocol):
    """Chooses what to try next. The state is the history, so resuming is free."""

    def __call__(self, spec: Spec, baseline: str, history: Sequence[RunRecord]) -> list[Variant]:
        """Return the variants to run next, in order; empty when done."""


class Executor(Protocol):
    """Runs jobs somewhere."""

    slots: int

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield each job with its result as it completes."""


@dataclass(frozen=True)
class Upstream:
    """The repository that issues live in: its name, the git remote that holds it, and what git needs to push there."""

    place: str
    remote: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    look_s: float = 30.0  # seconds between two looks at what people say there


class Tracker(Protocol):
    """Where issues come from and results go. Every method may raise Unreachable; `comment` and what follows may then
    be called again with the same arguments, and have the effect of one call. `upstream` is None where issues are files.
    """

    upstream: Upstream | None

    def fetch(self, number: int) -> Issue:
        """Return the issue. Raises BadInput when there is none, or when its author may not start a run."""

    def remarks(self, number: int) -> Sequence[Remark]:
        """What people with write access say about the issue, oldest first; our own comment is not among it."""

    def waiting(self) -> Sequence[int]:
        """The open issues labelled `experiment`, by number."""

    def comment(self, number: int, text: str) -> str:
        """Write the one comment of the issue, replacing an earlier one; return where it is."""

    def mark(self, number: int, status: IssueStatus) -> None:
        """Set the issue's label `status: ...`, and leave its other labels alone."""

    def close(self, number: int) -> None:
        """Close the issue."""

    def pull(self, number: int, branch: str, title: str, text: str) -> str:
        """Propose the pushed `branch` for merging, once; return where. Raises BadInput where there is no such thing."""


class Editor(Protocol):
    """Whoever turns prose into changes of files. Raises Paused where a limit of money or time is reached."""

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        """Up to `count` changes to try, unnamed. What was said is kept in `folder`."""

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """Make the change to `brief.files`; with `failure`, mend what an earlier draft, now in the files, ran into."""


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

"""The records of the ledger: frozen dataclasses, each written once and read for ever. No effects."""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Literal

from agent.core.experiment import GateRules, Profile
from agent.core.frozen import frozen
from agent.core.proposals import Idea
from agent.core.runs import AuditStatus, Conditions, Delivery, JobRole, Status, Verdict
from agent.core.sizes import ModelSize
from agent.core.trials import Candidate, Findings

SCHEMA = 1  # of every record in the ledger


def utc_now() -> str:
    """The time, for a record."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@frozen(kw_only=True)
class RunRecord:
    """One finished run. A run is known by its conditions, tree and seed; `steps` is None where the clock was the limit.

    `metric` is None unless the status is ok or contended; `metrics` keeps what the script reported besides.
    """

    issue: int
    campaign_id: str
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
    cpu_s: float = 0.0  # processor seconds of all that it started; 0 where nobody counted
    worker: bool = False  # forked from a warm worker; the file says it of those alone
    kind: Literal["run"] = "run"
    schema: int = SCHEMA


@frozen(kw_only=True)
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
    metric: str = "val_bpb"  # of its track
    kind: Literal["campaign"] = "campaign"
    schema: int = SCHEMA


@frozen(kw_only=True)
class VerdictRecord:
    """The gate's answer to a campaign (named by its `at`), with the estimate for every variant."""

    issue: int
    campaign_id: str
    verdict: Verdict
    variants: tuple[Verdict, ...]
    at: str
    findings: Findings | None = None  # of a strategy that explores; the file has the key of those alone
    kind: Literal["verdict"] = "verdict"
    schema: int = SCHEMA


@frozen(kw_only=True)
class AddedCandidate:
    """A candidate with its commit and tree, or (empty ones) with the reason why it cannot run."""

    candidate: Candidate
    commit: str
    tree: str
    failure: str = ""


@frozen(kw_only=True)
class CandidatesRecord:
    """What the strategy of a campaign (named by its `at`) added to its variants in one step."""

    issue: int
    campaign_id: str
    added: tuple[AddedCandidate, ...]
    at: str
    kind: Literal["candidates"] = "candidates"
    schema: int = SCHEMA


@frozen(kw_only=True)
class HoldoutReadRecord:
    """The second held-out set is about to be read, for a winner of a campaign (named by its `at`).

    Written before the reading: after a crash in between it counts one that was not made, and never one too few.
    """

    issue: int
    campaign_id: str
    variant: str
    at: str
    kind: Literal["held-read"] = "held-read"
    schema: int = SCHEMA


@frozen(kw_only=True)
class AuditRecord:
    """What the audit found of the winner of a campaign (named by its `at`): every check by name, with its evidence.

    `failed` names the checks that did not hold. `holdout_reads` is how often the second held-out set had been read on
    this track and corpus, this time included.
    """

    issue: int
    campaign_id: str
    variant: str
    commit: str
    status: AuditStatus
    failed: tuple[str, ...]
    checks: Mapping[str, str]
    metrics: Mapping[str, float]
    holdout_reads: int
    sandbox: str
    seconds: float
    at: str
    kind: Literal["audit"] = "audit"
    schema: int = SCHEMA


@frozen(kw_only=True)
class PromotionRecord:
    """The baseline of `track` moved from commit `old` to commit `new`, by the verdict of `campaign`."""

    issue: int
    campaign_id: str
    track: str
    variant: str
    profile: Profile
    old: str
    new: str
    at: str
    kind: Literal["promotion"] = "promotion"
    schema: int = SCHEMA


@frozen(kw_only=True)
class CommandRecord:
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


@frozen(kw_only=True)
class DeliveryRecord:
    """Something for the tracker of `issue`: owed until a later record of the same `what` says done.

    `text` is what is posted: a comment's Markdown, a status, the names of refs one a line. `place` is where.
    """

    issue: int
    what: Delivery
    text: str
    done: bool
    reason: str
    at: str
    place: str = ""
    kind: Literal["post"] = "post"
    schema: int = SCHEMA


@frozen(kw_only=True)
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


@frozen(kw_only=True)
class RoundRecord:
    """What an editor thought of for an issue: the ideas, each to be tried on `base`, or why there are none.

    An issue that is asked again and again (--loop) has many rounds, numbered from 1. `pins` are taken before anything
    that an editor wrote has run; its campaign has them.
    """

    issue: int
    body_sha256: str
    track: str
    round: int
    base: str
    ideas: tuple[Idea, ...]
    failure: str
    at: str
    pins: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["round"] = "round"
    schema: int = SCHEMA


@frozen(kw_only=True)
class ProposalRecord:
    """What became of an idea: a commit and its tree, accepted to run, or refused for `failure`; `usd` is its cost.

    `summary` is what its editor says of it, and all that is known of an idea that was blank.
    """

    issue: int
    round: int
    variant: str
    accepted: bool
    summary: str
    commit: str
    tree: str
    failure: str
    attempts: int
    usd: float
    at: str
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)  # of its model, by profile, where it was built
    kind: Literal["proposal"] = "proposal"
    schema: int = SCHEMA


@frozen(kw_only=True)
class ReadingRecord:
    """A model has read an issue that strict reading refuses: the settings block that it wrote, and what that cost."""

    issue: int
    body_sha256: str
    model: str
    block: str
    usd: float
    at: str
    kind: Literal["reading"] = "reading"
    schema: int = SCHEMA


@frozen(kw_only=True)
class SessionRecord:
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
    | CandidatesRecord
    | HoldoutReadRecord
    | AuditRecord
    | PromotionRecord
    | CommandRecord
    | DeliveryRecord
    | SpendRecord
    | RoundRecord
    | ProposalRecord
    | ReadingRecord
    | SessionRecord
)

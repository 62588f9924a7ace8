"""Whether a winner's number is believed: what scorer.py found, the held-out gain, the clock. No effects but reading.

The audit scores the winner's checkpoint in a process that owns the held-out data (scorer.py), against a sandboxed one
that only answers tokens with logits (answerer.py). Here its findings are put together and judged.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import fmean, median, variance
from typing import TYPE_CHECKING

from agent.core.records import RunRecord
from agent.core.runs import AuditStatus, Result
from agent.core.sanitize import one_line
from agent.gate.stats import quantile

if TYPE_CHECKING:
    import numpy as np

SCORER, MODEL_SERVER = (Path(__file__).with_name(name) for name in ("scorer.py", "model_server.py"))
OK = "ok"
TEXT_CAP = 300  # characters of what a check found
CHECKS = (
    "checkpoint", "bytes", "logits", "agreement", "order", "causality", "held-out", "certain", "clock", "pace",
    "plausible",
)  # fmt: skip
REVIEW_CHECKS = frozenset({"certain", "pace", "plausible"})  # of CHECKS: what an honest winner may not hold by bad luck
BATCH = {"full": 16, "mini": 8}  # rows at once: 1 GB of logits, 8 MB
IMPLAUSIBLE = 0.3  # of the baseline's metric: who gains more has found something, or a hole
CONFIRMED = 0.5  # of the gain on the validation set that the second set must show, within its own error
# Bytes of the unit whose differences are paired. Pieces of one document are not quite independent: on stdlib (mini) the
# error that they give grows by a tenth to a third up to pieces of 16 kB (LOG.md), where too few are left to tell it.
PIECE = 4096
HOLDOUT_ALPHA = 0.025  # the chance that a gain of none shows on the second set, shared by all readings up to this one
SUSPECT = 2.0  # sigmas by which a winner's other run is better than the audited one, if it is to be scored as well
OUTLIER_SIGMAS, OUTLIER_RATE = (
    4.0,
    0.002,
)  # sigmas between a winner's runs, and the share of honest winners that may be held for a person
# What a run may take beside its training: so many times the baseline's median, and seconds, and of itself.
OVERHEAD_RATIO, SLACK_S, SLACK = 1.5, 2.0, 0.02
OVERTIME, OVERTIME_S = 1.05, 1.0  # of the budget in seconds, which the last step may exceed
PACE = 1.25  # times the baseline's training, which a winner's quickest run may take on the calibrated clock
WORK = 2.0  # times the calibrated budget that training may take, and at most the baseline's excess over it
BUSY = 1.25  # of the baseline's processor seconds, where the machine had others to serve
WORK_UNPROBED = 3.0  # times the baseline's training, where the clock counts steps or tokens and nothing was probed
CREDIT = 2.0  # times the baseline's work a token or a step, as a model's code tells of it, that is believed


def _no_values() -> "np.ndarray":
    import numpy as np  # a fifth of a command's start, and few commands audit

    return np.zeros(0)


@dataclass(frozen=True)
class Losses:
    """Nats and bytes of a held-out set's documents that were scored, in pieces of PIECE bytes or more."""

    nats: "np.ndarray" = field(default_factory=_no_values)
    sizes: "np.ndarray" = field(default_factory=_no_values)

    def gain(self, other: "Losses") -> tuple[float, float]:
        """Bits per byte that `other` costs more, and the standard error of it, of a mean over pieces (paired).

        Of a single piece the error is infinite.
        """
        if not len(self.nats) or len(self.nats) != len(other.nats):
            return math.nan, math.nan
        more, unit = other.nats - self.nats, math.log(2) * float(self.sizes.sum())
        error = math.sqrt(len(more) * float(more.var(ddof=1))) / unit if len(more) > 1 else math.inf
        return float(more.sum()) / unit, error


@dataclass(frozen=True)
class ScoreReport:
    """What scorer.py says of one checkpoint: checks by name, metrics, and what the pieces of both sets cost."""

    checks: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    val: Losses = field(default_factory=Losses)
    held: Losses = field(default_factory=Losses)


@dataclass(frozen=True)
class ScoreRequest:
    """What scorer.py is asked, as JSON. claimed: the run's losses.npz, None for a baseline that is compared with."""

    command: Sequence[str]  # the model's process
    prepared: str
    checkpoint: str
    claimed: str | None
    claimed_bpb: float
    out: str
    batch: int
    seed: int
    piece: int  # bytes: the unit in which losses are told

    def text(self) -> str:
        """As scorer.py reads it."""
        return json.dumps(asdict(self))


def read_report(result: Result, folder: Path) -> ScoreReport:
    """What scorer.py left in `folder`; where it left nothing, its end is what is said of the checkpoint."""
    import numpy as np

    if result.status != "ok":
        return ScoreReport({"checkpoint": f"the audit ended with {result.status}: {result.reason}"})
    told = json.loads((folder / "result.json").read_bytes())
    found = {name: one_line(text, limit=TEXT_CAP) for name, text in told["checks"].items()}  # it may quote a checkpoint
    with np.load(folder / "losses.npz", allow_pickle=False) as losses:
        val, held = (Losses(losses[f"{split}_nats"], losses[f"{split}_bytes"]) for split in ("val", "held"))
    return ScoreReport(found, told["metrics"], val, held)


def draw_run(winner: Sequence[RunRecord], baseline: Sequence[RunRecord], lot: str) -> tuple[RunRecord, RunRecord]:
    """The winner's run that is audited, drawn by `lot`, and the baseline's run that it is compared with.

    lot: a text that no run could know while it ran. The two have the same rank among their own (best with best, median
    with median): so a pair shows the gain nearly as well as the two medians do, whichever is drawn.
    """
    mine, usual = (sorted(runs, key=lambda run: run.metric or math.inf) for runs in (winner, baseline))
    at = int(sha256(lot.encode()).hexdigest(), 16) % len(mine)
    rank = at / (len(mine) - 1) if len(mine) > 1 else 0.49  # of a single one, the median (the lower one of two)
    return mine[at], usual[round(rank * (len(usual) - 1))]


# --- checks -----------------------------------------------------------------------------------------------


def check_holdout(winner: ScoreReport, baseline: ScoreReport) -> str:
    """The second held-out set must not speak against the gain on the validation set: not clearly below CONFIRMED of it.

    Both gains are of the same two checkpoints, as audited. The error is the second set's alone: that of the first a
    cheat could make as large as it likes, with one document that it knows by heart.
    """
    (gain, _), (found, error) = winner.val.gain(baseline.val), winner.held.gain(baseline.held)
    if not (math.isfinite(gain) and math.isfinite(found)):
        return "the two checkpoints could not be compared on both held-out sets"
    if gain <= 0:
        return f"the two checkpoints differ by {gain:.4f} on the validation set: there is no gain to confirm"
    if found + 2 * error >= CONFIRMED * gain:
        return OK
    return f"a gain of {gain:.4f} on the validation set is {found:.4f} (± {2 * error:.4f}) on the second held-out set"


def check_significance(winner: ScoreReport, baseline: ScoreReport, reads: int) -> str:
    """The second held-out set shows a gain by itself: one that no gain would show in CERTAIN of cases at most.

    reads: how often the set was read, this time included; that chance is shared by all of them (Bonferroni), so that
    whoever asks often must find more. Where the set is too small to tell, a person decides: to refuse would punish an
    honest winner for that, and to believe would let a forged gain of a few standard errors pass.
    """
    found, error = winner.held.gain(baseline.held)
    most = float(quantile(max(1, len(winner.held.nats) - 1), 1 - HOLDOUT_ALPHA / max(1, reads))) * error
    if found > most:
        return OK
    return f"the second held-out set cannot tell {found:.4f} from no gain: at reading {reads}, {most:.4f} would be one"


def check_claim(claimed: float, found: float | None, baseline: float) -> str:
    """A finite number above zero, as claimed and as found, that is not too good to be true (lower is better)."""
    if not all(math.isfinite(value) and value > 0 for value in (claimed, found if found is not None else claimed)):
        return f"val_bpb {claimed} is no number of bits per byte"
    if claimed < (1 - IMPLAUSIBLE) * baseline:
        return f"{claimed:.4f} is {1 - claimed / baseline:.0%} below the baseline's {baseline:.4f}"
    return OK


def outlier_run(audited: RunRecord, others: Sequence[RunRecord], groups: Sequence[Sequence[float]]) -> RunRecord | None:
    """The best of the winner's other runs, where it is more than SUSPECT sigmas better than the audited one: it is
    scored as well. Sigma is that of `groups` alone, for what is forged among the winner's runs would widen it.
    """
    best = min(others, key=lambda run: run.metric or math.inf, default=audited)
    sigma, _ = _sigma(groups)
    return best if (audited.metric or 0.0) - (best.metric or 0.0) > SUSPECT * sigma > 0 else None


def check_consistency(audited: RunRecord, others: Sequence[RunRecord], groups: Sequence[Sequence[float]]) -> str:
    """The winner's other runs claim nothing far better than the audited one.

    Their mean is at most FAR sigmas lower, or what RARE of honest winners exceed where few runs tell sigma, which is
    pooled over them and `groups` (the baseline's runs, replicates of other models), without the audited run. That they
    are worse is no reason for doubt: nobody forges that.
    """
    values = [run.metric for run in others if run.metric is not None]
    sigma, dof = _sigma([values, *groups])
    if not values or not dof:
        return OK
    lower, error = (audited.metric or 0.0) - fmean(values), sigma * math.sqrt(1 + 1 / len(values))
    if lower <= max(OUTLIER_SIGMAS, float(quantile(dof, 1 - OUTLIER_RATE))) * error:
        return OK
    return f"the audited run has {audited.metric:.4f}, the others {fmean(values):.4f}: they are not of one kind"


def _sigma(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation from run to run, pooled over groups of replicates, and its degrees of freedom."""
    several = [group for group in groups if len(group) > 1]
    dof = sum(len(group) - 1 for group in several)
    return math.sqrt(sum((len(group) - 1) * variance(group) for group in several) / max(1, dof)), dof


@dataclass(frozen=True)
class Timing:
    """What the clock looks at: the runs of a winner and of the baseline that count, under the same conditions.

    flops: the winner's for one token over the baseline's, as its constants tell. written: a model's code is in the
    winner. compilation: seconds that one takes the baseline; 0 until `beside` would refuse and somebody asks.
    """

    winner: Sequence[RunRecord]
    baseline: Sequence[RunRecord]
    flops: float = 1.0
    written: bool = False
    compilation: float = 0.0

    @property
    def typical(self) -> RunRecord:
        """The winner's run that took the median of seconds (the lower of two): one slow start is no pattern."""
        return sorted(self.winner, key=lambda run: run.seconds)[(len(self.winner) - 1) // 2]

    def times(self, ratio: float) -> float:
        """How many times the baseline's work the winner may have: a claim, in code that a model wrote."""
        return max(1.0, min(ratio, CREDIT) if self.written else ratio)


def check_time(timing: Timing) -> str:
    """By the harness's own clock: all the work of a run was inside its budget.

    Where this is ok, the whole process of the winner's typical run took no more seconds than these, whatever it says
    of itself (what it calls training is one part of them, the rest is the other; `room` is what the rest may be):

    - wall: OVERTIME of the budget + OVERTIME_S + room.
    - calibrated: WORK of the budget + room; where the baseline's own runs exceed the budget, as many times more, at
      most WORK. It made the steps that it was given. Probes have no say: one that lies changes the number of steps.
    - steps: WORK_UNPROBED of the baseline's training, times the FLOPs of a token and the tokens of a step over the
      baseline's, + room. It made the steps that it was given; how many tokens are in one is up to an experiment.
    - tokens: the same with the FLOPs of a token alone, since both were given as many tokens.

    In code that a model wrote these ratios are claims, and count CREDIT at most.

    On `mini`, where all work is the processor's, more of the wall's seconds are borne where the whole process took no
    more of the processor's than `_busy` says: others had the machine meanwhile.
    """
    if (found := _given(timing)) != OK:
        return found
    found = next((told for check in (check_overhead, _training) if (told := check(timing)) != OK), OK)
    return OK if found != OK and _busy(timing) else found


def _busy(timing: Timing) -> bool:
    """Whether the winner took BUSY of the baseline's processor seconds at most (medians), by what both had to do.

    That is the FLOPs of a token over the baseline's where tokens or steps are the budget, and nothing more where time
    is; and SLACK_S. Where nobody counted, or a GPU did the work, it cannot be told.
    """
    run, (mine, usual) = (
        timing.typical,
        (median(one.cpu_s for one in runs) for runs in (timing.winner, timing.baseline)),
    )
    if run.conditions.profile != "mini" or not all(one.cpu_s for one in (*timing.winner, *timing.baseline)):
        return False
    ratio = timing.times(timing.flops) if run.conditions.clock == "steps" else 1.0
    return mine <= BUSY * usual * ratio + SLACK_S


def check_pace(timing: Timing) -> str:
    """On the calibrated clock, training takes what the baseline's takes, or the budget: the probes told its step time.

    The winner's quickest run counts against the baseline's median, for others may have had the machine meanwhile; and
    as they may have had it all the time, a person decides. What `training_seconds` leaves out, `beside` finds.
    """
    if timing.typical.conditions.clock != "calibrated":
        return OK
    usual = max(_amount(timing.typical, "s"), median(map(_told, timing.baseline)))
    mine = min(map(_told, timing.winner))
    if mine <= PACE * usual:
        return OK
    return f"its quickest run trains for {mine:.1f} s, where {usual:.1f} s are usual: its probes told of quicker steps"


def _given(timing: Timing) -> str:
    """Every run made as many steps, or tokens, as it was given: one step more at most."""
    for run in timing.winner:
        told, tokens = run.metrics.get("num_steps", run.steps), run.metrics.get("total_tokens_M")
        if run.steps and told != run.steps:
            return f"it was given {run.steps} steps and tells of {told:g}"
        given = _amount(run, "Mtok")
        if given and tokens is not None and not given <= tokens * (1 + 1e-6) <= given + 1.1 * tokens / (told or 1):
            return f"it was given {given:g} million tokens and tells of {tokens:g}"
    return OK


def check_overhead(timing: Timing) -> str:
    """What a run takes beside its training (start, compilation, evaluation) is what the baseline's takes, with room.

    room: BESIDE of the baseline's median and of one compilation, if somebody asked for its seconds, times the FLOPs of
    a token over the baseline's; SLACK_S; and SLACK of the run itself.
    """
    mine, usual = _beside(timing.typical), median(map(_beside, timing.baseline))
    longest = OVERHEAD_RATIO * (usual + timing.compilation) * timing.times(timing.flops)
    room = longest + SLACK_S + SLACK * timing.typical.seconds
    if mine <= room:
        return OK
    compiling = f" and {timing.compilation:.1f} s to compile" if timing.compilation else ""
    return f"its runs take {mine:.1f} s beside their training, the baseline's {usual:.1f} s{compiling}"


def _training(timing: Timing) -> str:
    """Seconds of training, where the budget is no number of them."""
    mine, most = _told(timing.typical), _longest(timing)
    return OK if mine <= most else f"its training takes {mine:.1f} s, where {most:.1f} s are the most that it could"


def _longest(timing: Timing) -> float:
    """The most seconds that training may take; on the wall's clock the budget is the limit, and `beside` sees to it."""
    run, usual = timing.typical, median(map(_told, timing.baseline))
    if run.conditions.clock == "wall":
        return math.inf
    if run.conditions.clock == "calibrated":
        budget = _amount(run, "s")
        return WORK * budget * min(WORK, max(1.0, usual / budget))
    batch = 1.0 if _amount(run, "Mtok") else _tokens([run]) / _tokens(timing.baseline)
    return WORK_UNPROBED * usual * timing.times(timing.flops * batch)


def _amount(run: RunRecord, unit: str) -> float:
    """The budget of a run in a unit; 0 where it is in another."""
    budget = str(run.conditions.budget)
    number = budget.removesuffix(unit)
    return float(number) if number != budget and number.replace(".", "", 1).isdigit() else 0.0


def _tokens(runs: Sequence[RunRecord]) -> float:
    """Millions of tokens that a run says it was trained on; 1 where it says nothing."""
    return max(1e-9, median(run.metrics.get("total_tokens_M", 1.0) for run in runs))


def _told(run: RunRecord) -> float:
    """Seconds that a run calls training: on the wall's clock no more than its budget allows."""
    told = run.metrics.get("training_seconds", 0.0)
    return min(told, OVERTIME * _amount(run, "s") + OVERTIME_S) if run.conditions.clock == "wall" else told


def _beside(run: RunRecord) -> float:
    """All other seconds of its process."""
    return run.seconds - _told(run)


def numbers(winner: RunRecord, base: RunRecord, mine: ScoreReport, theirs: ScoreReport) -> dict[str, float]:
    """What the audit's record keeps, bits per byte: claimed, and audited of both checkpoints on either set."""
    told = {
        "claimed_bpb": winner.metric,
        "baseline_bpb": base.metric,
        "audited_bpb": mine.metrics.get("val_bpb"),
        "baseline_audited_bpb": theirs.metrics.get("val_bpb"),
        "held_bpb": mine.metrics.get("held_bpb"),
        "baseline_held_bpb": theirs.metrics.get("held_bpb"),
    }
    return {name: value for name, value in told.items() if value is not None and math.isfinite(value)}


# --- judgement --------------------------------------------------------------------------------------------


def status(checks: Mapping[str, str]) -> tuple[AuditStatus, tuple[str, ...]]:
    """Passed where each of CHECKS is ok and none left out; quarantined, for a person, if only DOUBTS are not."""
    failed = tuple(name for name in CHECKS if checks.get(name) != OK)
    if failed and REVIEW_CHECKS.issuperset(failed) and all(name in checks for name in failed):
        return "quarantined", failed
    return ("failed" if failed else "passed"), failed

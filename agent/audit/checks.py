"""Whether a winner's number is believed: the scorer's report, the second held-out set, the winner's own runs. Pure.

Each check returns `ok` or one line of what speaks against the winner. docs/audit.md has all of them in a table.
"""

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256

from agent.audit.reports import ScoreReport
from agent.audit.rules import OK, RULES
from agent.core.frozen import frozen
from agent.core.records import RunRecord
from agent.core.runs import AuditStatus
from agent.gate.stats import mean, pool, quantile

CHECKS = (
    "checkpoint", "bytes", "logits", "agreement", "order", "causality", "held-out", "certain", "clock", "pace", "seeds",
    "plausible",
)  # fmt: skip
REVIEW_CHECKS = frozenset({"certain", "pace", "plausible"})  # what an honest winner may fail by bad luck: for a person


@frozen
class ScoredRun:
    """A run and the number that it claims: NaN where it has none."""

    record: RunRecord
    metric: float


def scored_run(record: RunRecord) -> ScoredRun:
    """Return a run with its number; a run without one claims NaN, which no check believes."""
    return ScoredRun(record, math.nan if record.metric is None else record.metric)


def scored_runs(records: Sequence[RunRecord]) -> list[ScoredRun]:
    """Return the runs that have a number, with it."""
    return [scored_run(record) for record in records if record.metric is not None]


def draw_run(winner: Sequence[ScoredRun], baseline: Sequence[ScoredRun], lot: str) -> tuple[ScoredRun, ScoredRun]:
    """Return the winner's run to audit, drawn by `lot`, and the baseline's run to compare it with.

    lot: a text that no run could know while it ran. The two have the same rank among their own (best with best, median
    with median): so a pair shows the gain nearly as well as the two medians do, whichever is drawn.
    """
    ranked, baseline_ranked = (sorted(runs, key=lambda run: run.metric) for runs in (winner, baseline))
    at = int(sha256(lot.encode()).hexdigest(), 16) % len(ranked)
    rank = at / (len(ranked) - 1) if len(ranked) > 1 else 0.49  # of a single one, the median (the lower one of two)
    return ranked[at], baseline_ranked[round(rank * (len(baseline_ranked) - 1))]


# --- the second held-out set ------------------------------------------------------------------------------


def check_holdout(winner: ScoreReport, baseline: ScoreReport) -> str:
    """Return ok unless the second held-out set speaks against the gain on the validation set.

    Both gains are of the same two checkpoints, as audited. The error is the second set's alone: that of the first a
    cheat could make as large as it likes, with one document that it knows by heart.
    """
    (gain, _), (held_gain, error) = winner.val.gain(baseline.val), winner.held.gain(baseline.held)
    if not (math.isfinite(gain) and math.isfinite(held_gain)):
        return "the two checkpoints could not be compared on both held-out sets"
    if gain <= 0:
        return f"the two checkpoints differ by {gain:.4f} on the validation set: there is no gain to confirm"
    if held_gain + 2 * error >= RULES.confirmed_gain_ratio * gain:
        return OK
    return (
        f"a gain of {gain:.4f} on the validation set is {held_gain:.4f} (± {2 * error:.4f}) on the second held-out set"
    )


def check_significance(winner: ScoreReport, baseline: ScoreReport, reads: int) -> str:
    """Return ok where the second held-out set shows a gain by itself, by a one-sided t test over its pieces.

    reads: how often the set was read, this time included. They share `holdout_alpha` (Bonferroni), so whoever reads it
    often must gain more. Where the set is too small to tell, a person decides: to refuse would punish an honest winner
    for that, and to believe would let a forged gain of a few standard errors pass.
    """
    gain, error = winner.held.gain(baseline.held)
    dof = max(1, len(winner.held.nats) - 1)
    needed = quantile(dof, 1 - RULES.holdout_alpha / max(1, reads)) * error
    if gain > needed:
        return OK
    return f"the second held-out set cannot tell {gain:.4f} from no gain: at reading {reads}, {needed:.4f} would be one"


# --- the claim --------------------------------------------------------------------------------------------


def check_claim(claimed: float, audited: float | None, baseline: float) -> str:
    """Return ok for a finite number above zero, as claimed and as audited, that is not too good to be true."""
    numbers = [claimed] if audited is None else [claimed, audited]
    if not all(math.isfinite(number) and number > 0 for number in numbers):
        return f"{claimed} is no number above zero"
    if claimed < (1 - RULES.implausible_gain_ratio) * baseline:
        return f"{claimed:.4f} is {1 - claimed / baseline:.0%} below the baseline's {baseline:.4f}"
    return OK


def outlier_run(audited: ScoredRun, others: Sequence[ScoredRun], groups: Sequence[Sequence[float]]) -> ScoredRun | None:
    """Return the best of the winner's other runs where it is `suspect_sigmas` better than the audited one, else None.

    It is scored as well. Sigma is that of `groups` alone: what is forged among the winner's runs would widen it.
    """
    best = min(others, key=lambda run: run.metric, default=audited)
    return best if audited.metric - best.metric > RULES.suspect_sigmas * pool(groups).sigma > 0 else None


def check_consistency(audited: ScoredRun, others: Sequence[ScoredRun], groups: Sequence[Sequence[float]]) -> str:
    """Return ok unless the winner's other runs claim far better numbers than the audited one has.

    Their mean may be `outlier_sigmas` lower, or what `outlier_rate` of honest winners exceed where few runs tell sigma.
    It is pooled over them and `groups` (the baseline's runs, replicates of other models), without the audited run. That
    they are worse is no reason for doubt: nobody forges that.
    """
    values = [run.metric for run in others]
    noise = pool([values, *groups])
    if not values or not noise.dof:
        return OK
    lower, error = audited.metric - mean(values), noise.sigma * math.sqrt(1 + 1 / len(values))
    if lower <= max(RULES.outlier_sigmas, quantile(noise.dof, 1 - RULES.outlier_rate)) * error:
        return OK
    return f"the audited run has {audited.metric:.4f}, the others {mean(values):.4f}: they are not of one kind"


def check_seeds(winner: Sequence[ScoredRun]) -> str:
    """Return ok unless runs of different seeds have the same number: then the script has a seed of its own."""
    seeds = dict[float, int]()
    for run in winner:
        if seeds.setdefault(run.metric, run.record.seed) != run.record.seed:
            return f"seeds {seeds[run.metric]} and {run.record.seed} have the same {run.metric:.6f}"
    return OK


# --- the judgement ----------------------------------------------------------------------------------------


def numbers(winner: ScoredRun, base: ScoredRun, report: ScoreReport, base_report: ScoreReport) -> dict[str, float]:
    """Return what the audit's record keeps, in the metric: claimed, and audited of both checkpoints on either set."""
    named = {
        "claimed": winner.metric,
        "baseline": base.metric,
        "audited": report.val_metric,
        "baseline_audited": base_report.val_metric,
        "held": report.held_metric,
        "baseline_held": base_report.held_metric,
    }
    return {name: value for name, value in named.items() if value is not None and math.isfinite(value)}


def status(findings: Mapping[str, str]) -> tuple[AuditStatus, tuple[str, ...]]:
    """Return the audit's status and the checks that did not hold, which a check that was not made is one of.

    It is quarantined, for a person, where all that did not hold are REVIEW_CHECKS and were made.
    """
    failed = tuple(name for name in CHECKS if findings.get(name) != OK)
    if failed and REVIEW_CHECKS.issuperset(failed) and all(name in findings for name in failed):
        return "quarantined", failed
    return ("failed" if failed else "passed"), failed

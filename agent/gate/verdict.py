"""What the runs of a campaign say of its variants. Pure.

The measurements are a campaign's only state: the same ones always give the same judgement, so resuming is free.

Why `fixed` and `confirmed` keep their promise: the screening runs only choose whom to confirm. The test compares the
baseline with runs on fresh seeds that had no part in that choice, so for any number of variants at most `alpha` of the
campaigns promote a variant that is no better than the baseline (normal noise of one size).
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.core.experiment import BASELINE, GateRules
from agent.core.runs import Decision, Verdict
from agent.gate.history import History, Measurement, Replicates, leader_of, read_history
from agent.gate.results import (
    GateResult,
    chance,
    measured,
    nobody,
    numbers,
    unmeasured,
    with_baseline,
    without_baseline,
)
from agent.gate.schedule import next_runs
from agent.gate.settle import settle
from agent.gate.stats import LEVEL, Noise, cdf, mean, pool, quantile

FIRST_SHARE = 0.9  # of alpha
_FURTHER = 50  # the most further runs of each that a verdict counts out


class _Gain(NamedTuple):
    """Baseline minus variant, with its 90 % interval and one-sided p; None where the noise is unknown."""

    gain: float
    interval: tuple[float, float] | None
    p: float | None


def _test(gain: float, n_base: int, n: int, noise: Noise) -> _Gain:
    """Student's two-sample t with the pooled sigma. Without any spread the sign of the gain decides."""
    if noise.dof == 0:
        return _Gain(gain, None, None)
    error = noise.sigma * math.sqrt(1 / n_base + 1 / n)
    half = float(quantile(noise.dof, 1 - LEVEL)) * error
    p = float(cdf(noise.dof, -gain / error)) if error > 0 else float(gain <= 0)
    return _Gain(gain, (gain - half, gain + half), p)


def alpha_now(rules: GateRules) -> float:
    """Return the level of the test at this look at the runs.

    Whoever looks again after an inconclusive verdict (`more`) has one more chance to promote noise. So the first look
    gets FIRST_SHARE of alpha, and each further one half of what is left: together at most alpha, whatever is asked for.
    """
    if not rules.more:
        return FIRST_SHARE * rules.alpha
    return float((1 - FIRST_SHARE) * rules.alpha / 2 ** len(rules.more))


def _decide(rules: GateRules, estimate: _Gain) -> Decision:
    """keep: significant and large enough. discard: no gain, or even the interval's upper end is too small to count."""
    if (
        estimate.p is not None
        and estimate.p <= alpha_now(rules)
        and estimate.gain >= rules.min_gain
        and estimate.gain > 0
    ):
        return "keep"
    too_small = estimate.interval is not None and estimate.interval[1] < max(rules.min_gain, 0.0)
    return "discard" if estimate.gain <= 0 or too_small else "inconclusive"


def judge(
    rules: GateRules, order: Sequence[str], measurements: Sequence[Measurement], groups: Sequence[Replicates] = ()
) -> GateResult:
    """Judge a finished campaign. Raises ValueError while `next_runs` still asks for runs.

    `groups` are replicates of other models under the same conditions; they sharpen sigma. The verdict rests on the
    leader's confirmations alone. A variant that was only screened has an interval but no p, since it was one of many:
    it is `discard` where nothing speaks for it, else `inconclusive`.
    """
    campaign = read_history(rules, order, measurements)
    if campaign.base.failure:
        return without_baseline(campaign)
    if waiting := next_runs(rules, order, measurements, groups):
        raise ValueError(f"the campaign still needs {len(waiting)} runs, first {waiting[0]}")
    if rules.kind == "baseline":
        return GateResult(measured(campaign, groups), ())
    if rules.kind == "confirmed":
        return settle(campaign, groups)
    leader = leader_of(campaign)
    sound = [name for name in order if not campaign.tallies[name].failure]  # what failed may have made its numbers up
    own = [campaign.reference, *(campaign.confirmations(name) for name in sound)]
    noise = pool([] if campaign.lowest else [*own, *(one.values() for one in groups)])
    estimates = {name: _estimate(campaign, name, leader, noise) for name in order}
    return GateResult(nobody(campaign) if leader is None else estimates[leader], tuple(estimates.values()))


def _estimate(campaign: History, name: str, leader: str | None, noise: Noise) -> Verdict:
    """What is known of one variant. p is given for the leader only, since only one variant is tested."""
    if campaign.tallies[name].failure:
        return unmeasured(campaign, name, "failed", f"{name}: {campaign.tallies[name].failure}")
    values, base = campaign.deciding(name).values(), campaign.reference
    estimate = _test(mean(base) - mean(values), len(base), len(values), noise)
    estimate = estimate if name == leader else estimate._replace(p=None)
    decision = _decide(campaign.rules, estimate)
    if campaign.lowest:
        decision = "keep" if name == leader else "discard"
    why = _why_leader(campaign, decision, values, noise) if name == leader else _why_other(decision, leader)
    bare = Verdict(
        name, decision, estimate.gain, estimate.interval, len(values), estimate.p, "", campaign.mean_of(name)
    )
    verdict = with_baseline(campaign, bare)
    return replace(verdict, reason=f"{name}: {numbers(campaign, verdict)}{why}")


def _why_leader(campaign: History, decision: Decision, values: Collection[float], noise: Noise) -> str:
    """What the numbers alone do not say."""
    if campaign.lowest:
        return f"; the best of one run each{chance(campaign)}"
    if decision == "discard":
        return f"; on fresh seeds no gain that counts (min_gain {campaign.rules.min_gain:.3g})"
    gain = mean(campaign.reference) - mean(values)
    further = _further(campaign.rules, gain, len(campaign.reference), len(values), noise)
    return f"; {further} would settle it at this gain" if decision == "inconclusive" else ""


def _why_other(decision: Decision, leader: str | None) -> str:
    better = f"{leader or BASELINE} had the better screening run"
    return f"; not confirmed, since {better}" if decision == "inconclusive" else ""


def _further(rules: GateRules, gain: float, n_base: int, n: int, noise: Noise) -> str:
    """How many more runs of baseline and variant would decide, were the gain and sigma to stay as they are."""
    later = replace(rules, more=(*rules.more, 1))  # at the level of the next look
    for more in range(1, _FURTHER + 1) if noise.dof else ():
        estimate = _test(gain, n_base + more, n + more, Noise(noise.sigma, noise.dof + 2 * more))
        if _decide(later, estimate) != "inconclusive":
            return f"about {more} further run{'s' if more > 1 else ''} of each (--more {more})"
    return f"more than {_FURTHER} further runs of each" if noise.dof else "replicates, which tell the noise,"

"""The decision gate: which runs are needed next, and what they say of the variants. Pure; all statistics live here.

It stands on core and stats alone. The history of a campaign is its only state: the same observations always
give the same requests and the same judgement, so resuming is free.

Why `confirmed` keeps its promise: the screening runs only choose whom to confirm. The test compares the baseline with
runs on fresh seeds that had no part in that choice, so for any number of variants at most `alpha` of the campaigns
promote a variant that is no better than the baseline (normal noise of one size).
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.core.experiment import BASELINE, GateRules
from agent.core.frozen import frozen
from agent.core.runs import Decision, Verdict
from agent.gate.history import History, Measurement, leader_of, read_history
from agent.gate.schedule import next_runs
from agent.gate.stats import LEVEL, Noise, cdf, mean, pool, quantile, spread

FIRST_SHARE = 0.9  # of alpha
_FURTHER = 50  # the most further runs of each that a verdict counts out


@frozen
class GateResult:
    """The campaign's verdict, and one estimate per variant in the campaign's order."""

    verdict: Verdict
    variants: tuple[Verdict, ...]


class _Gain(NamedTuple):
    """Baseline minus variant, with its 90 % interval and one-sided p; None where the noise is unknown."""

    gain: float
    interval: tuple[float, float] | None
    p: float | None


def chance_of_false_winner(variants: int) -> float:
    """How often the lowest of one run each is a variant when all are equal to the baseline: K / (K + 1)."""
    return variants / (variants + 1)


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
    rules: GateRules, order: Sequence[str], measurements: Sequence[Measurement], groups: Sequence[Sequence[float]] = ()
) -> GateResult:
    """Judge a finished campaign. Raises ValueError while `next_runs` still asks for runs.

    `groups` are replicates of other models under the same conditions; they sharpen sigma. The verdict rests on the
    leader's confirmations alone. A variant that was only screened has an interval but no p, since it was one of many:
    it is `discard` where nothing speaks for it, else `inconclusive`.
    """
    campaign = read_history(rules, order, measurements)
    if campaign.base.failure:
        return _without_baseline(campaign)
    if waiting := next_runs(rules, order, measurements):
        raise ValueError(f"the campaign still needs {len(waiting)} runs, first {waiting[0]}")
    if rules.kind == "baseline":
        return GateResult(_measured(campaign, groups), ())
    leader = leader_of(campaign)
    sound = [name for name in order if not campaign.tallies[name].failure]  # what failed may have made its numbers up
    own = [campaign.reference, *(campaign.confirmations(name) for name in sound)]
    noise = pool([] if campaign.lowest else [*own, *groups])
    estimates = {name: _estimate(campaign, name, leader, noise) for name in order}
    return GateResult(_nobody(campaign) if leader is None else estimates[leader], tuple(estimates.values()))


def _unmeasured(campaign: History, variant: str | None, decision: Decision, reason: str) -> Verdict:
    return _with_baseline(campaign, Verdict(variant, decision, None, None, 0, None, reason))


def _with_baseline(campaign: History, verdict: Verdict) -> Verdict:
    """Return a verdict with the baseline's numbers, where the baseline has any."""
    mean, n = campaign.mean_of(BASELINE), len(campaign.reference)
    return verdict if mean is None else replace(verdict, baseline_mean=mean, baseline_n=n)


def _without_baseline(campaign: History) -> GateResult:
    reason = f"{BASELINE}: {campaign.base.failure}, so there is nothing to compare with"
    why = {name: tally.failure or "there is no baseline to compare it with" for name, tally in campaign.tallies.items()}
    variants = (_unmeasured(campaign, name, "failed", f"{name}: {why[name]}") for name in campaign.order)
    return GateResult(_unmeasured(campaign, None, "failed", reason), tuple(variants))


def _measured(campaign: History, groups: Sequence[Sequence[float]]) -> Verdict:
    """The verdict on a baseline that was only measured: its mean with the 90 % interval, and sigma."""
    values, average = campaign.reference, campaign.mean_of(BASELINE)
    assert average is not None
    noise = pool([values, *groups])
    half = spread(noise, len(values))
    bounds = None if half is None else (average - half, average + half)
    shown = "" if bounds is None else ", 90 % interval {:.6g} to {:.6g}".format(*bounds)
    sigma = f", sigma {noise.sigma:.3g} with {noise.dof} degrees of freedom" if noise.dof else ", sigma unknown"
    reason = f"{BASELINE}: mean {average:.6g} of {len(values)} run{'s' * (len(values) != 1)}{shown}{sigma}"
    return _with_baseline(campaign, Verdict(None, "measured", None, bounds, len(values), None, reason))


def _nobody(campaign: History) -> Verdict:
    """The verdict where no variant leads."""
    failed = [name for name in campaign.order if campaign.tallies[name].failure]
    if failed and len(failed) == len(campaign.order):
        reason = f"every variant failed; {failed[0]}: {campaign.tallies[failed[0]].failure}"
        return _unmeasured(campaign, None, "failed", reason)
    base = f"the baseline's {campaign.mean_of(BASELINE):.6g} (n={len(campaign.reference)})"
    named = f"; {', '.join(failed)} failed" if failed else ""
    return _unmeasured(campaign, None, "discard", f"no variant beat {base} in its first run{named}{_chance(campaign)}")


def _estimate(campaign: History, name: str, leader: str | None, noise: Noise) -> Verdict:
    """What is known of one variant. p is given for the leader only, since only one variant is tested."""
    if campaign.tallies[name].failure:
        return _unmeasured(campaign, name, "failed", f"{name}: {campaign.tallies[name].failure}")
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
    verdict = _with_baseline(campaign, bare)
    return replace(verdict, reason=f"{name}: {_numbers(campaign, verdict)}{why}")


def _numbers(campaign: History, verdict: Verdict) -> str:
    """The numbers of a verdict, in words."""
    many = f"mean of {verdict.n} confirmation{'s' if verdict.n > 1 else ''}"
    what = f"{many if campaign.confirmations(verdict.variant or '') else 'one run'} {verdict.mean:.6g}"
    base = f"baseline {verdict.baseline_mean:.6g} (n={verdict.baseline_n})"
    bounds = "" if verdict.interval is None else ", 90 % interval {:.3g} to {:.3g}".format(*verdict.interval)
    p = "" if verdict.p is None else f", p={verdict.p:.2g}"
    return f"{what} against {base}: gain {verdict.gain:.3g}{bounds}{p}"


def _why_leader(campaign: History, decision: Decision, values: Collection[float], noise: Noise) -> str:
    """What the numbers alone do not say."""
    if campaign.lowest:
        return f"; the best of one run each{_chance(campaign)}"
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


def _chance(campaign: History) -> str:
    """What `lowest` owes its reader: how often it names a winner where there is none."""
    measured = sum(not tally.failure for tally in campaign.tallies.values())
    chance = f"; were all {measured} equal to the baseline, one would still win {chance_of_false_winner(measured):.0%}"
    return f"{chance} of the time" if campaign.lowest else ""

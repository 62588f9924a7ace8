"""The gate's result, and the verdicts that need no test: a failure, a mere measurement, nobody ahead. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from agent.core.experiment import BASELINE
from agent.core.frozen import frozen
from agent.core.runs import Decision, Verdict
from agent.gate.history import History, Replicates
from agent.gate.stats import pool, spread


@frozen
class GateResult:
    """The campaign's verdict, and one estimate per variant in the campaign's order."""

    verdict: Verdict
    variants: tuple[Verdict, ...]


def chance_of_false_winner(variants: int) -> float:
    """How often the lowest of one run each is a variant when all are equal to the baseline: K / (K + 1)."""
    return variants / (variants + 1)


def unmeasured(campaign: History, variant: str | None, decision: Decision, reason: str) -> Verdict:
    """Return a verdict without a gain."""
    return with_baseline(campaign, Verdict(variant, decision, None, None, 0, None, reason))


def with_baseline(campaign: History, verdict: Verdict) -> Verdict:
    """Return a verdict with the baseline's numbers, where the baseline has any."""
    mean, n = campaign.mean_of(BASELINE), len(campaign.reference)
    return verdict if mean is None else replace(verdict, baseline_mean=mean, baseline_n=n)


def without_baseline(campaign: History) -> GateResult:
    """Return the result of a campaign whose baseline failed."""
    reason = f"{BASELINE}: {campaign.base.failure}, so there is nothing to compare with"
    why = {name: tally.failure or "there is no baseline to compare it with" for name, tally in campaign.tallies.items()}
    variants = (unmeasured(campaign, name, "failed", f"{name}: {why[name]}") for name in campaign.order)
    return GateResult(unmeasured(campaign, None, "failed", reason), tuple(variants))


def measured(campaign: History, groups: Sequence[Replicates]) -> Verdict:
    """The verdict on a baseline that was only measured: its mean with the 90 % interval, and sigma."""
    values, average = campaign.reference, campaign.mean_of(BASELINE)
    assert average is not None
    noise = pool([values, *(one.values() for one in groups)])
    half = spread(noise, len(values))
    bounds = None if half is None else (average - half, average + half)
    shown = "" if bounds is None else ", 90 % interval {:.6g} to {:.6g}".format(*bounds)
    sigma = f", sigma {noise.sigma:.3g} with {noise.dof} degrees of freedom" if noise.dof else ", sigma unknown"
    reason = f"{BASELINE}: mean {average:.6g} of {len(values)} run{'s' * (len(values) != 1)}{shown}{sigma}"
    return with_baseline(campaign, Verdict(None, "measured", None, bounds, len(values), None, reason))


def nobody(campaign: History) -> Verdict:
    """The verdict where no variant leads."""
    failed = [name for name in campaign.order if campaign.tallies[name].failure]
    if failed and len(failed) == len(campaign.order):
        reason = f"every variant failed; {failed[0]}: {campaign.tallies[failed[0]].failure}"
        return unmeasured(campaign, None, "failed", reason)
    base = f"the baseline's {campaign.mean_of(BASELINE):.6g} (n={len(campaign.reference)})"
    named = f"; {', '.join(failed)} failed" if failed else ""
    return unmeasured(campaign, None, "discard", f"no variant beat {base} in its first run{named}{chance(campaign)}")


def chance(campaign: History) -> str:
    """What `lowest` owes its reader: how often it names a winner where there is none."""
    sound = sum(not tally.failure for tally in campaign.tallies.values())
    share = f"; were all {sound} equal to the baseline, one would still win {chance_of_false_winner(sound):.0%}"
    return f"{share} of the time" if campaign.lowest else ""


def numbers(campaign: History, verdict: Verdict) -> str:
    """The numbers of a verdict, in words."""
    many = f"mean of {verdict.n} confirmation{'s' if verdict.n > 1 else ''}"
    what = f"{many if campaign.confirmations(verdict.variant or '') else 'one run'} {verdict.mean:.6g}"
    base = f"baseline {verdict.baseline_mean:.6g} (n={verdict.baseline_n})"
    bounds = "" if verdict.interval is None else ", 90 % interval {:.3g} to {:.3g}".format(*verdict.interval)
    p = "" if verdict.p is None else f", p={verdict.p:.2g}"
    return f"{what} against {base}: gain {verdict.gain:.3g}{bounds}{p}"

"""The verdict of the gate that looks after every run. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from agent.core.runs import Decision, Verdict
from agent.gate.evidence import Gain, Scatter, compare
from agent.gate.history import History, Replicates
from agent.gate.results import GateResult, nobody, numbers, unmeasured, with_baseline
from agent.gate.sequential import Look, Standing, corrected, level_now, look

_FURTHER = 50  # the most further runs of each that a verdict counts out


def settle(campaign: History, groups: Sequence[Replicates]) -> GateResult:
    """Return the result of a campaign that needs no further run.

    The leader's gain is corrected for the stop, and p is that of its last look. The other variants have the gain of
    their confirmations, or of their screening run where they have none, and no p: they were several.
    """
    now = look(campaign, groups)
    leader = now.leader if now.leader and now.leader.gain else None
    verdicts = {name: _verdict(campaign, name, now, leader) for name in campaign.order}
    return GateResult(_nobody(campaign) if leader is None else verdicts[leader.name], tuple(verdicts.values()))


def _nobody(campaign: History) -> Verdict:
    verdict = nobody(campaign)
    beat = "beat the baseline's", "was so much better in its first run than the baseline's"
    return replace(verdict, reason=verdict.reason.replace(*beat).replace(" in its first run;", ";"))


def _verdict(campaign: History, name: str, now: Look, leader: Standing | None) -> Verdict:
    if campaign.tallies[name].failure:
        return unmeasured(campaign, name, "failed", f"{name}: {campaign.tallies[name].failure}")
    if leader is not None and leader.gain is not None and name == leader.name:
        return _of_leader(campaign, leader, leader.gain, now.scatter)
    gain = compare(campaign.base.values, campaign.deciding(name), now.scatter)
    decision = _open_or_not(campaign, gain.value, gain.interval)
    other = f"{leader.name} was ahead" if leader else "its first run was too close to the baseline"
    why = f"; not confirmed, since {other}" if decision == "inconclusive" else ""
    return _worded(campaign, Verdict(name, decision, gain.value, gain.interval, 0, None, why))


def _of_leader(campaign: History, leader: Standing, gain: Gain, scatter: Scatter) -> Verdict:
    value, interval = corrected(campaign, leader.runs, gain) if gain.dof else (gain.value, None)
    decision = "keep" if leader.confirmed else _open_or_not(campaign, value, interval)
    why = _how(campaign, gain, value, scatter) + _why(campaign, decision, leader, gain)
    return _worded(campaign, Verdict(leader.name, decision, value, interval, 0, gain.p, why))


def _worded(campaign: History, verdict: Verdict) -> Verdict:
    """Return a verdict whose reason is so far only what comes after its numbers."""
    name, why = verdict.variant or "", verdict.reason
    counted = replace(verdict, n=len(campaign.deciding(name)), mean=campaign.mean_of(name))
    full = with_baseline(campaign, counted)
    return replace(full, reason=f"{name}: {numbers(campaign, full)}{why}")


def _open_or_not(campaign: History, value: float, interval: tuple[float, float] | None) -> Decision:
    """discard: no gain, or even the interval's upper end is too small to count."""
    too_small = interval is not None and interval[1] < max(campaign.rules.min_gain, 0.0)
    return "discard" if value <= 0 or too_small else "inconclusive"


def _how(campaign: History, gain: Gain, value: float, scatter: Scatter) -> str:
    """How the gain was measured, and what the stop has changed of it."""
    level = level_now(campaign.rules, len(campaign.order))
    rho = "" if scatter.rho is None else f" (rho {scatter.rho:.2f})"
    how = f"paired by seed, {gain.pairs} pairs{rho}" if gain.pairs else "unpaired"
    moved = abs(value - gain.value) >= 0.005 * abs(gain.value)
    stop = f"; measured {gain.value:.3g}, corrected for the stop at this look" if moved else ""
    return f"; {how}, each look at level {level:.2g}{stop}"


def _why(campaign: History, decision: Decision, leader: Standing, gain: Gain) -> str:
    """What the numbers alone do not say."""
    if decision == "discard":
        return f"; on fresh seeds no gain that counts (min_gain {campaign.rules.min_gain:.3g})"
    if decision == "keep":
        return ""
    if leader.passes:
        return "; the ledger's baseline may have changed since it was measured: measure it once more (--more 2)"
    return f"; {_further(campaign, leader, gain)} would settle it at this gain"


def _further(campaign: History, leader: Standing, gain: Gain) -> str:
    """How many more runs of baseline and variant would decide, were the gain and the noise to stay as they are."""
    if not gain.dof:
        return "replicates, which tell the noise,"
    rules = replace(campaign.rules, more=(*campaign.rules.more, 1))  # at the level of the next look
    level, base = level_now(rules, len(campaign.order)), len(campaign.base.values)
    for more in range(1, _FURTHER + 1):
        later = _with_more(gain, base, leader.runs, more)
        bounds = later.interval
        certain = later.p is not None and later.p <= level and gain.value >= rules.min_gain
        if certain or (bounds is not None and bounds[1] < max(rules.min_gain, 0.0)):
            return f"about {more} further run{'s' if more > 1 else ''} of each (--more {more})"
    return f"more than {_FURTHER} further runs of each"


def _with_more(gain: Gain, base: int, runs: int, more: int) -> Gain:
    """Return the gain with the error that so many more runs of each would leave it."""
    if gain.pairs:
        share = gain.pairs / (gain.pairs + more)
    else:
        share = (1 / (base + more) + 1 / (runs + more)) / (1 / base + 1 / runs)
    return replace(gain, error=gain.error * share**0.5, dof=gain.dof + (more if gain.pairs else 2 * more))

"""The decision gate: which runs are needed next, and what they say of the variants. Pure; all statistics live here.

It stands on core and stats alone. The history of a campaign is its only state: the same observations always
give the same requests and the same judgement, so resuming is free.

Why `confirmed` keeps its promise: the screening runs only choose whom to confirm. The test compares the baseline with
runs on fresh seeds that had no part in that choice, so for any number of variants at most `alpha` of the campaigns
promote a variant that is no better than the baseline (normal noise of one size).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import NamedTuple

from agent.core.experiment import BASELINE, GateRules
from agent.core.records import RunRecord
from agent.core.runs import Decision, Role, Verdict
from agent.gate.stats import Noise, cdf, mean, median, pool, quantile

_LEVEL = 0.05  # each tail of the published interval: two-sided 90 %, above 0 exactly when the one-sided p is below 0.05
_FURTHER = 50  # the most further runs of each that a verdict counts out
_HUGE = 1e300  # a run whose value is beyond this has diverged; below it no sum or difference overflows


@dataclass(frozen=True)
class Measurement:
    """A run that happened. `value` is the metric, None where the run failed; a contended run is no evidence."""

    variant: str
    seed: int
    role: Role
    value: float | None
    contended: bool = False
    failure: str = ""  # how it failed, in a word


@dataclass(frozen=True)
class ScheduledRun:
    """A run that the gate needs."""

    variant: str
    seed: int
    role: Role


@dataclass(frozen=True)
class GateResult:
    """The campaign's verdict, and one estimate per variant in the campaign's order."""

    verdict: Verdict
    variants: tuple[Verdict, ...]


# --- what has been seen -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _VariantRuns:
    """One variant's runs: value by seed as they came (signed: lower is better), seeds to run again, what failed."""

    values: Mapping[int, float]
    again: tuple[int, ...]
    failure: str


@dataclass(frozen=True)
class _History:
    """A history, sorted out. `screen_seed` is None until the baseline is complete."""

    rules: GateRules
    order: Sequence[str]
    seen: Sequence[Measurement]
    base: _VariantRuns
    tallies: Mapping[str, _VariantRuns]
    screen_seed: int | None

    @property
    def lowest(self) -> bool:
        return self.rules.kind == "lowest"

    @property
    def reference(self) -> list[float]:
        """What a variant is compared with: all baseline runs, or for `lowest` the one on the screening seed."""
        return [value for seed, value in self.base.values.items() if not self.lowest or seed == self.screen_seed]

    def screen(self, name: str) -> float:
        """The variant's value on the screening seed; infinity where it has none or is out."""
        tally = self.tallies[name]
        return math.inf if tally.failure or self.screen_seed is None else tally.values.get(self.screen_seed, math.inf)

    def confirmations(self, name: str) -> list[float]:
        """The variant's values on all other seeds; `lowest` looks at none."""
        values = self.tallies[name].values
        return [value for seed, value in values.items() if seed != self.screen_seed and not self.lowest]

    def shown(self, values: Collection[float]) -> str:
        """The mean as a researcher knows it, with the metric's own sign."""
        return f"{_sign(self.rules) * mean(values):.6g}"


def _sign(rules: GateRules) -> int:
    return 1 if rules.goal == "min" else -1


def _tally(seen: Collection[Measurement], sign: int) -> _VariantRuns:
    """Sort out one variant's runs. The last undisturbed run of a seed counts; one contended run may be repeated."""
    last = {one.seed: one for one in seen if not one.contended}
    slowed = [one.seed for one in seen if one.contended and one.seed not in last]
    values = {seed: sign * v for seed, one in last.items() if (v := one.value) is not None and abs(v) <= _HUGE}
    failures = [_failure(one) for seed, one in last.items() if seed not in values]
    failures += [f"the run on seed {seed} was contended twice" for seed in slowed if slowed.count(seed) > 1]
    again = tuple(seed for seed in slowed if slowed.count(seed) == 1)
    return _VariantRuns(values, again, failures[0] if failures else "")


def _read(rules: GateRules, order: Sequence[str], seen: Sequence[Measurement]) -> _History:
    runs: dict[str, list[Measurement]] = {name: [] for name in (BASELINE, *order)}
    for one in seen:
        if one.variant in runs:
            runs[one.variant].append(one)
    # A promoted variant is the next baseline. Its screening run was selected for being low; its confirmations were not.
    base = _tally([one for one in runs[BASELINE] if one.role != "screen"], _sign(rules))
    # The seeds that came first, and not all of them: a later one may be smaller, and the screening seed must not move.
    first = list(base.values)[: _baseline_runs(rules)]
    seed = _first(rules, first) if len(first) == _baseline_runs(rules) else None
    tallies = {name: _tally([o for o in runs[name] if _counts(o, seed)], _sign(rules)) for name in order}
    return _History(rules, order, seen, base, tallies, seed)


def _first(rules: GateRules, seeds: Sequence[int]) -> int:
    """The baseline's first seed, whichever of its runs ended first."""
    return next((seed for seed in rules.seeds if seed in seeds), min(seeds))


def _counts(one: Measurement, screen_seed: int | None) -> bool:
    """Whether a variant's run says anything: an earlier campaign's screening run on another seed was selected."""
    failed = one.value is None and not one.contended
    return failed or one.role != "screen" or one.seed == screen_seed


def _baseline_runs(rules: GateRules) -> int:
    return 1 if rules.kind == "lowest" else rules.baseline_runs


def _failure(one: Measurement) -> str:
    return f"the run on seed {one.seed} failed" + (f" ({one.failure})" if one.failure else "")


# --- what to run next -------------------------------------------------------------------------------------


def next_runs(rules: GateRules, order: Sequence[str], seen: Sequence[Measurement]) -> list[ScheduledRun]:
    """Return every run that is needed now, in the order in which to run them; empty when `judge` can speak.

    `order` names the variants without the baseline, `seen` is in the order in which the runs happened. First the
    missing baseline runs, then the missing screening runs (in between the baseline is measured once more after every
    `remeasure_every` other runs; 0 for never), then the leader's confirmations. All runs of one answer are needed
    whatever the others say, so they may run at the same time. A contended run is asked for once more.
    """
    campaign = _read(rules, order, seen)
    if campaign.base.failure:
        return []
    return _missing_baseline(campaign) or _missing_screens(campaign) or _missing_confirmations(campaign)


def plan_size(rules: GateRules, variants: int) -> int:
    """The most runs that a campaign with so many variants takes when none fails and none is contended."""
    if rules.kind == "lowest":
        return 1 + variants
    again = variants // rules.remeasure_every if rules.remeasure_every > 0 else 0
    return rules.baseline_runs + variants + again + rules.confirm_runs


def _missing_baseline(campaign: _History) -> list[ScheduledRun]:
    own = {one.seed for one in campaign.seen if one.variant == BASELINE}
    short = _baseline_runs(campaign.rules) - len(campaign.base.values)
    return [
        ScheduledRun(BASELINE, seed, "baseline") for seed in _seeds(campaign.rules, campaign.base.again, own, short)
    ]


def _missing_screens(campaign: _History) -> list[ScheduledRun]:
    seed, since, requests = campaign.screen_seed, _since_baseline(campaign.seen), list[ScheduledRun]()
    assert seed is not None  # the baseline is complete
    open_ = [name for name in campaign.order if not campaign.tallies[name].failure]
    for name in [name for name in open_ if campaign.screen(name) == math.inf]:
        again = _remeasurement(campaign, since, sum(one.variant == BASELINE for one in requests))
        requests += [*again, ScheduledRun(name, seed, "screen")]
        since = 1 if again else since + 1
    return requests


def _missing_confirmations(campaign: _History) -> list[ScheduledRun]:
    leader = None if campaign.lowest else _leader(campaign)
    if leader is None:
        return []
    done, again = campaign.confirmations(leader), campaign.tallies[leader].again
    # A new baseline run can change whether the leader leads: it stands alone, before the first confirmation or never.
    if not done and not again and (baseline := _remeasurement(campaign, _since_baseline(campaign.seen))):
        return baseline
    short = campaign.rules.confirm_runs - len(done)
    return [ScheduledRun(leader, seed, "confirm") for seed in _seeds(campaign.rules, again, _used(campaign), short)]


def _remeasurement(campaign: _History, since: int, number: int = 0) -> list[ScheduledRun]:
    """One run of the baseline on the `number`th new seed, if its last one is `remeasure_every` other runs ago."""
    if campaign.lowest or not 0 < campaign.rules.remeasure_every <= since:
        return []
    seeds = _seeds(campaign.rules, campaign.base.again, _used(campaign), number + 1)
    return [ScheduledRun(BASELINE, seeds[number], "baseline")]


def _used(campaign: _History) -> set[int]:
    return {one.seed for one in campaign.seen}


def _since_baseline(seen: Sequence[Measurement]) -> int:
    """The runs of variants since the baseline was last measured undisturbed."""
    measured = [i for i, o in enumerate(seen) if o.variant == BASELINE and o.role != "screen" and not o.contended]
    return sum(one.variant != BASELINE for one in seen[measured[-1] if measured else 0 :])


def _seeds(rules: GateRules, again: Sequence[int], used: Collection[int], wanted: int) -> list[int]:
    """`wanted` seeds: those to run again, then the rules' own and the smallest others that are not in `used`."""
    others = (seed for seed in count() if seed not in rules.seeds)
    fresh = (seed for seed in chain(rules.seeds, others) if seed not in used)
    return list(islice(chain(again, fresh), max(0, wanted)))


def _leader(campaign: _History) -> str | None:
    """The variant with the best screening run, if that beats the baseline; the earlier one in the order on a tie."""
    limit = mean(campaign.reference)
    ahead = [name for name in campaign.order if campaign.screen(name) < limit]
    return min(ahead, key=campaign.screen, default=None)


# --- the statistics ---------------------------------------------------------------------------------------


class _Gain(NamedTuple):
    """Baseline minus variant, with its 90 % interval and one-sided p; None where the noise is unknown."""

    gain: float
    interval: tuple[float, float] | None
    p: float | None


def spread(values: Sequence[float], groups: Sequence[Sequence[float]] = (), alpha: float = _LEVEL) -> float | None:
    """Half the two-sided `1 - 2 alpha` interval of the mean of `values`, in units of the metric; None if unknown.

    Sigma is pooled over `values` and `groups` (replicates of other models under the same conditions).
    """
    noise = pool([values, *groups])
    if not values or noise.dof == 0:
        return None
    return float(quantile(noise.dof, 1 - alpha)) * noise.sigma / math.sqrt(len(values))


def contended(tokens_per_second: float, comparable: Sequence[float]) -> bool:
    """Whether a run was slowed down by others: below the median speed of comparable runs (tokens per second) by more
    than 10 % and by more than 3 median absolute deviations. Never with fewer than 3 comparable runs.
    """
    if len(comparable) < 3:
        return False
    usual = median(comparable)
    deviation = median([abs(value - usual) for value in comparable])
    return usual - tokens_per_second > max(0.1 * usual, 3 * deviation)


def decision_runs(variant: str, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return the runs of a variant that its published mean, its audit and its verdict rest on.

    Those that ended well, and no screening run where there are others, since that one was selected; a screening run of
    the baseline never counts.
    """
    ok = [run for run in runs if run.status == "ok"]
    unselected = [run for run in ok if run.role != "screen"]
    return unselected if unselected or variant == BASELINE else ok


def chance_of_false_winner(variants: int) -> float:
    """How often the lowest of one run each is a variant when all are equal to the baseline: K / (K + 1)."""
    return variants / (variants + 1)


def _test(gain: float, n_base: int, n: int, noise: Noise) -> _Gain:
    """Student's two-sample t with the pooled sigma. Without any spread the sign of the gain decides."""
    if noise.dof == 0:
        return _Gain(gain, None, None)
    error = noise.sigma * math.sqrt(1 / n_base + 1 / n)
    half = float(quantile(noise.dof, 1 - _LEVEL)) * error
    p = float(cdf(noise.dof, -gain / error)) if error > 0 else float(gain <= 0)
    return _Gain(gain, (gain - half, gain + half), p)


def _decide(rules: GateRules, found: _Gain) -> Decision:
    """keep: significant and large enough. discard: no gain, or even the interval's upper end is too small to count."""
    if found.p is not None and found.p <= rules.alpha and found.gain >= rules.min_gain and found.gain > 0:
        return "keep"
    too_small = found.interval is not None and found.interval[1] < max(rules.min_gain, 0.0)
    return "discard" if found.gain <= 0 or too_small else "inconclusive"


# --- the judgement ----------------------------------------------------------------------------------------


def judge(
    rules: GateRules, order: Sequence[str], seen: Sequence[Measurement], groups: Sequence[Sequence[float]] = ()
) -> GateResult:
    """Judge a finished campaign. Raises ValueError while `next_runs` still asks for runs.

    `groups` are replicates of other models under the same conditions; they sharpen sigma. The verdict rests on the
    leader's confirmations alone. A variant that was only screened has an interval but no p, since it was one of many:
    it is `discard` where nothing speaks for it, else `inconclusive`.
    """
    campaign = _read(rules, order, seen)
    if campaign.base.failure:
        return _without_baseline(campaign)
    if waiting := next_runs(rules, order, seen):
        raise ValueError(f"the campaign still needs {len(waiting)} runs, first {waiting[0]}")
    leader = _leader(campaign)
    sound = [name for name in order if not campaign.tallies[name].failure]  # what failed may have made its numbers up
    own = [campaign.reference, *(campaign.confirmations(name) for name in sound)]
    noise = pool([] if campaign.lowest else [*own, *groups])
    estimates = {name: _estimate(campaign, name, leader, noise) for name in order}
    return GateResult(_nobody(campaign) if leader is None else estimates[leader], tuple(estimates.values()))


def _unmeasured(variant: str | None, decision: Decision, reason: str) -> Verdict:
    return Verdict(variant, decision, None, None, 0, None, reason)


def _without_baseline(campaign: _History) -> GateResult:
    verdict = _unmeasured(None, "failed", f"{BASELINE}: {campaign.base.failure}, so there is nothing to compare with")
    why = {name: tally.failure or "there is no baseline to compare it with" for name, tally in campaign.tallies.items()}
    return GateResult(verdict, tuple(_unmeasured(name, "failed", f"{name}: {why[name]}") for name in campaign.order))


def _nobody(campaign: _History) -> Verdict:
    """The verdict where no variant leads."""
    failed = [name for name in campaign.order if campaign.tallies[name].failure]
    if failed and len(failed) == len(campaign.order):
        return _unmeasured(None, "failed", f"every variant failed; {failed[0]}: {campaign.tallies[failed[0]].failure}")
    base = f"the baseline's {campaign.shown(campaign.reference)} (n={len(campaign.reference)})"
    named = f"; {', '.join(failed)} failed" if failed else ""
    return _unmeasured(None, "discard", f"no variant beat {base} in its first run{named}{_chance(campaign)}")


def _estimate(campaign: _History, name: str, leader: str | None, noise: Noise) -> Verdict:
    """What is known of one variant. p is given for the leader only, since only one variant is tested."""
    if campaign.tallies[name].failure:
        return _unmeasured(name, "failed", f"{name}: {campaign.tallies[name].failure}")
    values, base = campaign.confirmations(name) or [campaign.screen(name)], campaign.reference
    found = _test(mean(base) - mean(values), len(base), len(values), noise)
    found = found if name == leader else found._replace(p=None)
    decision = _decide(campaign.rules, found)
    if campaign.lowest:
        decision = "keep" if name == leader else "discard"
    why = _why_leader(campaign, decision, values, noise) if name == leader else _why_other(decision, leader)
    reason = f"{name}: {_told(campaign, name, values, found)}{why}"
    return Verdict(name, decision, found.gain, found.interval, len(values), found.p, reason)


def _told(campaign: _History, name: str, values: Collection[float], found: _Gain) -> str:
    """The numbers behind an estimate, in words."""
    many = f"mean of {len(values)} confirmation{'s' if len(values) > 1 else ''}"
    what = f"{many if campaign.confirmations(name) else 'one run'} {campaign.shown(values)}"
    base = f"baseline {campaign.shown(campaign.reference)} (n={len(campaign.reference)})"
    bounds = "" if found.interval is None else ", 90 % interval {:.3g} to {:.3g}".format(*found.interval)
    p = "" if found.p is None else f", p={found.p:.2g}"
    return f"{what} against {base}: gain {found.gain:.3g}{bounds}{p}"


def _why_leader(campaign: _History, decision: Decision, values: Collection[float], noise: Noise) -> str:
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
    for more in range(1, _FURTHER + 1) if noise.dof else ():
        found = _test(gain, n_base + more, n + more, Noise(noise.sigma, noise.dof + 2 * more))
        if _decide(rules, found) != "inconclusive":
            return f"about {more} further run{'s' if more > 1 else ''} of each"
    return f"more than {_FURTHER} further runs of each" if noise.dof else "replicates, which tell the noise,"


def _chance(campaign: _History) -> str:
    """What `lowest` owes its reader: how often it names a winner where there is none."""
    measured = sum(not tally.failure for tally in campaign.tallies.values())
    told = f"; were all {measured} equal to the baseline, one would still win {chance_of_false_winner(measured):.0%}"
    return f"{told} of the time" if campaign.lowest else ""

"""The gate that looks after every run: who is a candidate, which run comes next, and when it may stop. Pure.

It knows the runs and not their order: the same records always give the same answer. docs/gate.md has the plan.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from agent.core.experiment import GateRules
from agent.core.frozen import frozen
from agent.gate import looks
from agent.gate.evidence import Gain, Scatter, compare, scatter_of
from agent.gate.history import History, Replicates, read_history
from agent.gate.stats import LEVEL, mean, normal_quantile, quantile

CANDIDATES = 2  # of the best screens
EFFECT = 2.5  # the gain in sigmas that the runs are planned for
MOST_BASELINE = 7  # runs of the baseline, unless the ledger has more
MOST_AFTER = 7  # runs after the screens
MOST_RECHECKS = 4  # runs of a baseline that the ledger had, before a promotion
RECHECK_LEVEL = 0.0125  # one-sided, of a gain over what this campaign has measured itself
RECHECKED = 2.0  # times the level of a look, where its gain must hold against new measurements as well
COMPARABLE = 2.0  # sigmas by which a variant may be worse than the baseline and still tell whether the machine changed
CHOSEN_TAIL = 0.04  # instead of 0.05
FAR = 20.0  # errors; beyond that an early stop changes nothing
FUTILITY = 1.2  # minus a third of the log of the variants: below minus that a score ends it
FIRST_SHARE = 0.85  # of alpha; the rest is for further runs that a person asks for


@frozen
class Standing:
    """Where a candidate stands: its gain on fresh seeds (None without any), and how likely a real gain is.

    score: the log-likelihood ratio of a gain of EFFECT sigmas against none, by all runs. passes: its gain is certain
    enough, if the baseline is still what it was; confirmed: and it is.
    """

    name: str
    runs: int
    gain: Gain | None
    score: float
    passes: bool = False
    confirmed: bool = False


@frozen
class Look:
    """What a campaign comes to by now: the candidates, best first, and the noise."""

    scatter: Scatter
    standings: tuple[Standing, ...]

    @property
    def leader(self) -> Standing | None:
        """The candidate that is confirmed, the most certain one, else the one with the best score."""
        confirmed = [one for one in self.standings if one.confirmed]
        return min(confirmed, key=_p, default=next(iter(self.standings), None))


def _p(standing: Standing) -> float:
    return 1.0 if standing.gain is None or standing.gain.p is None else standing.gain.p


def look(campaign: History, groups: Sequence[Replicates]) -> Look:
    """Return what the runs say by now. All variants that did not fail have their screening run."""
    names = _open_leader(campaign, groups) if campaign.rules.more else candidates(campaign)
    scatter = scatter_of(campaign, names, groups)
    level = level_now(campaign.rules, len(campaign.order)) * (1.0 if _is_own(campaign) else RECHECKED)
    standings = [_standing(campaign, name, scatter, level) for name in names]
    return Look(scatter, tuple(sorted(standings, key=lambda one: -one.score)))


def candidates(campaign: History) -> list[str]:
    """Return the variants with the best screening runs; those earlier in the order on a tie."""
    sound = [name for name in campaign.order if campaign.screen(name) < math.inf]
    return sorted(sound, key=campaign.screen)[:CANDIDATES]


def _open_leader(campaign: History, groups: Sequence[Replicates]) -> list[str]:
    """Return the candidate that was left open by the runs before the further ones; they choose no other."""
    earlier = [one for one in campaign.measurements if not one.own]
    before = read_history(replace(campaign.rules, more=()), campaign.order, earlier)
    leader = look(before, groups).leader if before.screen_seed is not None else None
    return [leader.name] if leader else []


def level_now(rules: GateRules, variants: int) -> float:
    """Return the level at which this look tests, all looks and candidates together at most alpha.

    The looks of the plan share FIRST_SHARE of it; each further one that a person asks for gets half of what is left.
    """
    tested = min(variants, CANDIDATES)
    if rules.more:
        return float((1 - FIRST_SHARE) * rules.alpha / 2 ** len(rules.more) / max(1, tested))
    return looks.level(FIRST_SHARE * rules.alpha, planned_information(rules.baseline_runs, rules.confirm_runs), tested)


def planned_information(base: int, most: int) -> tuple[float, ...]:
    """Return the information of the looks at one candidate that starts with `base` runs of the baseline.

    In units of a variance of one; one run of either is added at a time.
    """
    runs, information = 0, list[float]()
    while len(information) < MOST_AFTER and (runs < most or base < runs):
        base, runs = (base + 1, runs) if base < runs else (base, runs + 1)
        information.append(1 / (1 / base + 1 / runs))
    return tuple(information)


def _standing(campaign: History, name: str, scatter: Scatter, level: float) -> Standing:
    base, fresh = campaign.base.values, campaign.fresh(name)
    score = _score(campaign, name, scatter)
    if not fresh:
        return Standing(name, 0, None, score)
    gain = compare(base, fresh, scatter)
    passes = gain.p is not None and gain.p <= level and gain.value > 0 and _is_large(campaign, len(fresh), gain)
    return Standing(name, len(fresh), gain, score, passes, passes and _still_holds(campaign, name, scatter))


def _is_large(campaign: History, runs: int, gain: Gain) -> bool:
    """Whether the gain reaches `min_gain`, as it will be published."""
    least = campaign.rules.min_gain
    return gain.value >= least and (least <= 0 or corrected(campaign, runs, gain)[0] >= least)


def _score(campaign: History, name: str, scatter: Scatter) -> float:
    """Return the log-likelihood ratio of a gain of EFFECT sigmas against none, the screening run included."""
    base, values = campaign.base.values, campaign.tallies[name].values
    shared = [base[seed] for seed in values if seed in base]
    level = mean(base.values())
    level = (level + mean(shared)) / 2 if shared else level
    gain = level - mean(values.values())
    if scatter.unit == 0:
        return math.copysign(math.inf, gain) if gain else -math.inf
    return len(values) * (gain / scatter.unit - EFFECT / 2)


# --- a baseline that the ledger had -----------------------------------------------------------------------


def _is_own(campaign: History) -> bool:
    """Whether there is no baseline of before that the campaign rests on; after further runs it has been looked at."""
    return len(campaign.own_base) == len(campaign.base.values) or bool(campaign.rules.more)


def _still_holds(campaign: History, name: str, scatter: Scatter) -> bool:
    """Whether the gain holds against what was measured now: a machine may have changed since the ledger's baseline.

    Beside the baseline's own new runs, the screening runs of the other variants tell it, where they are no worse.
    """
    own, fresh = campaign.own_base, campaign.fresh(name)
    if _is_own(campaign):
        return True
    if scatter.pays:
        return any(_holds(gain) for gain in _paired_rechecks(campaign, name, scatter))
    control = [*own.values(), *_comparable(campaign, name, scatter)]
    return bool(control) and _holds(compare(dict(enumerate(control, start=-len(control))), fresh, scatter))


def _holds(gain: Gain) -> bool:
    return gain.p is not None and gain.p <= RECHECK_LEVEL


def _comparable(campaign: History, name: str, scatter: Scatter) -> list[float]:
    """Return the screening runs of the other variants that are not far worse than the baseline."""
    limit = mean(campaign.base.values.values()) + COMPARABLE * scatter.runs.sigma
    return [campaign.screen(one) for one in campaign.order if one != name and campaign.screen(one) <= limit]


def _paired_rechecks(campaign: History, name: str, scatter: Scatter) -> list[Gain]:
    """Return the gains over new runs of the baseline, and over what the other variants gain on the screening seed."""
    own, fresh, seed = campaign.own_base, campaign.fresh(name), campaign.screen_seed
    gains = [compare(own, fresh, scatter)] if own else []
    others, paired = _comparable(campaign, name, scatter), compare(campaign.base.values, fresh, scatter)
    if others and paired.pairs and seed is not None:
        shift = campaign.base.values[seed] - mean(others)
        extra = scatter.paired.sigma * math.sqrt(1 + 1 / len(others))
        gains.append(Gain(paired.value - shift, math.hypot(paired.error, extra), paired.dof, paired.pairs))
    return gains


# --- the next run -----------------------------------------------------------------------------------------


def next_purchase(campaign: History, now: Look) -> tuple[str | None, bool]:
    """Return who is to be confirmed next and whether the baseline runs for it; None: the gate can speak."""
    if campaign.rules.more:
        return _further_purchase(campaign, now)
    if not now.standings or any(one.confirmed for one in now.standings):
        return None, False
    best = now.standings[0]
    if _is_hopeless(campaign, best) or _bought(campaign) >= MOST_AFTER:
        return None, False
    if _needs_baseline(campaign, now.scatter, best):
        return best.name, True
    return (best.name, False) if best.runs < campaign.rules.confirm_runs else (None, False)


def _is_hopeless(campaign: History, best: Standing) -> bool:
    """Whether no further run is worth its price: by the scores, or since the gain is too small to count."""
    variants = max(1, len(campaign.order))
    if best.score < -(FUTILITY - math.log(variants) / 3):
        return True
    bounds = best.gain.interval if best.gain else None
    return bounds is not None and bounds[1] < max(campaign.rules.min_gain, 0.0)


def _bought(campaign: History) -> int:
    """Return the runs after the screens."""
    own, had = len(campaign.own_base), len(campaign.base.values) - len(campaign.own_base)
    fresh = sum(len(campaign.fresh(name)) for name in candidates(campaign))
    return fresh + max(0, own - max(0, campaign.rules.baseline_runs - had))


def _needs_baseline(campaign: History, scatter: Scatter, best: Standing) -> bool:
    own = len(campaign.own_base)
    if best.passes and not best.confirmed:  # the ledger's baseline is to be measured once more
        return own < MOST_RECHECKS and (own < best.runs or best.runs >= campaign.rules.confirm_runs)
    if scatter.pays:
        return len(unpaired_seeds(campaign, best.name)) > 0
    return len(campaign.base.values) < min(best.runs, MOST_BASELINE)


def unpaired_seeds(campaign: History, name: str) -> list[int]:
    """Return the seeds of a candidate's confirmations that the baseline has not run on."""
    return sorted(seed for seed in campaign.fresh(name) if seed not in campaign.base.values)


def _further_purchase(campaign: History, now: Look) -> tuple[str | None, bool]:
    """Return the next of the runs that a person asked for: as many of the leader as of the baseline."""
    leader, number = now.leader, campaign.rules.more[-1]
    if leader is None:
        return None, False
    own = {one.seed for one in campaign.measurements if one.variant == leader.name and one.own and not one.contended}
    if sum(seed in own for seed in campaign.fresh(leader.name)) < number:
        return leader.name, False
    return (leader.name, True) if len(campaign.own_base) < number else (None, False)


# --- the estimate -----------------------------------------------------------------------------------------


def corrected(campaign: History, runs: int, gain: Gain) -> tuple[float, tuple[float, float]]:
    """Return the gain whose median is the truth, and its 90 % interval, after a stop with so many confirmations.

    Whoever stops at a high gain has an estimate that is too high. The bounds are those of a normal mean, widened by
    what Student's t is wider. The noise is known.
    """
    if gain.error == 0:
        return gain.value, (gain.value, gain.value)
    information = _information(campaign, runs, gain)
    bounds, tail = _bounds(campaign, gain, len(information) - 1), _tail(campaign)
    scale, z = gain.error * math.sqrt(information[-1]), max(-FAR, min(FAR, gain.value / gain.error))
    low, middle, high = (scale * looks.corrected(z, bounds, information, p) for p in (tail, 0.5, 1 - tail))
    wider = quantile(gain.dof, 1 - tail) / normal_quantile(1 - tail)
    middle, down, up = middle + gain.value - z * gain.error, wider * (middle - low), wider * (high - middle)
    return middle, (middle - down, middle + up)


def _bounds(campaign: History, gain: Gain, earlier: int) -> list[float]:
    """Return the t that each earlier look would have needed: with less noise known it was far higher."""
    level = level_now(campaign.rules, len(campaign.order))
    return [quantile(max(1, gain.dof - after), 1 - level) for after in range(earlier, 0, -1)]


def _tail(campaign: History) -> float:
    """Return what each end of the interval leaves out; of two candidates one was chosen, which takes its share."""
    return LEVEL if len(campaign.order) < CANDIDATES else CHOSEN_TAIL


def _information(campaign: History, runs: int, gain: Gain) -> list[float]:
    """Return the information of the looks so far, this one last; further runs are looked at once."""
    if campaign.rules.more:
        return [1.0]
    if gain.pairs:
        return [float(pairs) for pairs in range(1, gain.pairs + 1)]
    base = len(campaign.base.values)
    counts = [(min(base, max(campaign.rules.baseline_runs, n)), n) for n in range(1, runs)]
    return [1 / (1 / b + 1 / n) for b, n in [*counts, (base, runs)]]

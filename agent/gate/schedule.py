"""Which runs a campaign needs next, in which order; the same measurements always give the same answer. Pure."""

import math
from collections.abc import Collection, Sequence
from itertools import chain, count, islice

from agent.core.experiment import BASELINE, GateRules
from agent.core.frozen import frozen
from agent.core.runs import Role
from agent.gate import sequential
from agent.gate.history import History, Measurement, Replicates, baseline_runs, leader_of, read_history


@frozen
class ScheduledRun:
    """A run that the gate needs."""

    variant: str
    seed: int
    role: Role


def next_runs(
    rules: GateRules, order: Sequence[str], measurements: Sequence[Measurement], groups: Sequence[Replicates] = ()
) -> list[ScheduledRun]:
    """Return every run that is needed now, in the order in which to run them; empty when `judge` can speak.

    `order` names the variants without the baseline, `measurements` is in the order in which they were made. First the
    missing baseline runs, then the missing screening runs (in between the baseline is measured once more after every
    `remeasure_every` other runs; 0 for never), then the leader's confirmations; the gate `confirmed` looks after each
    of these, and asks for the next where it is worth its price. `groups` are replicates of other models under the same
    conditions. All runs of one answer are needed whatever the others say, so they may run at the same time. A
    contended run is asked for once more.
    """
    campaign = read_history(rules, order, measurements)
    if campaign.base.failure:
        return []
    if rules.kind == "baseline":
        missing = [seed for seed in rules.seeds if seed not in campaign.base.values]
        return [ScheduledRun(BASELINE, seed, "baseline") for seed in missing]
    return _missing_baseline(campaign) or _missing_screens(campaign) or _missing_after(campaign, groups)


def _missing_after(campaign: History, groups: Sequence[Replicates]) -> list[ScheduledRun]:
    if campaign.rules.kind != "confirmed":
        return _missing_confirmations(campaign)
    name, baseline = sequential.next_purchase(campaign, sequential.look(campaign, groups))
    if name is None:
        return []
    return [_paired_baseline(campaign, name) if baseline else _confirmation(campaign, name)]


def _paired_baseline(campaign: History, name: str) -> ScheduledRun:
    """Return a run of the baseline on a seed of a candidate's confirmations that it lacks, else on a new one."""
    repeats = [*campaign.base.repeats, *sequential.unpaired_seeds(campaign, name)]
    return ScheduledRun(BASELINE, _seeds(campaign.rules, repeats, _used(campaign), 1)[0], "baseline")


def _confirmation(campaign: History, name: str) -> ScheduledRun:
    """Return a run of a candidate on a seed of the baseline that it has not run on, for whatever reason; else a new."""
    tried = {one.seed for one in campaign.measurements if one.variant == name}
    shared = [seed for seed in (*campaign.rules.seeds, *sorted(campaign.base.values)) if seed in campaign.base.values]
    repeats = [*campaign.tallies[name].repeats, *(seed for seed in shared if seed not in tried)]
    return ScheduledRun(name, _seeds(campaign.rules, repeats, _used(campaign), 1)[0], "confirm")


def plan_size(rules: GateRules, variants: int) -> int:
    """The most runs that a campaign with so many variants takes when none fails and none is contended."""
    if rules.kind == "baseline":
        return len(rules.seeds)
    if rules.kind == "lowest":
        return 1 + variants
    if rules.kind == "confirmed":
        return rules.baseline_runs + variants + sequential.MOST_AFTER + 2 * sum(rules.more)
    repeats = variants // rules.remeasure_every if rules.remeasure_every > 0 else 0
    return rules.baseline_runs + variants + repeats + rules.confirm_runs + 2 * sum(rules.more)


def _missing_baseline(campaign: History) -> list[ScheduledRun]:
    own = {one.seed for one in campaign.measurements if one.variant == BASELINE and one.seed is not None}
    short = baseline_runs(campaign.rules) - len(campaign.base.values)
    return [
        ScheduledRun(BASELINE, seed, "baseline") for seed in _seeds(campaign.rules, campaign.base.repeats, own, short)
    ]


def _missing_screens(campaign: History) -> list[ScheduledRun]:
    seed, since, requests = campaign.screen_seed, _since_baseline(campaign.measurements), list[ScheduledRun]()
    assert seed is not None  # the baseline is complete
    open_ = [name for name in campaign.order if not campaign.tallies[name].failure]
    for name in [name for name in open_ if campaign.screen(name) == math.inf]:
        repeats = _remeasurement(campaign, since, sum(one.variant == BASELINE for one in requests))
        requests += [*repeats, ScheduledRun(name, seed, "screen")]
        since = 1 if repeats else since + 1
    return requests


def _missing_confirmations(campaign: History) -> list[ScheduledRun]:
    leader = None if campaign.lowest else leader_of(campaign)
    if leader is None:
        return []
    done, repeats = campaign.confirmations(leader), campaign.tallies[leader].repeats
    # A new baseline run can change whether the leader leads: it stands alone, before the first confirmation or never.
    if not done and not repeats and (baseline := _remeasurement(campaign, _since_baseline(campaign.measurements))):
        return baseline
    short = campaign.rules.confirm_runs + sum(campaign.rules.more) - len(done)
    seeds = _seeds(campaign.rules, repeats, _used(campaign), short)
    return [ScheduledRun(leader, seed, "confirm") for seed in seeds] + _further_baseline(campaign, seeds)


def _further_baseline(campaign: History, taken: Sequence[int]) -> list[ScheduledRun]:
    """Return the runs of the baseline that a person asked for beside those of the leader, on seeds of their own."""
    short = campaign.rules.baseline_runs + sum(campaign.rules.more) - len(campaign.base.values)
    if not campaign.rules.more:
        return []
    used = {*_used(campaign), *taken}
    return [
        ScheduledRun(BASELINE, seed, "baseline") for seed in _seeds(campaign.rules, campaign.base.repeats, used, short)
    ]


def _remeasurement(campaign: History, since: int, number: int = 0) -> list[ScheduledRun]:
    """One run of the baseline on the `number`th new seed, if its last one is `remeasure_every` other runs ago."""
    if campaign.rules.kind != "fixed" or not 0 < campaign.rules.remeasure_every <= since:
        return []
    seeds = _seeds(campaign.rules, campaign.base.repeats, _used(campaign), number + 1)
    return [ScheduledRun(BASELINE, seeds[number], "baseline")]


def _used(campaign: History) -> set[int]:
    return {one.seed for one in campaign.measurements if one.seed is not None}


def _since_baseline(measurements: Sequence[Measurement]) -> int:
    """The runs of variants since the baseline was last measured undisturbed."""
    measured = [
        i for i, o in enumerate(measurements) if o.variant == BASELINE and o.role != "screen" and not o.contended
    ]
    return sum(one.variant != BASELINE for one in measurements[measured[-1] if measured else 0 :])


def _seeds(rules: GateRules, repeats: Sequence[int], used: Collection[int], number: int) -> list[int]:
    """`number` seeds: those to run again, then the rules' own and the smallest others that are not in `used`."""
    others = (seed for seed in count() if seed not in rules.seeds)
    fresh = (seed for seed in chain(rules.seeds, others) if seed not in used)
    return list(islice(chain(repeats, fresh), max(0, number)))

"""A campaign's measurements, sorted out: which of them count, and what they say of each variant. Pure."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from agent.core.experiment import BASELINE, GateRules
from agent.core.frozen import frozen
from agent.core.records import RunRecord
from agent.core.runs import Role
from agent.gate.stats import mean, median

Replicates = Mapping[int, float]  # one model's runs under the same conditions: the metric by seed

HUGE = 1e300  # a run whose value is beyond this has diverged; below it no sum or difference overflows


@frozen
class Measurement:
    """A run that happened, or another failure of a variant.

    `value` is the metric, None where the run failed; a contended run is no evidence. `own`: this campaign made it, and
    the ledger did not have it before.
    """

    variant: str
    seed: int | None  # None: it is not about one run
    role: Role
    value: float | None
    contended: bool = False
    failure: str = ""  # how it failed, in a word
    own: bool = True


@frozen
class VariantRuns:
    """One variant's runs: value by seed as they came (signed: lower is better), seeds to run again, what failed."""

    values: Mapping[int, float]
    repeats: tuple[int, ...]
    failure: str


@frozen
class History:
    """A history, sorted out. `screen_seed` is None until the baseline is complete."""

    rules: GateRules
    order: Sequence[str]
    measurements: Sequence[Measurement]
    base: VariantRuns
    tallies: Mapping[str, VariantRuns]
    screen_seed: int | None

    @property
    def lowest(self) -> bool:
        return self.rules.kind == "lowest"

    def deciding(self, name: str) -> dict[int, float]:
        """Return by seed the values that a verdict on a variant, or on the baseline, rests on.

        Of the baseline all runs, or for `lowest` the one on the screening seed; of a variant its confirmations, else
        its screening run, which was selected. What failed keeps what it had.
        """
        if name == BASELINE:
            return {seed: one for seed, one in self.base.values.items() if not self.lowest or seed == self.screen_seed}
        values = self.tallies[name].values
        return self.fresh(name) or {seed: one for seed, one in values.items() if seed == self.screen_seed}

    def fresh(self, name: str) -> dict[int, float]:
        """Return the variant's confirmations by seed: its values on all seeds but the screening one."""
        values = self.tallies[name].values
        return {seed: one for seed, one in values.items() if seed != self.screen_seed and not self.lowest}

    @property
    def own_base(self) -> dict[int, float]:
        """The baseline's values that this campaign has measured itself, by seed."""
        own = {one.seed for one in self.measurements if one.variant == BASELINE and one.own and not one.contended}
        return {seed: value for seed, value in self.base.values.items() if seed in own}

    @property
    def reference(self) -> list[float]:
        """What a variant is compared with."""
        return list(self.deciding(BASELINE).values())

    def screen(self, name: str) -> float:
        """The variant's value on the screening seed; infinity where it has none or is out."""
        tally = self.tallies[name]
        return math.inf if tally.failure or self.screen_seed is None else tally.values.get(self.screen_seed, math.inf)

    def confirmations(self, name: str) -> list[float]:
        """The variant's values on all other seeds; `lowest` looks at none."""
        return list(self.fresh(name).values())

    def mean_of(self, name: str) -> float | None:
        """The mean of the values that decide, with the metric's own sign; None where there is none."""
        values = self.deciding(name).values()
        return sign(self.rules) * mean(values) if values else None


def sign(rules: GateRules) -> int:
    """Return what a metric is multiplied by so that lower is better."""
    return 1 if rules.goal == "min" else -1


def tally(measurements: Collection[Measurement], sign: int) -> VariantRuns:
    """Sort out one variant's runs. The last undisturbed run of a seed counts; one contended run may be repeated."""
    last = {one.seed: one for one in measurements if not one.contended}
    slowed = [one.seed for one in measurements if one.contended and one.seed not in last]
    measured = ((seed, one.value) for seed, one in last.items() if seed is not None)
    values = {seed: sign * v for seed, v in measured if v is not None and abs(v) <= HUGE}
    failures = [_failure(one) for seed, one in last.items() if seed not in values]
    failures += [f"the run on seed {seed} was contended twice" for seed in slowed if slowed.count(seed) > 1]
    repeats = tuple(seed for seed in slowed if seed is not None and slowed.count(seed) == 1)
    return VariantRuns(values, repeats, failures[0] if failures else "")


def read_history(rules: GateRules, order: Sequence[str], measurements: Sequence[Measurement]) -> History:
    runs: dict[str, list[Measurement]] = {name: [] for name in (BASELINE, *order)}
    for one in measurements:
        if one.variant in runs:
            runs[one.variant].append(one)
    # A promoted variant is the next baseline. Its screening run was selected for being low; its confirmations were not.
    base = tally([one for one in runs[BASELINE] if one.role != "screen"], sign(rules))
    seed = _screen_seed(rules, base, measurements) if 0 < baseline_runs(rules) <= len(base.values) else None
    tallies = {name: tally([o for o in runs[name] if _counts(rules, o, seed)], sign(rules)) for name in order}
    if rules.kind == "confirmed":  # sums of the same runs are the same to the last digit
        base, tallies = _by_seed(base), {name: _by_seed(one) for name, one in tallies.items()}
    return History(rules, order, measurements, base, tallies, seed)


def _by_seed(runs: VariantRuns) -> VariantRuns:
    return replace(runs, values=dict(sorted(runs.values.items())))


def _screen_seed(rules: GateRules, base: VariantRuns, measurements: Sequence[Measurement]) -> int:
    """Return the seed of the baseline on which variants are screened; it must not move when runs are added.

    `confirmed` looks at no order of runs: it is the seed on which most are screened already, else the first. The others
    take the seeds that came first, and not all of them: a later one may be smaller.
    """
    if rules.kind != "confirmed":
        return _first(rules, list(base.values)[: baseline_runs(rules)])
    screens = [one.seed for one in measurements if one.role == "screen" and one.variant != BASELINE]
    taken = [seed for seed in screens if seed in base.values]
    most = max((taken.count(seed) for seed in taken), default=0)
    return _first(rules, [seed for seed in base.values if taken.count(seed) == most])


def _first(rules: GateRules, seeds: Sequence[int]) -> int:
    """The baseline's first seed, whichever of its runs ended first."""
    return next((seed for seed in rules.seeds if seed in seeds), min(seeds))


def _counts(rules: GateRules, one: Measurement, screen_seed: int | None) -> bool:
    """Whether a variant's run says anything: an earlier campaign's screening run on another seed was selected."""
    failed = one.value is None and not one.contended
    return rules.kind == "report" or failed or one.role != "screen" or one.seed == screen_seed


def baseline_runs(rules: GateRules) -> int:
    return 1 if rules.kind == "lowest" else rules.baseline_runs


def _failure(one: Measurement) -> str:
    if one.seed is None:
        return one.failure
    return f"the run on seed {one.seed} failed" + (f" ({one.failure})" if one.failure else "")


def leader_of(campaign: History) -> str | None:
    """The variant with the best screening run, if that beats the baseline; the earlier one in the order on a tie."""
    if confirmed := [name for name in campaign.order if campaign.rules.more and _was_confirmed(campaign, name)]:
        return min(confirmed, key=campaign.screen)  # further runs of the baseline choose no other leader
    limit = mean(campaign.reference)
    ahead = [name for name in campaign.order if campaign.screen(name) < limit]
    return min(ahead, key=campaign.screen, default=None)


def _was_confirmed(campaign: History, name: str) -> bool:
    return not campaign.tallies[name].failure and len(campaign.confirmations(name)) >= campaign.rules.confirm_runs


def decision_runs(campaign: History, variant: str, runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return those of a variant's `runs` that its verdict, its published mean and its audit rest on.

    A history chooses the seeds (`deciding`); the last run of a seed that ended well is the one that it has measured.
    """
    last = {run.seed: run for run in runs if run.status == "ok"}
    return [last[seed] for seed in campaign.deciding(variant)]


def contended(tokens_per_second: float, comparable: Sequence[float]) -> bool:
    """Whether a run was slowed down by others: below the median speed of comparable runs (tokens per second) by more
    than 10 % and by more than 3 median absolute deviations. Never with fewer than 3 comparable runs.
    """
    if len(comparable) < 3:
        return False
    usual = median(comparable)
    deviation = median([abs(value - usual) for value in comparable])
    return usual - tokens_per_second > max(0.1 * usual, 3 * deviation)

"""What a campaign's runs say of one variant by now: unpaired, or seed by seed where pairs are known to pay. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property

from agent.core.frozen import frozen
from agent.gate.history import History, Replicates
from agent.gate.stats import LEVEL, Noise, cdf, f_cdf, mean, pool, quantile

PAIRS_LEVEL = 0.1  # one-sided, of the F test that seeds correlate
LEAST_PAIRS = 2  # one pair shows nothing of the variant's own scatter
OWN_WEIGHT = 2  # degrees of freedom that the pooled scatter of pairs has beside a variant's own, where that is larger


@frozen
class Gain:
    """Baseline minus variant in units of the metric, its standard error and degrees of freedom (0: noise unknown).

    pairs: how many seeds it compares one by one; 0 where it compares two means.
    """

    value: float
    error: float
    dof: int
    pairs: int = 0

    @property
    def p(self) -> float | None:
        """The one-sided p of Student's t. Without any spread the sign of the gain decides."""
        if self.dof == 0:
            return None
        return float(cdf(self.dof, -self.value / self.error)) if self.error > 0 else float(self.value <= 0)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 90 % interval of a single look."""
        if self.dof == 0:
            return None
        half = quantile(self.dof, 1 - LEVEL) * self.error
        return self.value - half, self.value + half


@frozen
class Scatter:
    """The noise from run to run, and what is left of it between two runs on one seed (each run's share)."""

    runs: Noise
    paired: Noise

    @cached_property
    def pays(self) -> bool:
        """Whether runs on one seed are known to be more alike than others."""
        runs, paired = self.runs, self.paired
        if paired.dof < LEAST_PAIRS or runs.dof == 0 or runs.sigma == 0:
            return False
        return f_cdf(paired.dof, runs.dof, (paired.sigma / runs.sigma) ** 2) <= PAIRS_LEVEL

    @property
    def rho(self) -> float | None:
        """The correlation of two models' runs on one seed; None where it is not known to be above 0."""
        return 1 - (self.paired.sigma / self.runs.sigma) ** 2 if self.pays else None

    @property
    def unit(self) -> float:
        """The standard deviation that a gain is counted in."""
        return self.paired.sigma if self.pays else self.runs.sigma


def scatter_of(campaign: History, candidates: Iterable[str], groups: Sequence[Replicates]) -> Scatter:
    """Return the noise, pooled over the campaign's baseline and candidates and replicates of other models.

    The pairs are those of each candidate with the baseline, and of the other models among themselves.
    """
    base, names = campaign.base.values, [one for one in candidates if one in campaign.tallies]
    # A screening run that was the best of many explored ones is too far from its confirmations to tell the noise.
    tries = [campaign.tallies[name].values if len(campaign.order) > 1 else campaign.fresh(name) for name in names]
    runs = pool([base.values(), *(one.values() for one in tries), *(one.values() for one in groups)])
    pairs = [_differences(base, campaign.fresh(name)) for name in names]
    own, known = pool(pairs), _residual(tuple(tuple(sorted(one.items())) for one in groups))
    dof = own.dof + known.dof
    squares = own.dof * own.sigma**2 / 2 + known.dof * known.sigma**2
    return Scatter(runs, Noise(math.sqrt(squares / dof) if dof else 0.0, dof))


def _differences(base: Mapping[int, float], fresh: Mapping[int, float]) -> list[float]:
    return [base[seed] - value for seed, value in fresh.items() if seed in base]


def compare(base: Mapping[int, float], fresh: Mapping[int, float], scatter: Scatter) -> Gain:
    """Return the gain of fresh runs over the baseline's, both by seed: paired where that has the smaller error."""
    gain = mean(base.values()) - mean(fresh.values())
    error = scatter.runs.sigma * math.sqrt(1 / len(base) + 1 / len(fresh))
    pairs = _differences(base, fresh)
    if scatter.pays and len(pairs) >= LEAST_PAIRS:
        paired = _paired_error(pairs, scatter.paired.sigma)
        if paired < error:
            return Gain(mean(pairs), paired, scatter.paired.dof, len(pairs))
    return Gain(gain, error, scatter.runs.dof)


def _paired_error(pairs: Sequence[float], sigma: float) -> float:
    """Return the error of a mean of pairs; a variant whose own pairs scatter more than others' has a larger one."""
    pooled, own = 2 * sigma**2, pool([pairs])
    mixed = (OWN_WEIGHT * pooled + own.dof * own.sigma**2) / (OWN_WEIGHT + own.dof)
    return math.sqrt(max(pooled, mixed) / len(pairs))


@cache
def _residual(groups: tuple[tuple[tuple[int, float], ...], ...]) -> Noise:
    """Return what is left of replicates without the effect of their model and of their seed (two-way ANOVA).

    Values are fitted by sweeps over models and seeds in a row, which end where a sweep changes nothing that counts.
    """
    several = [dict(one) for one in groups if len(one) > 1]
    shared = _shared(several)
    rows = [{seed: value for seed, value in one.items() if seed in shared} for one in several]
    rows = [one for one in rows if len(one) > 1]
    seeds = {seed for one in rows for seed in one}
    dof = sum(len(one) for one in rows) - len(rows) - len(seeds) + _blocks(rows)
    if dof <= 0:
        return Noise(0.0, 0)
    return Noise(math.hypot(*_fitted(rows, seeds)) / math.sqrt(dof), dof)


def _shared(groups: Sequence[Mapping[int, float]]) -> set[int]:
    """Return the seeds that several groups have."""
    return {seed for at, one in enumerate(groups) for seed in one if any(seed in two for two in groups[at + 1 :])}


def _blocks(rows: Sequence[Mapping[int, float]]) -> int:
    """Return into how many blocks the models fall that share no seed with those of another block."""
    blocks = list[set[int]]()
    for row in rows:
        touching = [one for one in blocks if not one.isdisjoint(row)]
        blocks = [one for one in blocks if one.isdisjoint(row)] + [set(row).union(*touching)]
    return len(blocks)


def _fitted(rows: Sequence[Mapping[int, float]], seeds: Iterable[int], sweeps: int = 200) -> list[float]:
    left = [dict(row) for row in rows]
    for _ in range(sweeps):
        moved = 0.0
        for row in left:
            moved = max(moved, _centre([(row, seed) for seed in row]))
        for seed in seeds:
            moved = max(moved, _centre([(row, seed) for row in left if seed in row]))
        if moved <= 1e-9 * max(abs(value) for row in left for value in row.values()):
            break
    return [value for row in left for value in row.values()]


def _centre(cells: Sequence[tuple[dict[int, float], int]]) -> float:
    """Subtract the mean of some cells from each, and return its size."""
    middle = mean([row[seed] for row, seed in cells])
    for row, seed in cells:
        row[seed] -= middle
    return abs(middle)

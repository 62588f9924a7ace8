"""A median, Student's t (its distribution function and quantiles) and the noise from run to run.

Standard library alone: the imports of numpy and scipy.special take half a second of every command. The tests hold this
module against both.
"""

import math
from collections.abc import Collection, Iterable
from functools import cache
from typing import NamedTuple

LEVEL = 0.05  # each tail of the published interval: two-sided 90 %, above 0 exactly when the one-sided p is below 0.05
_TINY = 1e-300
_STEPS = 10_000  # of the continued fraction; it converges within a few dozen wherever it is used


def median(values: Iterable[float]) -> float:
    """Return the middle of the values, or the mean of the two in the middle. There is at least one."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return (ordered[half] + ordered[~half]) / 2


def cdf(dof: float, t: float) -> float:
    """P(T <= t) for T with `dof` > 0 degrees of freedom (Abramowitz and Stegun, 26.7.1 and 26.5.27)."""
    if math.isinf(t):
        return float(t > 0)
    if t * t < dof:  # near the middle, what is small is what counts
        return 0.5 + math.copysign(0.5 * _beta(0.5, dof / 2, t * t / (dof + t * t)), t)
    tail = 0.5 * _beta(dof / 2, 0.5, dof / (dof + t * t))
    return 1 - tail if t > 0 else tail


@cache
def quantile(dof: float, p: float) -> float:
    """The t with cdf(dof, t) = p, for 0 < p < 1, by bisection to the last digit."""
    if p < 0.5:
        return -quantile(dof, 1 - p)
    low, high = 0.0, 1.0
    while cdf(dof, high) < p:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if cdf(dof, middle) < p else (low, middle)
    return high


def normal_cdf(z: float) -> float:
    """P(Z <= z) for a standard normal Z."""
    return math.erfc(-z / math.sqrt(2)) / 2


@cache
def normal_quantile(p: float) -> float:
    """The z with normal_cdf(z) = p, for 0 < p < 1."""
    low, high = -40.0, 40.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if normal_cdf(middle) < p else (low, middle)
    return high


def f_cdf(above: int, below: int, ratio: float) -> float:
    """P(F <= ratio) for a ratio of two variances with `above` and `below` degrees of freedom (Abramowitz, 26.6.2)."""
    return _beta(above / 2, below / 2, above * ratio / (above * ratio + below)) if ratio > 0 else 0.0


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for 0 <= x <= 1 (Abramowitz and Stegun, 26.5.2 and 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log) / (a * _fraction(a, b, x))


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), by Lentz's method."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, _STEPS):
        m = step // 2
        above = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) if step % 2 == 0 else (
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        )  # fmt: skip
        d = 1 / (1 + above * d or _TINY)
        c = 1 + above / c or _TINY
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


# --- the noise from run to run --------------------------------------------------------------------------


class Noise(NamedTuple):
    """The run-to-run standard deviation in units of the metric, and its degrees of freedom (0: unknown)."""

    sigma: float
    dof: int


def mean(values: Collection[float]) -> float:
    """Return the mean, exact where all values are the same: deterministic runs must not differ by rounding."""
    first = next(iter(values))
    return first + math.fsum(value - first for value in values) / len(values)


def pool(groups: Iterable[Collection[float]]) -> Noise:
    """Return sigma over groups whose means may differ (the pooled variance of the t test and of one-way ANOVA)."""
    several = [group for group in groups if len(group) > 1]
    dof = sum(len(group) - 1 for group in several)
    means = [mean(group) for group in several]
    off = [value - mean for group, mean in zip(several, means, strict=True) for value in group]
    return Noise(math.hypot(*off) / math.sqrt(dof) if dof else 0.0, dof)


def spread(noise: Noise, n: int, alpha: float = LEVEL) -> float | None:
    """Return half the two-sided `1 - 2 alpha` interval of a mean of `n` runs, in units of the metric; None: unknown."""
    return quantile(noise.dof, 1 - alpha) * noise.sigma / math.sqrt(n) if n and noise.dof else None

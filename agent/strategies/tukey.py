"""The studentized range: how far apart the largest and the smallest of several equal means lie by noise alone. Pure.

Standard library alone, as gate/stats; the tests hold it against scipy.
"""

import math
from collections.abc import Sequence
from functools import cache

from agent.gate.stats import Noise, quantile

_CELLS = 80  # of each trapezoid; both integrands are smooth and vanish at the ends, so more changes nothing
_FAR = 8.0  # standard deviations of the integral over one mean
_CLOSE = 1e-4  # of the quantile, relative


def spread_interval(
    means: Sequence[float], counts: Sequence[int], noise: Noise, tail: float
) -> tuple[float, float] | None:
    """Return bounds of the largest difference between the true means, at level `1 - tail`; None: the noise is unknown.

    means: of `counts` runs each, in units of the metric. The bounds hold for the differences of all pairs together
    (Tukey 1953; for unequal counts Kramer 1956, conservative by Hayter 1984), and so for the pair that looks largest:
    that it was chosen for its size widens them, and lets the lower one reach 0.
    """
    if noise.dof == 0 or len(means) < 2:
        return None
    factor = range_quantile(len(means), noise.dof, 1 - tail) * noise.sigma
    each = list(zip(means, counts, strict=True))
    pairs = [
        (abs(one - other), factor * math.sqrt((1 / n + 1 / m) / 2))
        for at, (one, n) in enumerate(each)
        for other, m in each[:at]
    ]
    return max(0.0, *(apart - half for apart, half in pairs)), max(apart + half for apart, half in pairs)


@cache
def range_quantile(k: int, dof: int, p: float) -> float:
    """Return the q with range_cdf(k, dof, q) = p, for 0 < p < 1, by bisection. With two means it is Student's t."""
    if k == 2:
        return quantile(dof, (1 + p) / 2) * math.sqrt(2)
    low, high = 0.0, 1.0
    while range_cdf(k, dof, high) < p:
        low, high = high, 2 * high
    while high - low > _CLOSE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if range_cdf(k, dof, middle) < p else (low, middle)
    return high


def range_cdf(k: int, dof: int, q: float) -> float:
    """Return P(range of `k` standard normals <= q s) with s^2 an independent chi squared of `dof` over its `dof`.

    The double integral of Tukey's definition (Lund and Lund 1983, AS 190), over ln s and over the largest of the k.
    """
    step = 5 * _FAR / math.sqrt(dof) / _CELLS
    logs = [step * (at - 0.8 * _CELLS) for at in range(_CELLS + 1)]  # the lower tail is the longer one
    weights = [math.exp(dof * (log - math.expm1(2 * log) / 2)) for log in logs]
    inner = (weight * _normal_range_cdf(k, q * math.exp(log)) for log, weight in zip(logs, weights, strict=True))
    return math.fsum(inner) / math.fsum(weights)


def _normal_range_cdf(k: int, width: float) -> float:
    """Return P(range of `k` standard normals <= width).

    k times the integral of phi(z) (Phi(z) - Phi(z - width))^(k-1) over z, which is the largest of them.
    """
    return 2 * _FAR / _CELLS * k * math.fsum(
        density * (below - _phi(z - width)) ** (k - 1) for z, density, below in _grid()
    )  # fmt: skip


@cache
def _grid() -> tuple[tuple[float, float, float], ...]:
    """Return the points of the integral over one mean, each with the normal density and distribution there."""
    points = [_FAR * (2 * at / _CELLS - 1) for at in range(_CELLS + 1)]
    return tuple((z, math.exp(-z * z / 2) / math.sqrt(2 * math.pi), _phi(z)) for z in points)


def _phi(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2

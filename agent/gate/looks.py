"""A test with several looks at growing data: the level of each look, and an estimate after an early stop. Pure.

The looks see a Brownian motion at the information of their runs (Armitage, McPherson and Rowe 1969). Every look tests
at the same level (Pocock 1977), which is that of a t test with its own degrees of freedom (Jennison and Turnbull 2000,
section 3.8). The estimate and its interval order the outcomes by the look at which they stop (Tsiatis, Rosner and
Mehta 1984).
"""

import math
from collections.abc import Callable, Sequence
from functools import cache

from agent.gate.stats import normal_cdf

_CELLS = 20  # of Simpson's rule over one look; 80 move no level by more than three parts in a thousand
_LOW = -4.5  # below this a path never comes back in time
_STEPS = 40  # of a search for a root; it takes about eight
_CLOSE = 1e-6


@cache
def level(alpha: float, information: tuple[float, ...], candidates: int) -> float:
    """Return the level of each look at which equal candidates pass in `alpha` of the campaigns, all looks together.

    information: of a candidate's looks, rising. Two candidates share the looks: however they are split among them.
    """

    def spent(bound: float) -> float:
        passed = [0.0, *_passed([bound] * len(information), information, 0.0)]
        if candidates < 2:
            return passed[-1]
        return max(one + other for one, other in zip(passed, reversed(passed), strict=True))

    return 1 - normal_cdf(_solve(lambda bound: alpha - spent(bound), 0.5, 6.0))


def corrected(z: float, bounds: Sequence[float], information: Sequence[float], p: float) -> float:
    """Return the drift, a unit of root information, under which a stop as late and as high as this has chance `p`.

    z: of the last look; the earlier ones were below their `bounds`. With p = 0.5 it is the estimate, whose median is
    the truth, and with `p` and 1 - p the two ends of an interval.
    """
    scale = math.sqrt(information[-1])

    def excess(drift: float) -> float:
        return _passed([*bounds, z], information, drift)[-1] - p

    return _solve(excess, (z - 5) / scale, (z + 3) / scale)


def _solve(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function is 0, by regula falsi (Illinois)."""
    below, above, side = rising(low), rising(high), 0
    for _ in range(_STEPS):
        at = (low * above - high * below) / (above - below) if above > below else (low + high) / 2
        value = rising(at)
        if abs(value) < _CLOSE or high - low < _CLOSE:
            break
        if value < 0:
            low, below, above, side = at, value, above / 2 if side < 0 else above, -1
        else:
            high, above, below, side = at, value, below / 2 if side > 0 else below, 1
    return at


def _passed(bounds: Sequence[float], information: Sequence[float], drift: float) -> list[float]:
    """Return the chance to have been above its bound at any look so far, for each look."""
    before, total, passed = 0.0, 0.0, list[float]()
    points, density = [0.0], [1.0]  # of the score, z root(information), on the paths that have not stopped
    for at, now in enumerate(information):
        step = math.sqrt(now - before)
        centres = [point + drift * (now - before) for point in points]
        edge = bounds[at] * math.sqrt(now)
        total += math.fsum(d * (1 - normal_cdf((edge - c) / step)) for c, d in zip(centres, density, strict=True))
        passed.append(total)
        if at < len(information) - 1:
            points, density = _continued(centres, density, step, edge, drift * now + _LOW * math.sqrt(now))
        before = now
    return passed


def _continued(
    centres: Sequence[float], density: Sequence[float], step: float, edge: float, low: float
) -> tuple[list[float], list[float]]:
    """Return points below `edge` and the weight of the paths at each, by Simpson's rule."""
    low = min(low, edge - step)
    cell = (edge - low) / _CELLS
    points = [low + cell * at for at in range(_CELLS + 1)]
    factor = cell / 3 / (step * math.sqrt(2 * math.pi))
    paths = list(zip(centres, density, strict=True))
    weights = [1 if at in (0, _CELLS) else 4 if at % 2 else 2 for at in range(_CELLS + 1)]
    return points, [
        factor * weight * sum(d * math.exp(-(((point - c) / step) ** 2) / 2) for c, d in paths)
        for point, weight in zip(points, weights, strict=True)
    ]

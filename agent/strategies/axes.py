"""The values that an axis of a space may take: how many, which, whether a constant is one of them. Pure."""

import math
from collections.abc import Iterator
from itertools import pairwise, product
from random import Random

from agent.core.errors import BadInput
from agent.core.experiment import Axis, Choice, Constant, Range, Space

RESOLUTION = 1e-4  # the share of its length that an axis of real numbers is rounded to: a diff stays readable


def is_number(value: Constant) -> bool:
    """Return whether a constant is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_ordered(axis: Choice) -> bool:
    """Return whether the values are three or more numbers that only rise or only fall."""
    numbers = [float(value) for value in axis.values if isinstance(value, int | float) and is_number(value)]
    rises = [after > before for before, after in pairwise(numbers)]
    return len(numbers) == len(axis.values) >= 3 and len(set(rises)) == 1 and len(set(numbers)) == len(numbers)


def count(axis: Axis) -> int | None:
    """Return how many values an axis has; None where they are real numbers."""
    if isinstance(axis, Choice):
        return len(axis.values)
    if axis.step is None:
        return 1 if axis.low == axis.high else None
    return math.floor((axis.high - axis.low) / axis.step + 1e-9) + 1


def size(space: Space) -> int | None:
    """Return how many points a space has; None where one of its axes is of real numbers."""
    counts = [count(axis) for axis in space.values()]
    return None if None in counts else math.prod(one for one in counts if one is not None)


def value_at(axis: Axis, index: int) -> Constant:
    """Return the value at a place, from 0, of an axis that has a count: whole where low, high and step are."""
    if isinstance(axis, Choice):
        return axis.values[index]
    step = axis.step or 0.0
    whole = all(float(one).is_integer() for one in (axis.low, axis.high, step)) and axis.step is not None
    value = axis.low + index * step
    return round(value) if whole else float(f"{value:.12g}")


def index_of(axis: Axis, value: Constant) -> int | None:
    """Return the place of a value on an axis that has a count; None where it is not one of its values."""
    if isinstance(axis, Choice):
        same = [
            n for n, one in enumerate(axis.values) if one == value and isinstance(one, bool) == isinstance(value, bool)
        ]
        return same[0] if same else None
    if not isinstance(value, int | float) or not is_number(value):
        return None
    index = round((value - axis.low) / axis.step) if axis.step else 0
    inside = 0 <= index < (count(axis) or 0)
    return index if inside and math.isclose(float(value_at(axis, index) or 0), value, rel_tol=1e-9) else None


def contains(axis: Axis, value: Constant) -> bool:
    """Return whether a constant is a value of an axis."""
    if isinstance(axis, Choice) or count(axis) is not None:
        return index_of(axis, value) is not None
    return isinstance(value, int | float) and is_number(value) and axis.low <= value <= axis.high


def points(space: Space, most: int) -> Iterator[dict[str, Constant]]:
    """Yield all points of a small space, else `most` of them that are drawn alike each time."""
    whole = size(space)
    if whole is not None and whole <= most:
        values = [[value_at(axis, index) for index in range(count(axis) or 0)] for axis in space.values()]
        yield from (dict(zip(space, point, strict=True)) for point in product(*values))
        return
    rng = Random("points")
    for _ in range(most):
        yield {name: _drawn(axis, rng) for name, axis in space.items()}


def _drawn(axis: Axis, rng: Random) -> Constant:
    known = count(axis)
    if isinstance(axis, Choice) or known is not None:
        return value_at(axis, rng.randrange(known or 1))
    low, high = (math.log(axis.low), math.log(axis.high)) if axis.log else (axis.low, axis.high)
    value = rng.uniform(low, high)
    return nearest(axis, math.exp(value) if axis.log else value)


def nearest(axis: Range, value: float) -> Constant:
    """Return the value of a range that is nearest to a number."""
    most = count(axis)
    if most is not None:
        return value_at(axis, min(max(round((value - axis.low) / (axis.step or 1)), 0), most - 1))
    length = value * math.log(axis.high / axis.low) if axis.log else axis.high - axis.low
    rounded = round(value, math.ceil(-math.log10(length * RESOLUTION)))
    return min(max(float(rounded), axis.low), axis.high)


def check(space: Space) -> None:
    """Raise BadInput for a space without an axis, and for an axis that has no values."""
    if not space:
        raise BadInput(
            "the space has no constants", next_step="name one in `space:`, such as MATRIX_LR: {low: 0.01, high: 0.1}"
        )
    for name, axis in space.items():
        problem = _problem_of(axis)
        if problem:
            raise BadInput(problem, where=f"space, {name}", next_step="give a list of values, or low < high")


def _problem_of(axis: Axis) -> str:
    """Return what is wrong with an axis, empty where nothing is."""
    if isinstance(axis, Choice):
        distinct = len({(isinstance(value, bool), value) for value in axis.values})
        return "" if distinct == len(axis.values) > 0 else f"{list(axis.values)} repeats a value or has none"
    if not (math.isfinite(axis.low) and math.isfinite(axis.high) and axis.low <= axis.high):
        return f"there is nothing from {axis.low} to {axis.high}"
    if axis.step is not None and not axis.step > 0:
        return f"a step of {axis.step} leads nowhere; it has to be above 0"
    return f"log needs a low above 0, not {axis.low}" if axis.log and axis.low <= 0 else ""

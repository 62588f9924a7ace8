"""Where the points, names and lines of a picture go, and how its numbers are shortened. Pure."""

from collections.abc import Sequence
from itertools import groupby

from agent.core.trials import Ancestor

Point = tuple[float, float]


def spaced(places: Sequence[float], gap: float) -> list[int]:
    """Return which of some rising places to keep, so that each is `gap` or more from the one before."""
    kept = [0]
    for at, place in enumerate(places):
        if at and place - places[kept[-1]] >= gap:
            kept.append(at)
    return kept


def apart(values: Sequence[float], gap: float) -> list[float]:
    """Return the values moved as little as keeps them `gap` from each other, in their order."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    groups: list[list[int]] = []
    for at in order:
        groups.append([at])
        while len(groups) > 1 and _start(groups[-1], values, gap) < _start(groups[-2], values, gap) + gap * len(
            groups[-2]
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = {at: _start(group, values, gap) + gap * rank for group in groups for rank, at in enumerate(group)}
    return [moved[at] for at in range(len(values))]


def _start(group: Sequence[int], values: Sequence[float], gap: float) -> float:
    """Return where the lowest of a group stands, when the group is about the mean of its values."""
    return sum(values[at] for at in group) / len(group) - gap * (len(group) - 1) / 2


def short_count(count: float) -> str:
    """Return a count in few letters: 500, 20k, 1.5M, 2B."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{unit}"
    return f"{count:.4g}"


def lowest_so_far(points: Sequence[Point]) -> list[Point]:
    """Return the points of a line that goes down to each new lowest value, and on to the last point."""
    line: list[Point] = []
    for x, y in points:
        if not line or y < line[-1][1]:
            line.append((x, y))
    return [*line, (points[-1][0], line[-1][1])] if points else []


def columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return what lies across and what lies up."""
    return [x for x, _ in points], [y for _, y in points]


def descents(organisms: Sequence[Ancestor]) -> list[tuple[Point, Point]]:
    """Return a line from each parent, where it lived last before, to its child, where that was born."""
    lines, places = [], dict[str, Point]()
    for _, group in groupby(sorted(organisms, key=_generation), key=_generation):
        members = {one.name: one for one in group}
        here = {name: (float(one.generation), one.fitness) for name, one in members.items()}
        born = [one for name, one in members.items() if name not in places]
        lines += [(places[parent], here[one.name]) for one in born for parent in one.parents if parent in places]
        places |= here
    return lines


def _generation(one: Ancestor) -> int:
    return one.generation

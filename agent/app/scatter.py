"""A scatter plot in text, both axes on log scales. Pure."""

import math
from collections.abc import Callable, Sequence
from itertools import count, takewhile

from agent.core.frozen import frozen

WIDTH, HEIGHT = 68, 14  # of the plot itself, in characters: with its labels it stays within 80 columns


@frozen
class Mark:
    """One point: the character that stands for it, and where; both above zero."""

    sign: str
    x: float
    y: float


@frozen
class Style:
    """What the axes are drawn with."""

    side: str
    tick: str
    corner: str
    bottom: str
    below: str


PLAIN = Style("|", "+", "+", "-", "+")
UNICODE = Style("│", "┤", "└", "─", "┬")


def scatter(marks: Sequence[Mark], style: Style, label: Callable[[float], str]) -> str:
    """Return the plot; `label` writes a number on an axis. A mark whose place is taken stands beside it."""
    across = Axis.around([mark.x for mark in marks], WIDTH)
    up = Axis.around([mark.y for mark in marks], HEIGHT)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark in marks:
        _place(grid[up.cell(mark.y)], across.cell(mark.x), mark.sign)
    ticks = {up.cell(value): label(value) for value in up.ticks(HEIGHT // 3)}
    margin = max(map(len, ticks.values()))
    lines = [
        f"{ticks.get(row, ''):>{margin}} {style.tick if row in ticks else style.side}{''.join(grid[row])}".rstrip()
        for row in reversed(range(HEIGHT))
    ]
    return "\n".join([*lines, *_bottom(across, style, margin, label)])


def _place(row: list[str], cell: int, sign: str) -> None:
    """Put a sign into a row: where it belongs, else into the nearest free cell."""
    free = [each for each in range(len(row)) if row[each] == " "]
    row[min(free, key=lambda each: (abs(each - cell), -each))] = sign


def _bottom(across: "Axis", style: Style, margin: int, label: Callable[[float], str]) -> list[str]:
    """Return the lower axis and its numbers."""
    line, numbers = [style.bottom] * WIDTH, [" "] * (WIDTH + 8)
    for value in across.ticks(WIDTH // 9):
        cell, text = across.cell(value), label(value)
        line[cell] = style.below
        numbers[cell : cell + len(text)] = text
    indent = " " * margin
    return [f"{indent} {style.corner}{''.join(line)}", f"{indent}  {''.join(numbers)}".rstrip()]


@frozen
class Axis:
    """A log scale from `low` to `high` over so many cells."""

    low: float
    high: float
    cells: int

    @classmethod
    def around(cls, values: Sequence[float], cells: int) -> "Axis":
        """Return the scale that holds all values, with room on both sides."""
        return cls(min(values) / 1.25, max(values) * 1.25, cells)

    def cell(self, value: float) -> int:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(share * (self.cells - 1))

    def ticks(self, most: int) -> list[float]:
        """Return round numbers on the scale, at most so many: 1, 2 and 5 times a power of ten, or fewer."""
        for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
            inside = [value for value in self._multiples(steps) if self.low <= value <= self.high]
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]

    def _multiples(self, steps: Sequence[float]) -> list[float]:
        first = math.floor(math.log10(self.low))
        powers = takewhile(lambda power: 10.0**power <= self.high, count(first))
        return [step * 10.0**power for power in powers for step in steps]

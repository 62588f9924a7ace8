"""How a search came to its best: the trials at which it fell, as a table and a picture, and those without."""

import math
from collections.abc import Sequence

from agent.core.trials import CurvePicture, Table, Trial
from agent.strategies.effects import sets_text, shown


def progress_table(curve: Sequence[tuple[str, float]]) -> Table:
    """Return the trials at which the best value so far fell. curve: of each trial its name and the lowest up to it."""
    lows = [math.inf, *(value for _, value in curve)]
    rows = [(str(n), name, shown(low)) for n, (name, low) in enumerate(curve, 1) if low < lows[n - 1]]
    return Table("Best so far", ("trials", "trial", "value on the first seed"), tuple(rows))


def progress_pictures(
    curve: Sequence[tuple[str, float]], values: Sequence[float], base: float = math.inf
) -> list[CurvePicture]:
    """Return the lowest value so far over the trials, about it those of all; none where no trial has one.

    values: of each trial, infinity where it has none; base: the same of the base.
    """
    line = [(float(n), low) for n, (_, low) in enumerate(curve, 1) if low < math.inf]
    one = CurvePicture(
        name="best-so-far",
        title="Best so far",
        across="trial",
        line=tuple(line),
        line_name="best so far",
        points=tuple((float(n), value) for n, value in enumerate(values, 1) if value < math.inf),
        points_name="trials",
        is_step=True,
        base=base if base < math.inf else None,
    )
    return [one] if line else []


def failure_table(trials: Sequence[Trial], most: int) -> Table:
    """Return the trials that are out and why, crashes first, `most` rows of them."""
    out = sorted((one for one in trials if one.failure), key=lambda one: one.refused)
    rows = [
        (one.name, "refused" if one.refused else "failed", one.failure, sets_text(one.candidate.sets)) for one in out
    ]
    left = len(rows) - most
    more = [("–", "–", f"and {left} more", "–")] if left > 0 else []
    return Table("Trials without a value", ("trial", "how", "why", "sets"), (*rows[:most], *more))

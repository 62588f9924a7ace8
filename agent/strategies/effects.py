"""What trials say of each other: means, differences with intervals, the noise behind them. Pure."""

import math
from collections.abc import Mapping, Sequence

from agent.core.experiment import Constant
from agent.core.trials import Effect, Trial
from agent.gate.stats import LEVEL, Noise, mean, pool, quantile


def sound(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that have a value and did not fail."""
    return [one for one in trials if one.values and not one.failure]


def noise(trials: Sequence[Trial]) -> Noise:
    """Return the run-to-run deviation, pooled over the trials that ran on several seeds."""
    return pool([list(one.values.values()) for one in sound(trials)])


def mean_of(trial: Trial) -> float:
    """Return a trial's mean over its seeds, lower is better; infinity where it failed or has no value."""
    return math.inf if trial.failure or not trial.values else mean(trial.values.values())


def half_width(noise: Noise, *counts: int) -> float | None:
    """Return half the 90 % interval of a sum or difference of means of so many runs each; None: the noise is unknown.

    Student's t with the pooled deviation: quantile(dof, 0.95) x sigma x sqrt(sum of 1 / n).
    """
    if noise.dof == 0 or not all(counts):
        return None
    return float(quantile(noise.dof, 1 - LEVEL)) * noise.sigma * math.sqrt(sum(1 / count for count in counts))


def gain(name: str, before: Trial, after: Trial, noise: Noise) -> Effect | None:
    """Return by how much `after` is better than `before`; None where one of them has no value."""
    if not sound([before, after])[1:]:
        return None
    value, half = mean_of(before) - mean_of(after), half_width(noise, len(before.values), len(after.values))
    bounds = None if half is None else (value - half, value + half)
    return Effect(name, value, bounds, len(after.values))


def best_of(trials: Sequence[Trial]) -> str | None:
    """Return the trial with the lowest mean, the earlier one on a tie; None where none has a value."""
    usable = sound(trials)
    return min(usable, key=mean_of).name if usable else None


# --- cells ------------------------------------------------------------------------------------------------


def shown(value: float | None, digits: int = 4) -> str:
    """Return a number for a cell; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def shown_effect(effect: Effect | None) -> tuple[str, str]:
    """Return an effect's gain and its interval for two cells."""
    if effect is None:
        return "–", "–"
    bounds = "–" if effect.interval is None else "{:+.4f} to {:+.4f}".format(*effect.interval)
    return f"{effect.gain:+.4f}", bounds


def sets_text(sets: Mapping[str, Constant]) -> str:
    """Return what a candidate sets, in one line."""
    return " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in sets.items())

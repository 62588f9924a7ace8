"""What trials say of each other: means, differences with intervals, the noise behind them. Pure."""

import math
from collections.abc import Mapping, Sequence

from agent.core.experiment import Constant
from agent.core.trials import Effect, EffectPicture, ParameterPicture, Trial
from agent.gate.stats import LEVEL, Noise, mean, pool, quantile
from agent.gate.stats import spread as spread_of_mean

PARAMETERS = "num_params_M"  # what a run reports its parameters as, in millions
STEP_SECONDS = "step_seconds"
# what every run reports of its course; what a run reports beside is a score of its own
_USUAL = frozenset(
    (PARAMETERS, STEP_SECONDS, "training_seconds", "total_seconds", "total_tokens_M", "tokens_per_second")
    + ("num_steps", "charged_steps", "num_params", "val_characters", "mfu_percent", "peak_vram_mb", "depth")
)


def sound(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that have a value and did not fail."""
    return [one for one in trials if one.values and not one.failure]


def noise(trials: Sequence[Trial]) -> Noise:
    """Return the run-to-run deviation, pooled over the trials that ran on several seeds."""
    return pool([list(one.values.values()) for one in sound(trials)])


def mean_of(trial: Trial) -> float:
    """Return a trial's mean over its seeds, lower is better; infinity where it failed or has no value."""
    return math.inf if trial.failure or not trial.values else mean(trial.values.values())


def half_width(noise: Noise, *counts: int, tail: float = LEVEL) -> float | None:
    """Return half the interval of a sum or difference of means of so many runs each; None: the noise is unknown.

    Student's t with the pooled deviation: quantile(dof, 1 - tail) x sigma x sqrt(sum of 1 / n). `tail` is that of each
    side: the default gives 90 %.
    """
    if noise.dof == 0 or not all(counts):
        return None
    return float(quantile(noise.dof, 1 - tail)) * noise.sigma * math.sqrt(sum(1 / count for count in counts))


def gain(name: str, before: Trial, after: Trial, noise: Noise, tail: float = LEVEL) -> Effect | None:
    """Return by how much `after` is better than `before`; None where one of them has no value."""
    if not sound([before, after])[1:]:
        return None
    value, half = mean_of(before) - mean_of(after), half_width(noise, len(before.values), len(after.values), tail=tail)
    bounds = None if half is None else (value - half, value + half)
    return Effect(name, value, bounds, len(after.values))


def best_of(trials: Sequence[Trial]) -> str | None:
    """Return the trial with the lowest mean, the earlier one on a tie; None where none has a value."""
    usable = sound(trials)
    return min(usable, key=mean_of).name if usable else None


def added(
    base: Mapping[str, Constant], before: Mapping[str, Constant], sets: Mapping[str, Constant]
) -> dict[str, Constant]:
    """Return what a candidate that sets `sets` has otherwise than one that sets `before`, both on top of `base`."""
    old, new = {**base, **before}, {**base, **sets}
    return {name: new.get(name) for name in dict.fromkeys([*sets, *before]) if new.get(name) != old.get(name)}


def score_names(trials: Sequence[Trial]) -> list[str]:
    """Return the metrics that only some tracks have, such as scores of samples, in the order in which they come."""
    names = dict.fromkeys(name for trial in trials for name in trial.metrics)
    return [name for name in names if name not in _USUAL]


# --- pictures ---------------------------------------------------------------------------------------------


def effect_pictures(name: str, title: str, effects: Sequence[Effect], measure: str = "gain") -> list[EffectPicture]:
    """Return a picture of some effects; none where there are none."""
    return [EffectPicture(name, title, tuple(effects), measure)] if effects else []


def parameter_pictures(trials: Sequence[Trial]) -> list[ParameterPicture]:
    """Return a picture of the means against parameters; none where the trials have fewer than two counts of them."""
    points = sorted(
        (1e6 * one.metrics[PARAMETERS], mean_of(one), one.name) for one in sound(trials) if PARAMETERS in one.metrics
    )
    several = len({count for count, _, _ in points}) > 1
    return [ParameterPicture("parameters", "Loss against parameters", tuple(points))] if several else []


# --- cells ------------------------------------------------------------------------------------------------


def shown(value: float | None, digits: int = 4) -> str:
    """Return a number for a cell; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def shown_mean(trial: Trial, noise: Noise) -> str:
    """Return a trial's mean with half its 90 % interval, where the noise is known."""
    half = spread_of_mean(noise, len(trial.values))
    value = shown(mean_of(trial))
    return value if half is None or value == "–" else f"{value} ± {half:.4f}"


def shown_effect(effect: Effect | None) -> tuple[str, str]:
    """Return an effect's gain and its interval for two cells."""
    if effect is None:
        return "–", "–"
    bounds = "–" if effect.interval is None else "{:+.4f} to {:+.4f}".format(*effect.interval)
    return f"{effect.gain:+.4f}", bounds


def sets_text(sets: Mapping[str, Constant]) -> str:
    """Return what a candidate sets, in one line."""
    return " ".join(f"{name.rpartition('.')[2]}={value}" for name, value in sets.items())


def shown_parameters(trial: Trial) -> str:
    """Return how many parameters a trial's runs report; a dash where they report none."""
    millions = trial.metrics.get(PARAMETERS)
    return "–" if millions is None else f"{round(1e6 * millions):,}"

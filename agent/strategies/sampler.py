"""Optuna as a pure function: what has been seen of a space gives the next point. Imported where a search draws."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from agent.core.errors import BadInput
from agent.core.experiment import Axis, Choice, Constant, SearchOptions, Space
from agent.core.frozen import frozen
from agent.strategies.axes import contains, count, index_of, is_ordered, nearest, size, value_at

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

Point = Mapping[str, Constant]  # a value for every axis

REDRAWS = 20  # draws that may repeat an earlier point before one is taken at random from those that are left
MAX_STARTUP = 10  # trials at random before a model of the space is trusted (Optuna's default); fewer in a short search
PENALTY = 0.1  # of a point that failed, above the highest value, in spans from the lowest to the highest
IMPORTANCE_TOP = 5  # PED-ANOVA compares the best so many trials with all; its authors advise five or more


@frozen
class Observation:
    """A point of a space and its value, lower is better: None while it runs, infinity where it failed."""

    point: Point
    value: float | None


def check_installed(sampler: str) -> None:
    """Raise BadInput where what a sampler needs is not installed: Optuna, and scipy for a Gaussian process."""
    for name in ("optuna", *(("scipy", "torch") if sampler == "gp" else ())):
        if find_spec(name) is None:
            problem = f"the strategy search (sampler {sampler}) needs {name}, which is not installed"
            raise BadInput(problem, next_step="pip install -e '.[search]'")


def draw(
    space: Space, options: SearchOptions, seen: Sequence[Observation], excluded: Sequence[Point], seed: str
) -> Point | None:
    """Return a point that is neither seen nor excluded; None where there is none. The same arguments, the same point.

    A failed point counts as a little worse than the worst that has a value, so that a model of the space keeps away
    from it and is not bent; one that still runs counts as bad (TPE's constant liar) or is integrated out (GP).
    """
    if is_exhausted(space, seen, excluded):
        return None
    tried, points = _tried(space, seen, excluded), size(space)
    with _quiet():
        for point in _draws(space, options, seen, seed):
            if _key(space, point) not in tried:
                return point
    return None if points is None else _left_over(space, points, tried, seed)


def is_exhausted(space: Space, seen: Sequence[Observation], excluded: Sequence[Point]) -> bool:
    """Return whether every point of a space is seen or excluded."""
    points = size(space)
    return points is not None and len(_tried(space, seen, excluded)) >= points


def importance(space: Space, seen: Sequence[Observation]) -> dict[str, float]:
    """Return each axis's share, 0 to 1, in what sets the best trials apart from all.

    Empty with fewer than ten trials, and where Optuna is missing.
    PED-ANOVA (arXiv 2304.10255): the Pearson divergence between the axis's density in the best and in all trials.
    """
    finite = [one for one in seen if one.value is not None and math.isfinite(one.value)]
    if len(finite) < 2 * IMPORTANCE_TOP or find_spec("optuna") is None:
        return {}
    with _quiet():
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        evaluator = PedAnovaImportanceEvaluator(target_quantile=IMPORTANCE_TOP / len(finite))
        shares = get_param_importances(_study(space, finite), evaluator=evaluator)
    return {name: shares.get(name, 0.0) for name in space}


# --- draws ------------------------------------------------------------------------------------------------


def _draws(space: Space, options: SearchOptions, seen: Sequence[Observation], seed: str) -> Iterator[Point]:
    """Yield what a sampler proposes, each time with another seed."""
    from optuna.trial import TrialState

    study, axes = _study(space, seen), {name: _distribution(axis) for name, axis in space.items()}
    for attempt in range(REDRAWS):
        study.sampler = _sampler(options, _number(f"{seed}/{attempt}"))
        trial = study.ask(axes)
        yield {name: _value_of(axis, trial.params[name]) for name, axis in space.items()}
        study.tell(trial, state=TrialState.FAIL)


def _tried(space: Space, seen: Sequence[Observation], excluded: Sequence[Point]) -> set[tuple[Constant, ...]]:
    """Return the keys of the points that are not to be drawn."""
    return {_key(space, point) for point in (*excluded, *(one.point for one in seen))}


def _left_over(space: Space, points: int, tried: set[tuple[Constant, ...]], seed: str) -> Point:
    """Return a point that is left of a space with a count: the first from a random place on."""
    start = _number(seed) % points
    places = (_point_at(space, (start + n) % points) for n in range(points))
    return next(point for point in places if _key(space, point) not in tried)


def _point_at(space: Space, index: int) -> Point:
    """Return the point at a place, from 0, of a space with a count; the first axis varies fastest."""
    point = {}
    for name, axis in space.items():
        index, place = divmod(index, count(axis) or 1)
        point[name] = value_at(axis, place)
    return point


def _key(space: Space, point: Point) -> tuple[Constant, ...]:
    """Return what two points have in common exactly where they are one."""
    return tuple(
        index_of(axis, point[name]) if count(axis) is not None else point[name] for name, axis in space.items()
    )


def _number(text: str) -> int:
    """Return a seed of 32 bits, the same in every process."""
    return zlib.crc32(text.encode())


# --- Optuna's terms ---------------------------------------------------------------------------------------


def _sampler(options: SearchOptions, seed: int) -> "BaseSampler":
    """Return a fresh sampler: its state is the study's trials and its seed."""
    from optuna.samplers import GPSampler, RandomSampler, TPESampler

    startup = min(MAX_STARTUP, max(4, options.trials // 3))
    match options.sampler:
        case "random":
            return RandomSampler(seed=seed)
        case "gp":
            return GPSampler(seed=seed, n_startup_trials=startup)
        case "tpe":
            return TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)


def _study(space: Space, seen: Sequence[Observation]) -> "Study":
    """Return a study in memory that knows what has been seen."""
    from optuna import create_study

    values = [one.value for one in seen if one.value is not None and math.isfinite(one.value)] or [0.0]
    lowest, highest = min(values), max(values)
    penalty = highest + PENALTY * ((highest - lowest) or 1.0)
    study = create_study(direction="minimize")
    study.add_trials([_trial(space, one, penalty) for one in seen])
    return study


def _trial(space: Space, one: Observation, penalty: float) -> "FrozenTrial":
    """Return an observation in Optuna's terms; one that failed gets the penalty for its value."""
    from optuna.trial import TrialState, create_trial

    params = {name: _param_of(axis, one.point[name]) for name, axis in space.items()}
    axes = {name: _distribution(axis) for name, axis in space.items()}
    if one.value is None:
        return create_trial(state=TrialState.RUNNING, params=params, distributions=axes)
    return create_trial(value=one.value if math.isfinite(one.value) else penalty, params=params, distributions=axes)


def _is_scaled_grid(axis: Axis) -> bool:
    """Return whether an axis has steps and a logarithmic scale: drawn as a real number, then rounded to a step."""
    return not isinstance(axis, Choice) and axis.log and axis.step is not None


def _distribution(axis: Axis) -> "BaseDistribution":
    """Return an axis in Optuna's terms. An axis with a count is one of places, ordered where its values are.

    Numbers in order go by their place, so that a sampler learns from a value's neighbours, and 64, 128, 256, 512 are
    equally far apart; a categorical axis learns of each value by itself.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    places = count(axis)
    if isinstance(axis, Choice):
        is_scale = is_ordered(axis)
        return (
            IntDistribution(0, len(axis.values) - 1) if is_scale else CategoricalDistribution(range(len(axis.values)))
        )
    if axis.step is not None and axis.log:  # half a step beyond the ends, or these would be drawn half as often
        high = float(value_at(axis, (places or 1) - 1) or 0)
        return FloatDistribution(max(axis.low - axis.step / 2, axis.low / 2), high + axis.step / 2, log=True)
    return FloatDistribution(axis.low, axis.high, log=axis.log) if places is None else IntDistribution(0, places - 1)


def _param_of(axis: Axis, value: Constant) -> float | int:
    """Return a value of an axis as Optuna holds it: a place, or the number itself."""
    assert contains(axis, value), f"{value} is no value of {axis}"
    place = None if _is_scaled_grid(axis) or count(axis) is None else index_of(axis, value)
    return float(value or 0) if place is None else place


def _value_of(axis: Axis, param: float | int) -> Constant:
    """Return the constant that a draw of Optuna's stands for."""
    if isinstance(axis, Choice) or (count(axis) is not None and not _is_scaled_grid(axis)):
        return value_at(axis, int(param))
    return nearest(axis, param)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's lines from the terminal; its own level is put back."""
    from optuna import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(level)

"""The strategy of an issue with a `space:`: points of it that Optuna proposes, the best ones on more seeds. Pure.

A batch of candidates is proposed on what was known before it, so the candidates are the same however often a
campaign is cut short. The base runs first, where it lies in the space, and is none of the trials: what others are
better than.
"""

import math
import re
from collections.abc import Sequence

from agent.core.errors import BadInput
from agent.core.experiment import BASELINE, Constant
from agent.core.trials import (
    Candidate,
    Effect,
    ExploreRun,
    Findings,
    Picture,
    Question,
    Step,
    Table,
    Trial,
)
from agent.strategies import axes
from agent.strategies.effects import (
    best_of,
    effect_pictures,
    gain,
    mean_of,
    noise,
    parameter_pictures,
    sets_text,
    shown,
    shown_effect,
    sound,
)
from agent.strategies.sampler import Observation, Point, check_installed, draw, importance, is_exhausted
from agent.strategies.search_report import failure_table, progress_pictures, progress_table

REPLICATED = 3  # the best so many of one seed each are run on the others before one is named
MAX_REFUSED = 20  # candidates that preflight refuses one after another before a search stops
ROWS = 10  # of a table
TOP = 5  # trials whose values the table of parameters shows
_NAME = re.compile(r"t(\d{3,})")


def check(question: Question) -> None:
    """Raise BadInput for what a search cannot start with: its space, its options, what is not installed."""
    options = question.search
    axes.check(question.space)
    if options.trials < 1 or options.batch < 1:
        problem = f"trials is {options.trials} and batch {options.batch}; each has to be 1 or more"
        raise BadInput(problem, where="search", next_step="write trials: 30 and batch: 1, for example")
    check_installed(options.sampler)


def next_step(question: Question, trials: Sequence[Trial]) -> Step:
    """Return what a batch lacks and the first run of all that have none; with all trials done, the replicates.

    Raises BadInput as `check` does.
    """
    check(question)
    fresh = _batch(question, trials)
    names = [one.name for one in trials if _waits(one)] + [one.name for one in fresh]
    runs = [ExploreRun(name, question.seeds[0]) for name in names]
    return Step(fresh, tuple(runs or _replicates(question, trials)))


def best(question: Question, trials: Sequence[Trial]) -> str | None:
    """Return the lowest mean of those that ran on every seed; None where none has a value or none beats the base."""
    base = _base_of(question, trials)
    bar = math.inf if base is None else mean_of(base)
    return best_of([one for one in _replicated(question, trials) if one is not base and mean_of(one) < bar])


def proposals(question: Question, trials: Sequence[Trial], count: int) -> list[Candidate]:
    """Return `count` new candidates, fewer where the space has no more, for rounds that others propose for too.

    Trials without a value count as running. Those that change code must be left out of `trials`: the space does not
    describe them. The base is never proposed. Raises BadInput as `check` does.
    """
    check(question)
    return _propose(question, trials, [], count)


def best_so_far(question: Question, trials: Sequence[Trial]) -> list[tuple[str, float]]:
    """Return the search's own trials in order, each with the lowest value on the first seed up to it."""
    curve: list[tuple[str, float]] = []
    for one in _counted(question, trials):
        curve.append((one.name, min(_first(question, one), curve[-1][1] if curve else math.inf)))
    return curve


# --- what comes next --------------------------------------------------------------------------------------


def _own(question: Question, trials: Sequence[Trial]) -> list[Trial]:
    """Return the candidates that the search proposed, in order."""
    listed = {one.name for one in question.variants}
    return [one for one in trials if one.name not in listed and _NAME.fullmatch(one.name)]


def _counted(question: Question, trials: Sequence[Trial]) -> list[Trial]:
    """Return those of `_own` that count as trials: all but the refused ones."""
    return [one for one in _own(question, trials) if not one.refused]


def _waits(trial: Trial) -> bool:
    """Return whether a trial has no value yet and may still get one."""
    return not trial.values and not trial.failure


def _refused_in_a_row(question: Question, trials: Sequence[Trial]) -> int:
    """Return how many of the last candidates were refused, one after another."""
    own = _own(question, trials)
    return next((n for n, one in enumerate(reversed(own)) if not one.refused), len(own))


def _batch(question: Question, trials: Sequence[Trial]) -> tuple[Candidate, ...]:
    """Return the candidates that the batch under way lacks; of the next batch where all have their first value."""
    own = _own(question, trials)
    start, size = _batch_under_way(question, own)
    inside = own[start:]
    before = [one for one in trials if one not in inside]
    if _refused_in_a_row(question, trials) >= MAX_REFUSED or (not inside and any(map(_waits, before))):
        return ()
    base = () if own else _base_candidate(question, trials)
    return base or tuple(_propose(question, before, inside, size - len(inside)))


def _batch_under_way(question: Question, own: Sequence[Trial]) -> tuple[int, int]:
    """Return the place where the last batch begins that is not full, and its size: 0 where no trial is left.

    A batch is as large as the issue says or as trials are left; a refused candidate counts in its batch alone.
    """
    start = size = 0
    while start + size <= len(own):
        start += size
        left = question.search.trials - len(_counted(question, own[:start]))
        size = min(question.search.batch, left)
        if size <= 0:
            return start, 0
    return start, size


def _propose(question: Question, before: Sequence[Trial], running: Sequence[Trial], count: int) -> list[Candidate]:
    """Return new candidates on the values of `before`; those of `running` are known to run, whatever they hold."""
    seen = _observations(question, before) + [Observation(one.point, None) for one in _observations(question, running)]
    names, fresh = [one.name for one in (*before, *running)], list[Candidate]()
    for number in range(len(names), len(names) + count):
        point = draw(question.space, question.search, seen, _excluded(question), f"{question.issue}/{number}")
        if point is None:
            break
        fresh.append(_candidate(question, point, names, question.search.sampler))
        names.append(fresh[-1].name)
        seen.append(Observation(point, None))
    return fresh


def _excluded(question: Question) -> list[Point]:
    """Return the points that are never drawn: the base, which is known."""
    point = _point_of(question, Candidate(name="", sets={}))
    return [] if point is None else [point]


def _base_candidate(question: Question, trials: Sequence[Trial]) -> tuple[Candidate, ...]:
    """Return the base as a candidate, BASELINE; nothing where it lies outside the space or is a trial already."""
    known = _base_of(question, trials) or not _excluded(question)
    return () if known else (Candidate(name=BASELINE, sets={}, origin="base"),)


def _candidate(question: Question, point: Point, names: Sequence[str], origin: str) -> Candidate:
    """Return a candidate under the next free name. A constant that is a float in the base stays one."""
    numbers = [int(match[1]) for match in map(_NAME.fullmatch, names) if match]
    sets = {name: _like(question.base.get(name), value) for name, value in point.items()}
    return Candidate(name=f"t{max(numbers, default=0) + 1:03d}", sets=sets, origin=origin)


def _like(present: Constant, value: Constant) -> Constant:
    """Return a whole number as a float where the constant is a float at present."""
    return float(value) if isinstance(present, float) and type(value) is int else value


def _replicates(question: Question, trials: Sequence[Trial]) -> list[ExploreRun]:
    """Return the runs that the leaders and the base lack. Whoever fails on a later seed makes room for the next."""
    base = _base_of(question, trials)
    usable = sorted(sound(trials), key=lambda one: _first(question, one))
    leaders = [one for one in usable if one is not base][:REPLICATED]
    chosen = leaders + [one for one in usable if one is base]
    return [ExploreRun(one.name, seed) for one in chosen for seed in question.seeds if seed not in one.values]


def _replicated(question: Question, trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that have a value for every seed."""
    return [one for one in sound(trials) if set(question.seeds) <= set(one.values)]


def _first(question: Question, trial: Trial) -> float:
    """Return a trial's value on the first seed; infinity where it has none or failed."""
    return math.inf if trial.failure else trial.values.get(question.seeds[0], math.inf)


# --- what the sampler sees --------------------------------------------------------------------------------


def _base_of(question: Question, trials: Sequence[Trial]) -> Trial | None:
    """Return the trial that changes nothing of the base."""
    return next((one for one in trials if not _changes(question, one.candidate)), None)


def _changes(question: Question, candidate: Candidate) -> set[str]:
    """Return the names of the constants to which a candidate gives another value than the base."""
    return {name for name, value in candidate.sets.items() if name not in question.base or question.base[name] != value}


def _point_of(question: Question, candidate: Candidate) -> Point | None:
    """Return a candidate as a point of the space; None where it lies outside, or changes what is no axis."""
    settings = {**question.base, **candidate.sets}
    inside = all(name in settings and axes.contains(axis, settings[name]) for name, axis in question.space.items())
    known = inside and _changes(question, candidate) <= question.space.keys()
    return {name: settings[name] for name in question.space} if known else None


def _observations(question: Question, trials: Sequence[Trial]) -> list[Observation]:
    """Return what the trials say of the space, by their first seed alone, so that all are alike."""
    seen = []
    for one in trials:
        point = _point_of(question, one.candidate)
        if point is not None:
            seen.append(Observation(point, None if _waits(one) else _first(question, one)))
    return seen


# --- what it says -----------------------------------------------------------------------------------------


def size(question: Question) -> int:
    """Return the runs of all trials on the first seed, and of the best on the others."""
    return question.search.trials + REPLICATED * (len(question.seeds) - 1)


def conclude(question: Question, trials: Sequence[Trial]) -> Findings:
    """Return the best trial and its gain over the base, the leaders, what each parameter counts, what failed."""
    base = _base_of(question, trials)
    effects = _effects(question, trials)
    tables = (
        _leader_table(question, trials, effects),
        _parameter_table(question, trials),
        progress_table(best_so_far(question, trials)),
        failure_table(trials, ROWS),
    )
    summary = " ".join([_summary(question, trials, base, effects), *_why_short(question, trials)])
    return Findings(summary, effects, tuple(one for one in tables if one.rows), _notes(question, trials))


def pictures(question: Question, trials: Sequence[Trial]) -> tuple[Picture, ...]:
    """Return the best so far, the gains of the best over the base, and the loss against parameters."""
    values = [_first(question, one) for one in _counted(question, trials)]
    known = _base_of(question, trials)
    base = math.inf if known is None else _first(question, known)
    return (
        *progress_pictures(best_so_far(question, trials), values, base),
        *effect_pictures("gains", "The best, over the base", _effects(question, trials)),
        *parameter_pictures(trials),
    )


def _effects(question: Question, trials: Sequence[Trial]) -> tuple[Effect, ...]:
    """Return the gain over the base of every trial that ran on every seed, the best first."""
    base, scatter = _base_of(question, trials), noise(trials)
    others = sorted((one for one in _replicated(question, trials) if one is not base), key=mean_of)
    gains = [None if base is None else gain(one.name, base, one, scatter) for one in others]
    return tuple(one for one in gains if one is not None)


def _summary(question: Question, trials: Sequence[Trial], base: Trial | None, effects: Sequence[Effect]) -> str:
    """Return the sentence that names the best trial, or says why there is none."""
    name, number = best(question, trials), len(_counted(question, trials))
    if not _replicated(question, trials):
        return f"None of {number} trials has a value on every seed."
    if name is None:
        return f"None of {number} trials is better than the base ({shown(mean_of(base) if base else None)})."
    chosen = next(one for one in trials if one.name == name)
    over = next((f", {one.gain:.4f} better than the base{_bounds(one)}" for one in effects if one.name == name), "")
    head = f"{name} is the best of {number} trials ({question.search.sampler})"
    return f"{head}: {shown(mean_of(chosen))} over {len(chosen.values)} seed(s){over}."


def _bounds(effect: Effect) -> str:
    return f" (90 %: {shown_effect(effect)[1]})" if effect.interval else ""


def _why_short(question: Question, trials: Sequence[Trial]) -> list[str]:
    """Return why a search has fewer trials than the issue asks for; nothing where it has them or still runs."""
    number, refused = len(_counted(question, trials)), _refused_in_a_row(question, trials)
    if number >= question.search.trials:
        return []
    if refused >= MAX_REFUSED:
        reason = _own(question, trials)[-1].failure
        return [f"The search stopped after {number} of {question.search.trials} trials: preflight refused {refused} "
                f"candidates in a row, the last because: {reason}"]  # fmt: skip
    is_over = is_exhausted(question.space, _observations(question, trials), _excluded(question))
    return [f"The space has {axes.size(question.space)} points, and all were tried."] if is_over else []


def _notes(question: Question, trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return what a reader has to know of the figures."""
    picked = (
        f"The best {REPLICATED} on seed {question.seeds[0]} ran on the other seeds too; a value of one seed that is "
    )
    many = len(_counted(question, trials)) > REPLICATED and len(question.seeds) > 1
    notes = [picked + "the best of many is better than it would be on another."] if many else []
    if not importance(question.space, _own_observations(question, trials)):
        notes.append("There are too few trials to say what a parameter counts.")
    return tuple(notes)


def _leader_table(question: Question, trials: Sequence[Trial], effects: Sequence[Effect]) -> Table:
    """Return the ten best: those that ran on every seed first, by their mean."""
    complete, by_name = _replicated(question, trials), {one.name: one for one in effects}
    order = sorted(sound(trials), key=lambda one: (one not in complete, mean_of(one)))[:ROWS]
    rows = [
        (one.name, shown(mean_of(one)), str(len(one.values)), *shown_effect(by_name.get(one.name)),
         sets_text(one.candidate.sets))
        for one in order
    ]  # fmt: skip
    return Table("Best trials", ("trial", "mean", "seeds", "gain over the base", "90 %", "sets"), tuple(rows))


def _own_observations(question: Question, trials: Sequence[Trial]) -> list[Observation]:
    return _observations(question, sound(trials))


def _parameter_table(question: Question, trials: Sequence[Trial]) -> Table:
    """Return each parameter's share in what sets the best trials apart, and its values among them."""
    shares = importance(question.space, _own_observations(question, trials))
    top = sorted(_own_observations(question, trials), key=lambda one: one.value or 0)[:TOP]
    rows = [
        (name.rpartition(".")[2], f"{share:.0%}", ", ".join(str(one.point[name]) for one in top))
        for name, share in sorted(shares.items(), key=lambda pair: -pair[1])
    ]
    return Table(
        "Parameters (PED-ANOVA)", ("parameter", "importance", f"values of the best {TOP}, best first"), tuple(rows)
    )

"""The factors of a sweep or a grid: their levels around a reference, spreads, and deviations from the sum. Pure."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from agent.core.experiment import BASELINE, Constant
from agent.core.frozen import frozen
from agent.core.trials import Candidate, Effect, Question, Trial
from agent.gate.stats import LEVEL, Noise
from agent.strategies.effects import PARAMETERS, gain, half_width, mean_of, noise, sound
from agent.strategies.replicates import trials_of
from agent.strategies.tukey import spread_interval

Values = tuple[Constant, ...]  # of all factors, in their order: True and 1 are one value, as they are to a script


@frozen
class Factor:
    """A constant that some variants set, and the trial at each of its levels: the other factors as in the reference.

    Levels are in the order of their size where they are numbers, else as the issue lists them.
    """

    name: str
    levels: tuple[tuple[Constant, Trial], ...]

    @property
    def label(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def sound(self) -> list[tuple[Constant, Trial]]:
        """The levels that have a value."""
        return [(level, trial) for level, trial in self.levels if sound([trial])]


@frozen
class Spread:
    """How far apart the means of a factor's levels are; `effect` is None where fewer than two have a value."""

    factor: Factor
    effect: Effect | None


@frozen
class Design:
    """The trials of a question by the values that they have of each factor, one trial for each combination.

    reference: the values that the other factors have while one varies.
    """

    base: Mapping[str, Constant]
    names: tuple[str, ...]
    cells: Mapping[Values, Trial]
    reference: Values

    @property
    def trials(self) -> list[Trial]:
        return list(self.cells.values())

    @property
    def reference_trial(self) -> Trial | None:
        return self.cells.get(self.reference)

    @property
    def base_trial(self) -> Trial | None:
        return self.cells.get(self._base_values)

    @property
    def needs_base(self) -> bool:
        """Whether the base is the reference and no trial has its values."""
        return self.reference == self._base_values and self.base_trial is None

    @property
    def _base_values(self) -> Values:
        return tuple(self.base.get(name) for name in self.names)

    @cached_property
    def noise(self) -> Noise:
        """The run-to-run deviation, pooled over all trials."""
        return noise(self.trials)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """The factors that have two levels or more around the reference."""
        every = (Factor(name, self._levels(at)) for at, name in enumerate(self.names))
        return tuple(factor for factor in every if len(factor.levels) > 1)

    def factor(self, name: str) -> Factor | None:
        return next((one for one in self.factors if name == one.name), None)

    def spreads(self) -> list[Spread]:
        """Return the spread of each factor, the largest first; those without one come last."""
        spreads = [Spread(factor, self.spread(factor)) for factor in self.factors]
        return sorted(spreads, key=lambda one: -one.effect.gain if one.effect else 1.0)

    def spread(self, factor: Factor, tail: float = 2 * LEVEL) -> Effect | None:
        """Return the largest mean of a factor's levels less the smallest, with bounds at level `1 - tail`."""
        trials = [trial for _, trial in factor.sound]
        if len(trials) < 2:
            return None
        means, counts = [mean_of(trial) for trial in trials], [len(trial.values) for trial in trials]
        bounds = spread_interval(means, counts, self.noise, tail)
        return Effect(f"spread of {factor.label}", max(means) - min(means), bounds, sum(counts))

    def interactions(self) -> dict[str, Effect]:
        """Return, by trial that differs from the reference in two factors, how much better it is than their sum.

        The sum is the reference's mean and the gain of each of the two alone: the deviation is that of a two-way table
        without replicates in one cell, (b + c) - (a + d) of its four means, by Student's t with the pooled deviation.
        """
        effects = ((trial.name, self._interaction(values, trial)) for values, trial in self.cells.items())
        return {name: effect for name, effect in effects if effect}

    def differing(self, values: Values) -> list[int]:
        """Return which factors have other values than in the reference."""
        return [at for at, value in enumerate(values) if value != self.reference[at]]

    def _interaction(self, values: Values, trial: Trial) -> Effect | None:
        at = self.differing(values)
        if len(at) != 2:
            return None
        corners = [self.cells.get(one) for one in (self.reference, *(self._alone(values, each) for each in at))]
        usable = sound([one for one in [*corners, trial] if one])
        if len(usable) < 4:
            return None
        neither, one, other, both = (mean_of(each) for each in usable)
        deviation, half = one + other - neither - both, half_width(self.noise, *(len(each.values) for each in usable))
        bounds = None if half is None else (deviation - half, deviation + half)
        return Effect(f"{trial.name} beyond the sum", deviation, bounds, len(trial.values))

    def _alone(self, values: Values, at: int) -> Values:
        """Return the reference with one factor's value taken from `values`."""
        return (*self.reference[:at], values[at], *self.reference[at + 1 :])

    def _levels(self, at: int) -> tuple[tuple[Constant, Trial], ...]:
        levels = [(values[at], trial) for values, trial in self.cells.items() if self.differing(values) in ([], [at])]
        if all(isinstance(level, int | float) for level, _ in levels):
            return tuple(sorted(levels, key=lambda one: float(one[0] or 0)))
        return tuple(levels)


def per_million(before: Trial, after: Trial, noise: Noise) -> Effect | None:
    """Return the gain of `after` over `before` a million parameters added; None where it adds none or has no value."""
    counts = [trial.metrics.get(PARAMETERS) for trial in (before, after)]
    effect = gain(after.name, before, after, noise)
    if effect is None or counts[0] is None or counts[1] is None or counts[1] <= counts[0]:
        return None
    millions = counts[1] - counts[0]
    bounds = effect.interval and (effect.interval[0] / millions, effect.interval[1] / millions)
    return Effect(effect.name, effect.gain / millions, bounds, effect.n)


def design_of(question: Question, trials: Sequence[Trial]) -> Design:
    """Return the design of a question's variants and of the base, where that is a candidate."""
    base = question.base
    names = _names(base, question.variants)
    own = [one.candidate for one in trials if one.name == BASELINE]
    cells: dict[Values, Trial] = {}
    for trial in trials_of([*question.variants, *own], trials):
        cells.setdefault(_values(base, names, trial.candidate), trial)
    return Design(base, names, cells, _reference(base, names, question.variants))


def _reference(base: Mapping[str, Constant], names: Sequence[str], variants: Sequence[Candidate]) -> Values:
    """Return the base's value of each factor; the first variant's where a grid leaves the base's out."""
    listed, own = [_values(base, names, one) for one in variants], tuple(base.get(name) for name in names)
    if all(sum(value != other for value, other in zip(values, own, strict=True)) < 2 for values in listed):
        return own
    return tuple(
        value if any(values[at] == value for values in listed) else listed[0][at] for at, value in enumerate(own)
    )


def _names(base: Mapping[str, Constant], variants: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the constants to which some variant gives another value than the base has, in their order."""
    given = [(name, value) for one in variants for name, value in one.sets.items()]
    return tuple(dict.fromkeys(name for name, value in given if value != base.get(name)))


def _values(base: Mapping[str, Constant], names: Sequence[str], candidate: Candidate) -> Values:
    return tuple(candidate.sets.get(name, base.get(name)) for name in names)

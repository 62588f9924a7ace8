"""What an evolution knows after so many generations: the trials of both sides, their fitness, losing species. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from itertools import chain, count, islice

from agent.core.frozen import frozen
from agent.core.trials import Candidate, ExploreRun, Question, Trial
from agent.gate.stats import Noise
from agent.strategies.effects import PARAMETERS, mean_of, noise
from agent.strategies.genome import Gene, Genome, Species, genes, species
from agent.strategies.shrinkage import prior_of, shrunken

LOSSES = 2  # above the threshold, and a species is on the blacklist

Recorded = Mapping[str, Trial]


@frozen(kw_only=True)
class Plan:
    """What one generation needs, fixed before its first run. `final`: the comparison after the last generation.

    born: new organisms, each on the first seed. drawn: random search's. replicates: more runs of earlier ones.
    """

    number: int
    event: str = ""
    elite: str | None = None
    born: tuple[Candidate, ...] = ()
    drawn: tuple[Candidate, ...] = ()
    replicates: tuple[ExploreRun, ...] = ()
    drawn_replicates: tuple[ExploreRun, ...] = ()
    final: bool = False

    def bred_runs(self, first: int) -> list[ExploreRun]:
        """Return evolution's runs; `first` is the seed of those that are new."""
        return [*(ExploreRun(one.name, first) for one in self.born), *self.replicates]

    def drawn_runs(self, first: int) -> list[ExploreRun]:
        """Return random search's runs; `first` is the seed of those that are new."""
        return [*(ExploreRun(one.name, first) for one in self.drawn), *self.drawn_replicates]


@frozen(kw_only=True)
class Generation:
    """A generation that is over. elite: carried over into it. best: of all organisms after it, beside random search's.

    stagnant: generations in a row of which no newborn became the best. fitness: of its members, as known after it.
    """

    number: int
    event: str
    elite: str | None
    members: tuple[str, ...]
    best: str | None
    best_fitness: float | None
    random_fitness: float | None
    stagnant: int
    species: int
    fitness: Mapping[str, float]
    runs: int
    random_runs: int


@frozen
class Final:
    """The best of evolution and of random search, and the fresh seeds on which they met; None: there is none."""

    bred: str | None
    drawn: str | None
    seeds: tuple[int, ...] = ()


@frozen
class Pool:
    """The trials of one side, evolution or random search, with the runs so far, in order of birth."""

    trials: Mapping[str, Trial]
    noise: Noise
    parsimony: float = 0.0

    @cached_property
    def estimates(self) -> Mapping[str, float]:
        """Return each one's shrunken loss, lower is better; infinity where it failed."""
        prior = prior_of(list(self.trials.values()), self.noise)
        return {name: shrunken(one, prior) for name, one in self.trials.items()}

    @cached_property
    def fitness(self) -> Mapping[str, float]:
        """Return each one's shrunken loss with its penalty, lower is better; infinity where it failed."""
        return {name: self.estimates[name] + penalty(one, self.parsimony) for name, one in self.trials.items()}

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """Return those that have a fitness, best first; on a tie the lower mean, then the earlier one."""
        usable = [name for name, value in self.fitness.items() if value < math.inf]
        return tuple(sorted(usable, key=lambda name: (self.fitness[name], mean_of(self.trials[name]))))

    @property
    def best(self) -> str | None:
        return self.ranked[0] if self.ranked else None

    @property
    def best_fitness(self) -> float | None:
        return self.fitness[self.best] if self.best else None


@frozen(kw_only=True)
class State:
    """An evolution after its last complete generation. `bred` and `drawn`: its trials and those of random search."""

    question: Question
    genes: tuple[Gene, ...]
    bred_trials: Mapping[str, Trial] = field(default_factory=dict)
    drawn_trials: Mapping[str, Trial] = field(default_factory=dict)
    generations: tuple[Generation, ...] = ()
    final: Final | None = None

    @cached_property
    def noise(self) -> Noise:
        """Return the run-to-run deviation, pooled over the replicates of both sides."""
        return noise([*self.bred_trials.values(), *self.drawn_trials.values()])

    @cached_property
    def bred(self) -> Pool:
        return Pool(self.bred_trials, self.noise, self.question.evolve.parsimony)

    @cached_property
    def drawn(self) -> Pool:
        return Pool(self.drawn_trials, self.noise, self.question.evolve.parsimony)

    def genome(self, candidate: Candidate) -> Genome:
        """Return a candidate's genome; what it does not set is the base's."""
        sets, base = candidate.sets, self.question.base
        return {one.name: sets[one.name] if one.name in sets else base.get(one.name, one.at(0.0)) for one in self.genes}

    def species(self, candidate: Candidate) -> Species:
        """Return a candidate's species."""
        return species(self.genome(candidate), self.genes)

    @cached_property
    def losses(self) -> Mapping[Species, tuple[float, ...]]:
        """Return every species' losses above the threshold, one a run; a failed organism is one, of infinity."""
        threshold = self.question.evolve.blacklist_above
        lost: dict[Species, tuple[float, ...]] = {}
        for one in self.bred_trials.values() if threshold is not None else ():
            values = [*one.values.values(), *([math.inf] if one.failure else [])]
            own = self.species(one.candidate)
            lost[own] = (*lost.get(own, ()), *(value for value in values if value > (threshold or 0.0)))
        return lost

    @property
    def blacklist(self) -> frozenset[Species]:
        """Return the species that bear no more organisms; none where the genes make no species at all."""
        return frozenset(one for one, values in self.losses.items() if one and len(values) >= LOSSES)

    def after(self, plan: Plan, recorded: Recorded) -> "State":
        """Return the state after a plan whose runs are all recorded."""
        first = seed_at(self.question, 0)
        bred = _revealed(self.bred_trials, plan.bred_runs(first), recorded)
        drawn = _revealed(self.drawn_trials, plan.drawn_runs(first), recorded)
        grown = replace(self, bred_trials=bred, drawn_trials=drawn)
        if plan.final:
            seeds = tuple(dict.fromkeys(run.seed for run in (*plan.replicates, *plan.drawn_replicates)))
            return replace(grown, final=Final(self.bred.best, self.drawn.best, seeds))
        return replace(grown, generations=(*self.generations, grown.closed(plan, recorded)))

    def closed(self, plan: Plan, recorded: Recorded) -> Generation:
        """Return the generation of a plan, from the state after it."""
        members = tuple(one for one in (plan.elite, *(each.name for each in plan.born)) if one)
        newborn = self.bred.best in {each.name for each in plan.born}
        before = self.generations[-1].stagnant if self.generations else -1
        first = seed_at(self.question, 0)
        return Generation(
            number=plan.number,
            event=plan.event,
            elite=plan.elite,
            members=members,
            best=self.bred.best,
            best_fitness=self.bred.best_fitness,
            random_fitness=self.drawn.best_fitness,
            stagnant=0 if newborn or self.bred.best is None else before + 1,
            species=len({self.species(recorded[name].candidate) for name in members}),
            fitness={name: self.bred.fitness[name] for name in members},
            runs=len(plan.bred_runs(first)),
            random_runs=len(plan.drawn_runs(first)),
        )


def start(question: Question) -> State:
    """Return the state before the first generation."""
    return State(question=question, genes=genes(question))


def seed_at(question: Question, place: int) -> int:
    """Return the seed of a candidate's run number `place`: the question's, then the smallest others."""
    others = (seed for seed in count() if seed not in question.seeds)
    return next(islice(chain(question.seeds, others), place, None))


def penalty(trial: Trial, parsimony: float) -> float:
    """Return `parsimony` times ln(parameters x steps) of a trial, in the metric's unit; 0 where one is not reported."""
    work = trial.metrics.get(PARAMETERS, 0.0) * 1e6 * trial.metrics.get("num_steps", 0.0)
    return parsimony * math.log(work) if parsimony and work > 0 else 0.0


def is_done(run: ExploreRun, recorded: Recorded) -> bool:
    """Whether a run has ended, or its candidate failed."""
    one = recorded.get(run.name)
    return one is not None and (run.seed in one.values or bool(one.failure))


def _revealed(known: Recorded, runs: Sequence[ExploreRun], recorded: Recorded) -> dict[str, Trial]:
    """Return the trials known before, with what the runs of one plan say, in whatever order they ended."""
    after = dict(known)
    for run in runs:
        full = recorded[run.name]
        one = after.get(run.name) or Trial(candidate=full.candidate)
        value = full.values.get(run.seed, math.nan)
        if math.isfinite(value):
            after[run.name] = replace(one, values={**one.values, run.seed: value}, metrics=full.metrics)
        else:
            after[run.name] = replace(one, failure=full.failure or "its loss is no finite number")
    return after

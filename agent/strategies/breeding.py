"""The next generation of an evolution: who is carried over, who is born and of whom, who runs once more. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, count, cycle, islice
from random import Random

from agent.core.trials import Candidate, ExploreRun
from agent.strategies.genome import (
    Genome,
    crossed,
    draw,
    grown,
    hyper_mutated,
    key,
    mutated,
    species,
    spread,
    tuned,
)
from agent.strategies.population import Plan, Pool, State, seed_at

TOURNAMENT = 3  # organisms of which the fittest becomes a parent
IMMIGRANTS = 2  # random organisms a generation
SURVIVORS = 3  # of the fittest that run once more a generation; a championship crosses as many
MOST_RUNS = 4  # of an organism, as a survivor
CHAMPIONSHIP_AFTER = 2  # stagnant generations
CATACLYSM_AFTER = 4  # stagnant generations, and every so many more
FINAL_RUNS = 3  # fresh seeds on which the best of evolution meets the best of random search
HOPELESS = 3  # generations without a single value, and the evolution ends
TRIES = 40  # at a genome that is new and of no species on the blacklist

CHAMPIONSHIP, CATACLYSM = "championship", "cataclysm"
ROTA: Mapping[str, Sequence[str]] = {  # origins of those who are born beside the immigrants, over and over
    "": ("cross", "mutant", "cross", "mutant", "hyper"),
    CHAMPIONSHIP: ("champion", "grown", "tuned", "champion", "champion"),
    CATACLYSM: ("cataclysm",),
}
RANDOM_SEARCH = "random search"

Child = tuple[Genome, tuple[str, ...]]  # a genome and the names of its parents
Maker = Callable[[], Child]


def next_plan(state: State) -> Plan | None:
    """Return what is to be done after `state`: a generation, then the final comparison; None: all is done."""
    number = len(state.generations) + 1
    if state.final or not state.genes or is_hopeless(state):
        return None
    return _generation(state, number) if number <= state.question.evolve.generations else _final(state, number)


def is_hopeless(state: State) -> bool:
    """Whether no candidate of the first generations has a value."""
    return len(state.generations) >= HOPELESS and not (state.bred.best or state.drawn.best)


def event_after(stagnant: int) -> str:
    """Return what so many stagnant generations bring about; empty: an ordinary generation."""
    if stagnant and stagnant % CATACLYSM_AFTER == 0:
        return CATACLYSM
    return CHAMPIONSHIP if stagnant % CATACLYSM_AFTER == CHAMPIONSHIP_AFTER else ""


def _generation(state: State, number: int) -> Plan:
    event = event_after(state.generations[-1].stagnant) if state.generations else ""
    born = _born(state, number, event)
    replicates = _replicates(state, state.bred, elite_runs=event == CHAMPIONSHIP)
    runs = len(born) + len(replicates)
    drawn_replicates = _replicates(state, state.drawn)[:runs]
    drawn = _drawn(state, number, runs - len(drawn_replicates), born)
    elite = state.bred.best
    return Plan(
        number=number,
        event=event,
        elite=elite,
        born=born,
        drawn=drawn,
        replicates=replicates,
        drawn_replicates=drawn_replicates,
    )


def _replicates(state: State, pool: Pool, elite_runs: bool = False) -> tuple[ExploreRun, ...]:
    """Return one more run for each of the fittest that has had few, for the fittest of all if `elite_runs` anyway."""
    due = [
        name
        for place, name in enumerate(pool.ranked[:SURVIVORS])
        if len(pool.trials[name].values) < MOST_RUNS or (elite_runs and place == 0)
    ]
    return tuple(ExploreRun(name, seed_at(state.question, len(pool.trials[name].values))) for name in due)


def _final(state: State, number: int) -> Plan:
    """Return the comparison: the best of both sides, chosen before it, on the same seeds that neither has run on."""
    pairs = [(pool, pool.best) for pool in (state.bred, state.drawn)]
    if not all(name for _, name in pairs):
        return Plan(number=number, final=True)
    used = max(len(pool.trials[name].values) for pool, name in pairs if name)
    seeds = [seed_at(state.question, used + place) for place in range(FINAL_RUNS)]
    bred, drawn = (tuple(ExploreRun(name, seed) for seed in seeds) for _, name in pairs if name)
    return Plan(number=number, replicates=bred, drawn_replicates=drawn, final=True)


# --- who is born ------------------------------------------------------------------------------------------


def _born(state: State, number: int, event: str) -> tuple[Candidate, ...]:
    """Return the newborn of a generation: those that the issue lists in the first, then the brood."""
    brood = Brood(state, number, "g")
    size = state.question.evolve.population
    if number == 1:
        brood.born.extend(state.question.variants)
        brood.taken |= {key(state.genome(one), state.genes) for one in state.question.variants}
    if not brood.parents:
        brood.add_all(["random"] * (size - len(brood.born)))
        return tuple(brood.born)
    free = max(0, size - 1)  # the elite has a place
    immigrants = min(IMMIGRANTS, max(0, free - 1)) if event != CATACLYSM else 0
    brood.add_all([*islice(cycle(ROTA[event]), free - immigrants), *["immigrant"] * immigrants])
    return tuple(brood.born)


def _drawn(state: State, number: int, size: int, born: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Return random search's new candidates, none of them equal to one that is born."""
    brood = Brood(state, number, "r")
    brood.barred = frozenset()
    brood.taken |= {key(state.genome(one), state.genes) for one in born}
    brood.add_all([RANDOM_SEARCH] * size)
    return tuple(brood.born)


class Brood:
    """The newborn of one side in one generation. Its random numbers come from issue, generation and side alone.

    parents: the sound ones of the last generation, or of all before it where none is. taken: genomes that exist.
    """

    def __init__(self, state: State, number: int, side: str) -> None:
        self.state, self.number, self.genes = state, number, state.genes
        self.rng = Random(f"evolve/{state.question.issue}/{number}/{side}")
        self.born: list[Candidate] = []
        earlier = (*state.bred_trials.values(), *state.drawn_trials.values())
        self.taken = {key(state.genome(one.candidate), self.genes) for one in earlier}
        self.barred = state.blacklist
        self.parents = _parents(state)
        self.top = state.bred.ranked[:SURVIVORS]
        self.names = _names(f"{side}{number:02d}-", {one.name for one in state.question.variants})
        self.wide = self._spread()
        self.pairs = cycle(combinations(self.top, 2))
        self.leaders = cycle(self.top)

    def add_all(self, origins: Iterable[str]) -> None:
        """Bear one organism of each origin; where no genome of an origin is new, a mutant or a random one."""
        for origin in origins:
            makers = [(origin, self._maker(origin)), ("mutant", self._mutant), ("random", self._random)]
            for label, make in makers if self.parents else [makers[0], makers[-1]]:
                if self._add(label, make):
                    break

    def _add(self, origin: str, make: Maker) -> bool:
        """Bear an organism whose genome is new and whose species is not barred; whether there is one."""
        children = (make() for _ in range(TRIES))
        child = next((child for child in children if self._is_new(child[0])), None)
        if child is None:
            return False
        genome, parents = child
        self.taken.add(key(genome, self.genes))
        name = next(self.names)
        self.born.append(
            Candidate(
                name=name,
                sets=genome,
                origin=origin,
                parents=tuple(dict.fromkeys(parents)),
                generation=self.number,
            )
        )
        return True

    def _is_new(self, genome: Genome) -> bool:
        return key(genome, self.genes) not in self.taken and species(genome, self.genes) not in self.barred

    def _maker(self, origin: str) -> Maker:
        """Return what makes children of an origin; a random genome for those that are drawn."""
        makers: dict[str, Maker] = {
            "cross": self._cross,
            "mutant": self._mutant,
            "hyper": self._hyper,
            "champion": self._champion,
            "tuned": self._tuned,
            "grown": self._grown,
            "cataclysm": self._wide,
        }
        return makers.get(origin, self._random)

    def _tournament(self, among: Sequence[str]) -> str:
        """Return the fittest of a few drawn at random."""
        drawn = self.rng.sample(among, min(TOURNAMENT, len(among)))
        return min(drawn, key=lambda name: self.state.bred.fitness[name])

    def _of(self, name: str) -> Genome:
        return self.state.genome(self.state.bred.trials[name].candidate)

    def _cross(self) -> Child:
        mother = self._tournament(self.parents)
        father = self._tournament([name for name in self.parents if name != mother] or self.parents)
        return crossed(self._of(mother), self._of(father), self.genes, self.rng), (mother, father)

    def _mutant(self) -> Child:
        parent = self._tournament(self.parents)
        return mutated(self._of(parent), self.genes, self.rng), (parent,)

    def _hyper(self) -> Child:
        parent = self._tournament(self.parents)
        return hyper_mutated(self._of(parent), self.genes, self.rng), (parent,)

    def _champion(self) -> Child:
        mother, father = next(self.pairs, (self.top[0], self.top[0]))
        return crossed(self._of(mother), self._of(father), self.genes, self.rng), (mother, father)

    def _tuned(self) -> Child:
        parent = next(self.leaders)
        return tuned(self._of(parent), self.genes, self.rng), (parent,)

    def _grown(self) -> Child:
        return grown(self._of(self.top[0]), self.genes, self.rng), (self.top[0],)

    def _wide(self) -> Child:
        return next(self.wide), ()

    def _spread(self) -> Iterator[Genome]:
        """Yield genomes that cover the space evenly, then random ones."""
        yield from spread(self.genes, self.state.question.evolve.population, self.rng)
        while True:
            yield draw(self.genes, self.rng)

    def _random(self) -> Child:
        return draw(self.genes, self.rng), ()


def _parents(state: State) -> tuple[str, ...]:
    """Return who may become a parent: the sound ones of the last generation, or all that are sound."""
    last = state.generations[-1].members if state.generations else ()
    return tuple(name for name in state.bred.ranked if name in last) or state.bred.ranked


def _names(prefix: str, taken: set[str]) -> Iterator[str]:
    """Yield names that are not taken."""
    return (name for name in (f"{prefix}{place}" for place in count(1)) if name not in taken)

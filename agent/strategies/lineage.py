"""What an evolution is reported by: its lineage, its generations, the fittest, the blacklist, the best by value."""

import math
from typing import NamedTuple

from agent.core.experiment import Constant
from agent.core.trials import Ancestor, Candidate, CurvePicture, LineagePicture, Picture, Table, Trial
from agent.strategies.breeding import CHAMPIONSHIP, RANDOM_SEARCH
from agent.strategies.effects import mean_of, sets_text, shown
from agent.strategies.population import Generation, Pool, State

TOP = 10  # organisms in the table of the fittest
SECONDS = "total_seconds"  # of a run, where its script reports it


class ValueRow(NamedTuple):
    """The best of evolution and random search with one value of a constant. seconds: of its run; None: not reported."""

    value: Constant
    best: str
    loss: float
    candidates: int
    seconds: float | None


def ancestors(state: State) -> tuple[Ancestor, ...]:
    """Return every organism in every generation that it lived in, then random search's candidates."""
    rows = [_ancestor(state, one, name) for one in state.generations for name in one.members]
    drawn = [
        Ancestor(one.name, one.candidate.generation, RANDOM_SEARCH, (), state.drawn.fitness[one.name])
        for one in state.drawn_trials.values()
    ]
    return (*rows, *drawn)


def by_value(state: State, constant: str) -> tuple[ValueRow, ...]:
    """Return the lowest shrunken loss for each value of a constant of the space, in the order of the values' size."""
    gene = next(one for one in state.genes if one.name == constant)
    groups: dict[Constant, list[tuple[float, Trial]]] = {}
    for pool in (state.bred, state.drawn):
        for name in pool.ranked:
            one = pool.trials[name]
            groups.setdefault(state.genome(one.candidate)[constant], []).append((pool.estimates[name], one))
    return tuple(_value_row(value, groups[value]) for value in sorted(groups, key=gene.index))


def tables(state: State, bred: str | None) -> tuple[Table, ...]:
    """Return the tables of a report, those that have rows; `bred` is the organism whose lineage is shown."""
    descent = [_lineage(state, bred)] if bred else []
    every = (_generations(state), *descent, _fittest(state), _blacklist(state), _best_by_value(state))
    return tuple(one for one in every if one.rows)


def pictures(state: State) -> tuple[Picture, ...]:
    """Return the lineage beside random search, then what the values of each ordered constant of a species came to."""
    every = [one for one in ancestors(state) if one.fitness < math.inf]
    bred = tuple(one for one in every if one.origin != RANDOM_SEARCH)
    beside = tuple(one for one in every if one.origin == RANDOM_SEARCH)
    lineage = [LineagePicture("lineage", "Lineage", bred, beside)] if bred else []
    axes = [_axis(state, gene.name) for gene in state.genes if gene.in_species and gene.ordered]
    return (*lineage, *(one for one in axes if len(one.line) > 1))


def _axis(state: State, constant: str) -> CurvePicture:
    """Return the best of each value of a constant, and all that had it."""
    label = constant.rpartition(".")[2]
    everyone = [
        (_number(state.genome(pool.trials[name].candidate)[constant]), pool.estimates[name])
        for pool in (state.bred, state.drawn)
        for name in pool.ranked
    ]
    return CurvePicture(
        name=f"best-by-{label}",
        title=f"Best by {label}",
        across=label,
        line=tuple((_number(row.value), row.loss) for row in by_value(state, constant)),
        line_name="best",
        points=tuple(sorted(everyone)),
        points_name="all",
    )


def _number(value: Constant) -> float:
    """Return a value of an ordered constant: those are numbers."""
    assert isinstance(value, int | float)
    return float(value)


def _ancestor(state: State, generation: Generation, name: str) -> Ancestor:
    candidate = state.bred_trials[name].candidate
    carried = "re-eval" if generation.event == CHAMPIONSHIP else "elite"
    origin = carried if name == generation.elite else candidate.origin
    return Ancestor(name, generation.number, origin, candidate.parents, generation.fitness[name])


def _value_row(value: Constant, group: list[tuple[float, Trial]]) -> ValueRow:
    loss, one = min(group, key=lambda each: each[0])
    return ValueRow(value, one.name, loss, len(group), one.metrics.get(SECONDS))


def _generations(state: State) -> Table:
    head = ("generation", "best", "fitness", "mean", "species", "stagnant", "event", "random search")
    rows = tuple(_generation_row(one) for one in state.generations)
    return Table("Generations", head, rows)


def _generation_row(one: Generation) -> tuple[str, ...]:
    sound = [value for value in one.fitness.values() if value < math.inf]
    average = math.fsum(sound) / len(sound) if sound else None
    return (
        str(one.number),
        one.best or "–",
        shown(one.best_fitness),
        shown(average),
        str(one.species),
        str(one.stagnant),
        one.event or "–",
        shown(one.random_fitness),
    )


def _lineage(state: State, leader: str) -> Table:
    """Return the leader and all that it descends from, the youngest first."""
    line, waiting = {leader: state.bred_trials[leader].candidate}, [leader]
    while waiting:
        parents = [one for one in line[waiting.pop(0)].parents if one in state.bred_trials]
        waiting += [one for one in parents if one not in line]
        line |= {one: state.bred_trials[one].candidate for one in parents}
    ordered = sorted(line.values(), key=lambda one: -one.generation)
    head = ("organism", "generation", "origin", "parents", "fitness", "sets")
    return Table(f"Lineage of {leader}", head, tuple(_lineage_row(state, one) for one in ordered))


def _lineage_row(state: State, one: Candidate) -> tuple[str, ...]:
    parents = ", ".join(one.parents) or "–"
    fitness = shown(state.bred.fitness[one.name])
    return (one.name, str(one.generation), one.origin or "issue", parents, fitness, sets_text(one.sets))


def _fittest(state: State) -> Table:
    both = [(pool.fitness[name], pool, name) for pool in (state.bred, state.drawn) for name in pool.ranked]
    first = sorted(both, key=lambda one: one[0])[:TOP]
    rows = tuple((str(place), *_fittest_row(pool, name)) for place, (_, pool, name) in enumerate(first, 1))
    return Table(f"The fittest {len(rows)}", ("rank", "organism", "origin", "fitness", "mean", "runs", "sets"), rows)


def _fittest_row(pool: Pool, name: str) -> tuple[str, ...]:
    one = pool.trials[name]
    origin = one.candidate.origin or "issue"
    sets = sets_text(one.candidate.sets)
    return (name, origin, shown(pool.fitness[name]), shown(mean_of(one)), str(len(one.values)), sets)


def _blacklist(state: State) -> Table:
    names = [gene.name.rpartition(".")[2] for gene in state.genes if gene.in_species]
    barred = [one for one in state.losses if one in state.blacklist]
    rows = tuple(("-".join(map(str, one)), ", ".join(_loss(value) for value in state.losses[one])) for one in barred)
    return Table("Blacklist", (" - ".join(names), "losses"), rows)


def _loss(value: float) -> str:
    return shown(value) if value < math.inf else "failed"


def _best_by_value(state: State) -> Table:
    head = ("constant", "value", "best loss", "organism", "candidates", "seconds a run")
    rows = [
        (gene.name.rpartition(".")[2], *_value_cells(row))
        for gene in state.genes
        if gene.in_species and gene.ordered
        for row in by_value(state, gene.name)
    ]
    return Table("Best by value", head, tuple(rows))


def _value_cells(row: ValueRow) -> tuple[str, ...]:
    return (str(row.value), shown(row.loss), row.best, str(row.candidates), shown(row.seconds, 1))

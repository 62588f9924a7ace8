"""Genes: the axes of a space as an evolution draws, moves, crosses and grows them; species. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import replace
from random import Random

from agent.core.experiment import Axis, Choice, Constant, Range
from agent.core.frozen import frozen
from agent.core.trials import Question

MOVE = 0.15  # standard deviation of a small move, in shares of an axis
DIGITS = 4  # significant digits of a real gene: a table shows what a run got

Genome = Mapping[str, Constant]  # a value for every gene, by the constant's full name
Species = tuple[Constant, ...]


@frozen(kw_only=True)
class Gene:
    """An axis: the values that it has, in order, or the bounds of a real number.

    log: equal ratios are equally likely. in_species: organisms that differ here are of different species.
    """

    name: str
    values: tuple[Constant, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    in_species: bool = False

    @property
    def ordered(self) -> bool:
        """Whether its values have a size, so that one is next to another."""
        return not self.values or all(isinstance(one, int | float) and not isinstance(one, bool) for one in self.values)

    def at(self, share: float) -> Constant:
        """Return the value at a share from 0 to 1 of the axis."""
        if self.values and not self.log:
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        real = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return self.values[self.index(real)] if self.values else self._inside(float(f"{real:.{DIGITS}g}"))

    def share(self, value: Constant) -> float:
        """Return where a real value lies on the axis, from 0 to 1."""
        real = self._inside(_real(value))
        if self.log:
            return math.log(real / self.low) / (math.log(self.high / self.low) or 1.0)
        return (real - self.low) / ((self.high - self.low) or 1.0)

    def index(self, value: Constant) -> int:
        """Return the place among the values of the one nearest to `value`, the lower on a tie; 0 where none is near."""
        if not self.ordered:
            return self.values.index(value) if value in self.values else 0
        above = bisect_left(self.values, _real(value), key=_real)
        near = [place for place in (above - 1, above) if 0 <= place < len(self.values)]
        return min(near, key=lambda place: abs(_real(self.values[place]) - _real(value)))

    def moved(self, value: Constant, rng: Random, size: float = MOVE) -> Constant:
        """Return a value near `value`: any other one where the values have no order."""
        if not self.values:
            return self.at(min(max(self.share(value) + rng.gauss(0, size), 0.0), 1.0))
        if not self.ordered:
            return rng.choice([one for one in self.values if one != value] or [value])
        steps = max(1, round(abs(rng.gauss(0, size * len(self.values)))))
        places = [self.index(value) + way * steps for way in (1, -1)]
        inside = [self.values[place] for place in places if 0 <= place < len(self.values)]
        return rng.choice(inside or [self.values[min(max(places[0], 0), len(self.values) - 1)]])

    def blended(self, one: Constant, other: Constant, rng: Random) -> Constant:
        """Return one of two values, or for real numbers one between them."""
        if self.values:
            return rng.choice([one, other])
        low, high = sorted((self.share(one), self.share(other)))
        return self.at(rng.uniform(low, high))

    def larger(self, value: Constant) -> Constant | None:
        """Return the next larger of its values; None where there is none or they have no size."""
        place = bisect_right(self.values, _real(value), key=_real) if self.ordered else len(self.values)
        return self.values[place] if place < len(self.values) else None

    def _inside(self, real: float) -> float:
        return min(max(real, float(self.low)), float(self.high))


def genes(question: Question) -> tuple[Gene, ...]:
    """Return the genes of a question's space, in its order.

    A gene makes a species where its values are listed or stepped and its name's last part is not in `not_species`.
    """
    return tuple(_gene(question, name, axis) for name, axis in question.space.items())


def species(genome: Genome, of: tuple[Gene, ...]) -> Species:
    """Return a genome's species: its values of the genes that make one. Empty where none does."""
    return tuple(genome[gene.name] for gene in of if gene.in_species)


def _gene(question: Question, name: str, axis: Axis) -> Gene:
    apart = {each.lower() for each in question.evolve.not_species}
    in_species = name.rpartition(".")[2].lower() not in apart
    if isinstance(axis, Choice):
        one = Gene(name=name, values=axis.values, in_species=in_species)
        return replace(one, values=tuple(sorted(axis.values, key=_real))) if one.ordered else one
    values = _stepped(axis, question.base.get(name))
    bounds = {"low": axis.low, "high": axis.high}
    return Gene(name=name, values=values, log=axis.log, in_species=in_species and bool(values), **bounds)


def _stepped(axis: Range, base: Constant) -> tuple[Constant, ...]:
    """Return the values of a range that has a step, and of one without whose base is whole, by ones.

    They are whole where all of the axis is whole and the base is no real number.
    """
    step = axis.step or (1 if isinstance(base, int) else None)
    if step is None:
        return ()
    values = [axis.low + place * step for place in range(int((axis.high - axis.low) / step + 1e-9) + 1)]
    if not isinstance(base, float) and all(float(one).is_integer() for one in (axis.low, step)):
        return tuple(int(one) for one in values)
    return tuple(float(f"{one:.12g}") for one in values)


def _real(value: Constant) -> float:
    """Return a constant as a number; 0 for text and None, which have no size."""
    return float(value) if isinstance(value, int | float) else 0.0


# --- genomes ----------------------------------------------------------------------------------------------


def key(genome: Genome, of: tuple[Gene, ...]) -> tuple[Constant, ...]:
    """Return what two genomes share exactly where they are equal."""
    return tuple(genome[gene.name] for gene in of)


def draw(of: tuple[Gene, ...], rng: Random) -> Genome:
    """Return a random genome, every gene uniform on its axis (in ratio where the axis is logarithmic)."""
    return {gene.name: gene.at(rng.random()) for gene in of}


def spread(of: tuple[Gene, ...], number: int, rng: Random) -> list[Genome]:
    """Return `number` random genomes that cover every axis evenly: a Latin hypercube (McKay, Beckman, Conover 1979)."""
    rows: list[dict[str, Constant]] = [{} for _ in range(number)]
    for gene in of:
        strata = rng.sample(range(number), number)
        for row, stratum in zip(rows, strata, strict=True):
            row[gene.name] = gene.at((stratum + rng.random()) / number)
    return list(rows)


def crossed(mother: Genome, father: Genome, of: tuple[Gene, ...], rng: Random) -> Genome:
    """Return a genome with every gene of one parent or the other; a real gene lies between theirs."""
    return {gene.name: gene.blended(mother[gene.name], father[gene.name], rng) for gene in of}


def mutated(parent: Genome, of: tuple[Gene, ...], rng: Random) -> Genome:
    """Return a genome with one gene moved a little, and each other with probability 1 / genes."""
    first = rng.randrange(len(of))
    moving = [gene for place, gene in enumerate(of) if place == first or rng.random() < 1 / len(of)]
    return {**parent, **{gene.name: gene.moved(parent[gene.name], rng) for gene in moving}}


def hyper_mutated(parent: Genome, of: tuple[Gene, ...], rng: Random) -> Genome:
    """Return a genome with half of its genes, at least one, drawn anew."""
    drawn = rng.sample(of, max(1, len(of) // 2))
    return {**parent, **{gene.name: gene.at(rng.random()) for gene in drawn}}


def tuned(parent: Genome, of: tuple[Gene, ...], rng: Random) -> Genome:
    """Return a genome of the same species, its other genes moved by half a small move; mutated where it has none."""
    fine = [gene for gene in of if not gene.in_species]
    if not fine:
        return mutated(parent, of, rng)
    return {**parent, **{gene.name: gene.moved(parent[gene.name], rng, MOVE / 2) for gene in fine}}


def grown(parent: Genome, of: tuple[Gene, ...], rng: Random) -> Genome:
    """Return a genome with one gene that makes a species at its next larger value; `parent` where none can grow."""
    larger = {gene.name: gene.larger(parent[gene.name]) for gene in of if gene.in_species}
    able = [name for name, value in larger.items() if value is not None]
    return {**parent, name: larger[name]} if able and (name := rng.choice(able)) else parent

"""Genes: every value that is drawn, moved, crossed or grown lies on its axis; species leave out rate and steps."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.experiment import Axis, Choice, Constant, EvolveOptions, Range
from agent.core.trials import Question
from agent.strategies.genome import (
    Gene,
    crossed,
    draw,
    genes,
    grown,
    hyper_mutated,
    key,
    mutated,
    species,
    spread,
    tuned,
)
from tests.support.landscape import question

GENES = genes(question())
BY_NAME = {gene.name.removeprefix("train."): gene for gene in GENES}
RANDOM = st.builds(Random, st.integers(0, 2**32))


def gene(axis: Axis, base: Constant = 1, name: str = "A") -> Gene:
    """The gene of a space with this axis alone."""
    (only,) = genes(Question(issue=1, seeds=(1,), base={name: base}, space={name: axis}))
    return only


@pytest.mark.parametrize(
    ("axis", "base", "values"),
    [
        (Choice((4, 8, 16)), 4, (4, 8, 16)),
        (Choice(("a", "b")), "a", ("a", "b")),
        (Range(1, 7, 2), 1, (1, 3, 5, 7)),
        (Range(1, 4, 2), 1, (1, 3)),
        (Range(1, 3, 1), 1.0, (1.0, 2.0, 3.0)),
        (Range(0.1, 0.5, 0.2), 0.1, (0.1, 0.3, 0.5)),
        (Range(0.1, 0.5), 0.1, ()),
        (Range(2, 4), 3, (2, 3, 4)),
        (Choice((16, 4, 8)), 4, (4, 8, 16)),
        (Choice(("b", "a")), "a", ("b", "a")),
    ],
)
def test_the_values_of_an_axis(axis: Axis, base: Constant, values: tuple[object, ...]) -> None:
    only = gene(axis, base)
    assert only.values == values
    assert [type(one) for one in only.values] == [type(one) for one in values]


def test_an_axis_covers_all_its_values_in_equal_shares() -> None:
    assert [gene(Choice((1, 2, 3, 4))).at(share) for share in (0.0, 0.24, 0.25, 0.74, 0.999, 1.0)] == [1, 1, 2, 3, 4, 4]


def test_rounding_does_not_leave_the_axis() -> None:
    assert gene(Range(0.12344, 0.9), 0.5).at(0.0) == 0.12344
    assert gene(Range(0.98765, 0.98769), 0.5).at(1.0) == 0.98769


def test_a_logarithmic_axis_gives_equal_ratios_equal_shares() -> None:
    rate = gene(Range(1e-4, 1e-2, log=True), 0.1)
    assert [rate.at(share) for share in (0.0, 0.5, 1.0)] == [1e-4, 1e-3, 1e-2]
    assert rate.share(1e-3) == pytest.approx(0.5)
    assert gene(Range(1, 1024, 1, log=True)).at(0.5) == 32


def test_a_real_number_keeps_four_digits() -> None:
    assert gene(Range(0, 1), 0.5).at(0.123456) == 0.1235


@pytest.mark.parametrize(
    ("name", "in_species"),
    [("train.EMB", True), ("train.LR", False), ("train.STEPS", False), ("train.LAYERS", True)],
)
def test_rate_and_steps_make_no_species(name: str, in_species: bool) -> None:
    assert next(gene for gene in GENES if gene.name == name).in_species is in_species


def test_an_issue_may_say_what_makes_no_species() -> None:
    options = EvolveOptions(not_species=("emb", "Heads"))
    others = genes(Question(issue=1, seeds=(1,), base={}, space=question().space, evolve=options))
    assert [one.name for one in others if one.in_species] == ["train.LAYERS", "train.CTX", "train.STEPS"]


@given(rng=RANDOM)
def test_every_operation_stays_in_the_space(rng: Random) -> None:
    mother, father = draw(GENES, rng), draw(GENES, rng)
    children = [mother, father, mutated(mother, GENES, rng), hyper_mutated(mother, GENES, rng)]
    children += [crossed(mother, father, GENES, rng), tuned(mother, GENES, rng), grown(mother, GENES, rng)]
    for child in (*children, *spread(GENES, 5, rng)):
        assert list(child) == [one.name for one in GENES]
        for one in GENES:
            value = child[one.name]
            assert value in one.values if one.values else one.low <= value <= one.high


@given(rng=RANDOM)
def test_a_mutant_differs_and_a_small_move_is_small(rng: Random) -> None:
    parent = draw(GENES, rng)
    assert key(mutated(parent, GENES, rng), GENES) != key(parent, GENES)
    layers = BY_NAME["LAYERS"]
    assert 1 <= abs(layers.moved(4, rng) - 4) <= 3
    assert layers.moved(1, rng) > 1
    assert layers.moved(7, rng) < 7


@given(rng=RANDOM)
def test_a_cross_takes_each_gene_of_one_parent_or_between_them(rng: Random) -> None:
    mother, father = draw(GENES, rng), draw(GENES, rng)
    child = crossed(mother, father, GENES, rng)
    for one in GENES:
        pair = sorted(float(parent[one.name]) for parent in (mother, father))
        assert child[one.name] in pair or (not one.values and pair[0] <= child[one.name] <= pair[1])


@given(rng=RANDOM)
def test_what_is_tuned_is_of_the_same_species(rng: Random) -> None:
    parent = draw(GENES, rng)
    child = tuned(parent, GENES, rng)
    assert species(child, GENES) == species(parent, GENES)
    assert child["train.STEPS"] != parent["train.STEPS"]


@given(rng=RANDOM)
def test_what_grows_takes_the_next_larger_value_of_one_gene_of_its_species(rng: Random) -> None:
    parent = draw(GENES, rng)
    child = grown(parent, GENES, rng)
    changed = [one for one in GENES if child[one.name] != parent[one.name]]
    able = [one for one in GENES if one.in_species and parent[one.name] != one.values[-1]]
    assert len(changed) == (1 if able else 0)
    for one in changed:
        assert one.in_species
        assert one.values.index(child[one.name]) == one.values.index(parent[one.name]) + 1


def test_what_is_largest_already_cannot_grow() -> None:
    largest = {one.name: one.at(1.0) for one in GENES}
    assert grown(largest, GENES, Random(1)) == largest
    assert gene(Choice(("a", "b")), "a").larger("a") is None
    assert gene(Range(0, 1), 0.5).larger(0.5) is None


def test_text_moves_to_any_other_value() -> None:
    kind = gene(Choice(("a", "b", "c")), "a")
    assert {kind.moved("a", Random(seed)) for seed in range(20)} == {"b", "c"}
    assert gene(Choice((True, False)), True).moved(True, Random(1)) is False
    assert gene(Choice((3,)), 3).moved(3, Random(1)) == 3


def test_a_value_beside_the_axis_moves_from_the_nearest() -> None:
    assert [BY_NAME["EMB"].index(value) for value in (1, 4, 6, 7, 25, 99)] == [0, 0, 0, 1, 3, 4]
    assert BY_NAME["EMB"].larger(10) == 16
    assert BY_NAME["LR"].share(5.0) == 1.0


@given(rng=RANDOM, number=st.integers(1, 12))
def test_a_spread_covers_every_axis_evenly(rng: Random, number: int) -> None:
    only = Gene(name="A", low=0.0, high=float(number))
    values = sorted(float(row["A"]) for row in spread((only,), number, rng))
    assert all(place - 0.01 <= value <= place + 1.01 for place, value in enumerate(values))  # four digits

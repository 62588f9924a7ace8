"""What an evolution is reported by: rows for a picture, and tables that a reader can follow."""

import math
from functools import cache

from agent.core.trials import Table
from agent.strategies import evolve
from agent.strategies.lineage import ancestors, by_value, tables
from agent.strategies.population import State
from tests.support.landscape import Lab, question, smooth


@cache
def lab() -> Lab:
    return Lab(question(generations=6, blacklist_above=2.6), smooth(0.02)).finish()


@cache
def state() -> State:
    return evolve.evolution(lab().question, list(lab().trials.values()))


@cache
def every_table() -> tuple[Table, ...]:
    return tables(state(), state().final.bred)


def table(title: str) -> Table:
    return next(one for one in every_table() if one.title.startswith(title))


def test_every_member_of_every_generation_has_a_row_with_its_parents_born_before_it() -> None:
    rows = [row for row in ancestors(state()) if row.origin != "random search"]
    assert len(rows) == 6 * 8
    born = {one.name: one.candidate.generation for one in lab().trials.values()}
    for row in rows:
        assert all(born[parent] < row.generation for parent in row.parents)
        assert (row.generation == born[row.name]) == (row.origin not in ("elite", "re-eval"))


def test_random_search_is_beside_it() -> None:
    rows = [row for row in ancestors(state()) if row.origin == "random search"]
    assert {row.name for row in rows} == {name for name in lab().trials if name.startswith("r")}


def test_a_failed_organism_is_infinitely_bad() -> None:
    broken = Lab(question(generations=1), lambda sets, _: "it crashed" if sets["train.EMB"] == 4 else 2.0).finish()
    rows = evolve.lineage(broken.question, list(broken.trials.values()))
    assert {row.fitness for row in rows} == {2.0, math.inf}


def test_the_best_by_value_is_the_lowest_shrunken_loss_of_both_sides() -> None:
    rows = by_value(state(), "train.EMB")
    assert [row.value for row in rows] == [4, 8, 16, 24, 32]
    estimates = {**state().bred.estimates, **state().drawn.estimates}
    for row in rows:
        group = [estimates[one.name] for one in lab().trials.values() if one.candidate.sets["train.EMB"] == row.value]
        assert row.loss == min(group) == estimates[row.best]
        assert row.candidates == len(group)


def test_the_tables_of_a_report() -> None:
    titles = [one.title for one in every_table()]
    assert titles == ["Generations", f"Lineage of {state().final.bred}", "The fittest 10", "Blacklist", "Best by value"]
    assert [row[0] for row in table("Generations").rows] == list("123456")
    assert table("Blacklist").head == ("EMB - HEADS - LAYERS - CTX", "losses")
    for one in every_table():
        assert all(len(row) == len(one.head) for row in one.rows)


def test_the_lineage_of_the_best_goes_back_to_those_without_parents() -> None:
    rows = table("Lineage").rows
    names = {row[0] for row in rows}
    assert rows[0][0] == state().final.bred
    for row in rows:
        assert set(lab().trials[row[0]].candidate.parents) <= names
    assert rows[-1][2] in ("random", "immigrant", "cataclysm")
    assert len(names) == len(rows)


def test_the_fittest_are_in_order() -> None:
    values = [float(row[3]) for row in table("The fittest").rows]
    assert values == sorted(values)
    assert {row[1][0] for row in table("The fittest").rows} == {"g"}

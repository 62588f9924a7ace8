"""Where a strategy looks, and what it makes of the issue's list: read as written, or refused with the line."""

from collections.abc import Mapping

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Choice, Issue, Range, SetConstant, Spec, Track
from agent.spec.parser import parse

TRACK = Track("names", "train.py", "val_nats", "min", 60, ("train.py",), (0, 1, 2), 0.01, aliases={"WIDTH": ("emb",)})
CONSTANTS: Mapping[str, object] = {"WIDTH": 32, "LAYERS": 1, "LR": 0.01, "ACTIVATION": "relu"}


def read(block: str) -> Spec:
    body = f"Try it.\n\n```yaml\n# autoresearch\n{block}\n```\n"
    return parse(Issue(5, "a study", body, ("experiment",), source="5.md"), TRACK, CONSTANTS)


def sets(spec: Spec) -> dict[str, dict[str, object]]:
    return {
        one.name: {edit.name: edit.value for edit in one.edits if isinstance(edit, SetConstant)}
        for one in spec.variants
    }


def test_a_space_has_values_and_ranges_by_the_constants_own_names() -> None:
    spec = read(
        "strategy: search\nspace: {emb: [16, 32], LR: {low: 0.001, high: 0.1, log: true}, layers: {low: 1, high: 4}}"
    )
    assert spec.space == {
        "WIDTH": Choice((16, 32)),
        "LR": Range(0.001, 0.1, None, log=True),
        "LAYERS": Range(1, 4, 1, log=False),
    }
    assert spec.variants == ()
    assert spec.promote


def test_options_of_evolve_and_search_are_kept() -> None:
    spec = read(
        "strategy: evolve\nspace: {WIDTH: [4, 8]}\nevolve: {generations: 3, population: 6, blacklist_above: 2.3}"
    )
    assert (spec.evolve.generations, spec.evolve.population, spec.evolve.blacklist_above) == (3, 6, 2.3)
    assert read("strategy: search\nspace: {WIDTH: [4, 8]}\nsearch: {trials: 5, sampler: gp}").search.sampler == "gp"


def test_a_rung_is_on_top_of_the_one_before_and_of_the_base() -> None:
    spec = read(
        "strategy: ladder\nbase: {LR: 0.02}\nvariants:\n- {id: wide, set: {WIDTH: 64}}\n"
        "- {id: deep, set: {LAYERS: 4, WIDTH: 32}}\n- {id: gelu, set: {ACTIVATION: gelu}}"
    )
    assert sets(spec) == {
        "base": {"LR": 0.02},
        "wide": {"LR": 0.02, "WIDTH": 64},
        "deep": {"LR": 0.02, "WIDTH": 32, "LAYERS": 4},
        "gelu": {"LR": 0.02, "WIDTH": 32, "LAYERS": 4, "ACTIVATION": "gelu"},
    }


def test_a_sweep_has_a_variant_for_each_value_that_the_base_does_not_have() -> None:
    spec = read("strategy: sweep\npromote: false\nspace: {LAYERS: [1, 2], WIDTH: [16, 32, 64]}")
    assert sets(spec) == {"LAYERS-2": {"LAYERS": 2}, "WIDTH-16": {"WIDTH": 16}, "WIDTH-64": {"WIDTH": 64}}
    assert not spec.promote


def test_with_a_base_of_its_own_a_sweep_measures_that_too() -> None:
    spec = read("strategy: sweep\nbase: {LAYERS: 4}\nspace: {WIDTH: [32, 64]}")
    assert sets(spec) == {"base": {"LAYERS": 4}, "WIDTH-64": {"LAYERS": 4, "WIDTH": 64}}


def test_an_evolution_has_the_base_in_every_organism_and_as_none_of_them() -> None:
    spec = read("strategy: evolve\nbase: {LAYERS: 9}\nspace: {WIDTH: [4, 8]}")
    assert (spec.variants, spec.base) == ((), {"LAYERS": 9})
    assert sets(read("strategy: search\nbase: {LAYERS: 9}\nspace: {WIDTH: [4, 8]}")) == {"base": {"LAYERS": 9}}


REFUSED = {
    "strategy: genetic\nspace: {WIDTH: [4, 8]}": "there is no strategy 'genetic'",
    "strategy: serach\nspace: {WIDTH: [4, 8]}": "did you mean search",
    "strategy: search": "strategy search has no space to look in",
    "strategy: evolve\nspace: {WIDTHS: [4, 8]}": "WIDTHS",
    "strategy: search\nspace: {WIDTH: [4, 4]}": "4 is there twice",
    "strategy: search\nspace: {WIDTH: [4.5]}": "4.5",
    "strategy: search\nspace: {WIDTH: [4, 8], emb: [4]}": "space gives WIDTH twice",
    "strategy: search\nspace: {WIDTH: {low: 8, high: 4}}": "is empty",
    "strategy: search\nspace: {LR: {low: 0.0, high: 0.1, log: true}}": "cannot be scaled by its logarithm",
    "strategy: search\nspace: {WIDTH: {low: 4, high: 8, step: 0.5}}": "in steps of 0.5",
    "strategy: search\nspace: {ACTIVATION: {low: 1, high: 2}}": "ACTIVATION is no number",
    "strategy: search\nspace: {WIDTH: []}": "space.WIDTH",
    "strategy: search\nspace: {WIDTH: [4, 8]}\nsearch: {trials: 0}": "trials",
    "strategy: search\nspace: {WIDTH: [4, 8]}\nevolve: {generations: 2}": "evolve: is for strategy evolve",
    "strategy: evolve\nspace: {WIDTH: [4, 8]}\nevolve: {generatoins: 2}": "generatoins",
    "space: {WIDTH: [4, 8]}": "space: is for the strategies",
    "strategy: ladder\nvariants:\n- {id: a, set: {WIDTH: 64}}\n- {id: b, set: {WIDTH: 64}}": "rung b changes nothing",
    "strategy: ladder\nspace: {WIDTH: [4, 8]}": "space: is for the strategies",
    "strategy: ladder": "no table",
    "strategy: sweep\nspace: {LR: {low: 0.1, high: 0.2}}": "a sweep takes values",
    "strategy: search\nspace: {WIDTH: [4, 8]}\nvariants:\n- {id: a, set: {WIDTH: 64}}": "finds its variants itself",
    "base: {WIDTH: 4}\nvariants:\n- {id: a, set: {LR: 0.1}}": "base: is for strategy ladder, sweep, evolve",
    "promote: false\nvariants:\n- {id: a, set: {LR: 0.1}}": "promote: false is for strategies that explore",
}


@pytest.mark.parametrize("block", REFUSED)
def test_what_cannot_be_run_is_refused_before_any_run_with_the_place_and_what_to_do(block: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(block)
    assert REFUSED[block] in f"{refused.value.problem} {refused.value.next_step}"
    assert refused.value.where.startswith("5.md")
    assert refused.value.next_step

"""The variants that an issue lists: in its block, in a grid, in its tables."""

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Issue, SetConstant, Spec, Track
from agent.spec.parser import parse

TRACK = Track("main", "train.py", "val_bpb", "min", 60, ("train.py",), (0, 1, 2), 0.001)
CONSTANTS = {"DEPTH": 8, "WIDTH": 64}
TABLE = "| ID | DEPTH |\n| --- | --- |\n| 1A | 12 |\n"


def read(block: str, body: str = "") -> Spec:
    text = f"{body}\n\n```yaml\n# autoresearch\n{block}\n```\n" if block else body
    return parse(Issue(5, "a study", text, ("experiment",), source="5.md"), TRACK, CONSTANTS)


def sets(spec: Spec) -> dict[str, dict[str, object]]:
    return {
        one.name: {edit.name: edit.value for edit in one.edits if isinstance(edit, SetConstant)}
        for one in spec.variants
    }


def test_the_block_outranks_the_tables_and_says_so() -> None:
    spec = read("variants:\n- {id: B, set: {DEPTH: 4}, why: less}", TABLE)
    assert sets(spec) == {"B": {"DEPTH": 4}}
    assert spec.variants[0].why == "less"
    assert any("not read: the block has the variants" in one.means for one in spec.read_as)


def test_a_grid_is_every_combination_but_the_baselines_own() -> None:
    spec = read("grid: {DEPTH: [8, 12], WIDTH: [64, 32]}")
    assert list(sets(spec).values()) == [
        {"DEPTH": 8, "WIDTH": 32},
        {"DEPTH": 12, "WIDTH": 64},
        {"DEPTH": 12, "WIDTH": 32},
    ]


def test_a_table_lists_its_rows() -> None:
    assert sets(read("", TABLE)) == {"1A": {"DEPTH": 12}}


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("variants:\n- {id: A, set: {DEPTH: 4}}\n- {id: a, set: {DEPTH: 6}}", "ID a is there twice"),
        ("variants:\n- {id: A/B, set: {DEPTH: 4}}", "cannot be an ID"),
        ("variants:\n- {id: A, set: {DEPHT: 4}}", "DEPHT"),
        ("grid: {DEPTH: [4, 4]}", "gives 4 twice"),
        (f"grid: {{DEPTH: {list(range(200))}, WIDTH: {list(range(200))}}}", "40,000 combinations"),
    ],
)
def test_a_list_that_cannot_be_run_is_refused(block: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        read(block)

"""Values and names as people write them; spec/test_parser.py has them in tables, spec/test_commands.py in commands."""

import pytest

from agent.core.values import PRIORITY_RANK, is_name, number, parse_as, suggest


@pytest.mark.parametrize(
    ("cell", "present", "value"),
    [
        ("9", 8, 9),
        ("1,024", 8, 1024),
        ("2**19", 8, 2**19),
        ("−3", 8, -3),
        ("0.5", 8, None),
        ("9", 0.1, 9.0),
        ("true", False, True),
        ("1", False, None),
        ('"SSL"', "L", "SSL"),
        ("", "L", None),
    ],
)
def test_a_value_is_read_as_the_constant_that_is_there(cell: str, present: object, value: object) -> None:
    found = parse_as(cell, present)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["", ".", "a..b", "x.lock", "baseline", "a b", "-x", "a/b", "x" * 65])
def test_what_cannot_be_a_branch_and_a_folder_is_no_name(text: str) -> None:
    assert not is_name(text)


def test_infinity_and_what_is_no_number_are_none() -> None:
    assert [number(text) for text in ("1e999", "inf", "nan", "x", "")] == [None] * 5


def test_a_misspelt_constant_is_answered_with_the_ones_there_are() -> None:
    assert suggest("depht", {"DEPTH": 8, "LR": 0.1}) == "did you mean DEPTH? its constants: DEPTH, LR"
    assert suggest("qqq", {}) == "its constants: none"


def test_names_and_numbers_of_priorities_agree() -> None:
    assert (PRIORITY_RANK["P0"], PRIORITY_RANK["HIGH"], PRIORITY_RANK["MEDIUM"], PRIORITY_RANK["LOW"]) == (
        0,
        PRIORITY_RANK["P1"],
        PRIORITY_RANK["P2"],
        PRIORITY_RANK["P3"],
    )
    assert PRIORITY_RANK["LOW"] < PRIORITY_RANK[""] < PRIORITY_RANK["P5"]

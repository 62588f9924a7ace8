"""What a cell says beside the settings: obeyed it is not, so it is refused."""

import re

import pytest

from tests.spec.test_kinds import read, refused, sets

HEAD = "| ID | DEPTH | Notes |\n|-|-|-|\n"


@pytest.mark.parametrize(
    ("row", "problem"),
    [("| 1A | 10 | skip this one |", "column Notes: 'skip this one'"), ("| 1A | 10 | Done already |", "Done already"),
     ("| 1A | 10 | with HEAD_LR=0.01 |", "says HEAD_LR=0.01"), ("| 1A | 10 | wide | 64 |", "4 cells"),
     ("| 1A | 10 | layers = 12 |", "says layers=12")],
)  # fmt: skip
def test_a_cell_that_says_what_the_row_does_not_do_is_refused(row: str, problem: str) -> None:
    error = refused(HEAD + row)
    assert problem in error
    assert "i.md:3" in error


@pytest.mark.parametrize(
    "note", ["DEPTH=10, as the title says", "HEAD_LR=0.005 as ever", "skips fewer steps", "x = 3", ""]
)
def test_a_note_that_describes_is_let_be(note: str) -> None:
    assert sets(read(f"{HEAD}| 1A | 10 | {note} |")) == {"1A": {"DEPTH": 10}}


@pytest.mark.parametrize(
    "header", ["DEPTH (k)", "HEAD_LR (x1e-3)", "HEAD_LR (%)", "total_batch (M tokens)", "DEPTH (change)"]
)
def test_a_column_whose_values_are_no_values_as_they_stand_is_refused(header: str) -> None:
    assert "in full" in refused(f"| ID | {header} |\n|-|-|\n| 1A | 10 |")


def test_a_budget_column_has_its_unit_in_brackets_and_a_value_in_every_row() -> None:
    spec = read("| ID | DEPTH | Budget (min) |\n|-|-|-|\n| 1A | 6 | 5 |\n| 1B | 10 | 5 |")
    assert spec.budget is not None
    assert spec.budget.amount == 300
    assert "other rows have one" in refused("| ID | DEPTH | Steps |\n|-|-|-|\n| 1A | 6 | 500 |\n| 1B | 10 | |")


def test_a_row_of_sums_is_no_variant() -> None:
    assert "is no variant" in refused("| ID | DEPTH |\n|-|-|\n| 1A | 6 |\n| Total | 2 |")


@pytest.mark.parametrize(
    ("note", "problem"),
    [("lr 0.01", "says lr=0.01"), ("ASPECT_RATIO 32", "says ASPECT_RATIO=32"), ("seed 42", "same seeds"),
     ("three seeds", "seeds"),
     ("only if 1B wins", "waits for another"), ("after 1B", "waits for another"), ("if time permits", "waits"),
     ("run this one last", "waits"), ("10 minutes", "one budget"), ("double the time", "one budget"),
     ("for 500 steps", "one budget"), ("on top of 1B", "does not set HEAD_LR"), ("1B plus depth",
     "does not set HEAD_LR"),
     ("based on the best row", "after #3"), ("raise the rate to 0.01", "sets nothing"), ("full only", "command line"),
     ("later", "leaves no row out"), ("twelve layers", "says layers=12"), ("depth x2", "waits|says depth=")],
)  # fmt: skip
def test_a_note_that_sets_or_waits_is_refused(note: str, problem: str) -> None:
    body = f"| ID | ASPECT_RATIO | HEAD_LR | Notes |\n|-|-|-|-|\n| 1A | 96 | - | {note} |\n| 1B | - | 0.01 | head |"
    error = refused(body)
    assert re.search(problem, error)
    assert "i.md:3" in error


@pytest.mark.parametrize(
    "note",
    ["wider than 1B", "tests if width-starved", "half of Muon's", "twice the steps", "64 tokens on mini",
     "aspect 96 (64 today)",
     "doubled", "likely the best", "20% more steps in 5 minutes"],
)  # fmt: skip
def test_a_note_that_compares_is_let_be(note: str) -> None:
    body = f"| ID | ASPECT_RATIO | HEAD_LR | Notes |\n|-|-|-|-|\n| 1A | 96 | - | {note} |\n| 1B | - | 0.01 | head |"
    assert len(sets(read(body))) == 2
    ours = body.replace("Notes", "ETA").replace(note, "10 minutes")
    assert len(sets(read(ours))) == 2

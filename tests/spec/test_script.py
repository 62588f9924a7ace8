"""A script is read as Python would read it, and nothing of it runs."""

import pytest

from agent.core.errors import BadInput
from agent.spec.script import constants
from tests.spec.test_edits import SCRIPT


def test_constants_are_the_top_level_literals_and_arithmetic_on_literals() -> None:
    assert constants(SCRIPT, "train.py") == {
        "DEPTH": 8,
        "ASPECT_RATIO": 64,
        "TOTAL_BATCH_SIZE": 524288,
        "BATCH": 512,
        "LR": 0.04,
        "EPS": 1e-10,
        "OFFSET": -3,
        "WINDOW": "SSSL",
        "COMPILE": True,
        "BETAS": (0.9, 0.95),
        "PROFILES": {"full": {"batch": 32, "widths": [1, -2]}, "mini": {}},
        "NOTHING": None,
        "PROFILES.full.batch": 32,
    }


@pytest.mark.parametrize(
    "source",
    [
        "A = 1\nA += 1",
        "A = 1\nfor A in range(3): pass",
        "A = 1\nif True:\n    A = 2",
        "A = 1\ndef f():\n    global A\n    A = 2",
        "A = 1\ndef A(): pass",
        "A = 1\nimport x as A",
        "A = 1\nwith open('x') as A: pass",
        "A, B = 1, 2",
        "A = B = 1",
        "A: int",
        "A = f'{1}'",
        "A = [*range(3)]",
        "A = {**{}}",
        "A = 1 / 0",
        "A = 1 << -1",
        "A = (-8) ** 0.5",
        "A = not True",
        "A = True + 1",
        "A = b'x'",
        "A = " + " + ".join(["1"] * 800),
    ],
)
def test_what_is_not_one_literal_is_no_constant(source: str) -> None:
    assert constants(source, "x.py") == {}


@pytest.mark.parametrize(
    "source",
    ["A = [A for A in [1]] and 1\nA = 5", "f = lambda: (A := 2)\nA = 5", "class C:\n    A = 1\nA = 5", "A: int\nA = 5"],
)
def test_an_inner_scope_binds_nothing_outside(source: str) -> None:
    names = constants(source.replace("A = [A for A in [1]] and 1", "x = [A for A in [1]]"), "x.py")
    assert names == {"A": 5}


@pytest.mark.parametrize(
    ("source", "line"),
    [("A = 1\nB = = 2\n", 2), ("def f(:\n", 1), ("A = '\0'", 1), ("x = '\ud800'", 1), ("(" * 500, 1)],
)
def test_a_script_that_does_not_parse_is_refused_with_file_and_line(source: str, line: int) -> None:
    with pytest.raises(BadInput, match="does not parse") as caught:
        constants(source, "some/x.py")
    assert caught.value.where == f"some/x.py:{line}"


def test_an_odd_escape_in_a_string_is_read_without_a_warning() -> None:
    assert constants("A = '\\d'", "x.py") == {"A": "\\d"}

"""The bounds of the audit: docs/audit.md has each of them with its value, and each check."""

import math
import re
from dataclasses import asdict

import pytest

from agent.audit.checks import CHECKS, REVIEW_CHECKS
from agent.audit.rules import RULES, SCORING
from tests.support.project import ROOT

PAGE = (ROOT / "docs" / "audit.md").read_text("utf-8")
ROWS = {cells[0]: cells[1:] for cells in re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PAGE, re.M)}


def number(cell: str) -> float:
    """Return the number in a cell; 2**-6 is one."""
    base, _, power = cell.strip().partition("**")
    return math.pow(float(base), float(power or 1))


@pytest.mark.parametrize(("name", "value"), asdict(RULES).items())
def test_each_bound_of_a_judgement_is_in_the_document(name: str, value: float) -> None:
    assert number(ROWS[name][0]) == value


@pytest.mark.parametrize("name", asdict(SCORING["full"]))
def test_each_bound_of_the_scorer_is_in_the_document_for_both_profiles(name: str) -> None:
    cells = [number(cell) for cell in ROWS[name][:2]]
    assert cells == [getattr(SCORING[profile], name) for profile in ("full", "mini")]


def test_the_document_has_no_other_bound_and_each_check_in_order() -> None:
    bounds = {*asdict(RULES), *asdict(SCORING["full"])}
    assert [name for name in ROWS if name not in bounds and name not in ("wall", "calibrated")] == list(CHECKS)
    review = re.findall(r"^\| `([\w-]+)` \|.*\| for a person \|$", PAGE, re.M)
    assert set(review) == REVIEW_CHECKS

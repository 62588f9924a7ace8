"""The nouns: errors that say where and what next, budgets whose text is what the command line takes."""

import dataclasses
import inspect

import pytest

from agent.core import experiment
from agent.core.errors import BadInput, HarnessError, Paused
from agent.core.experiment import Budget, Issue, Spec, Variant
from agent.spec.prose import parse_budget


def test_an_error_reads_where_what_and_what_next() -> None:
    assert (
        str(BadInput("is no number", where="issue.md:7", next_step="write 8")) == "issue.md:7: is no number\n  write 8"
    )
    assert str(HarnessError("it broke")) == "it broke"


def test_errors_have_the_documented_exit_status() -> None:
    assert (HarnessError.exit_code, BadInput.exit_code, Paused.exit_code) == (1, 2, 3)


@pytest.mark.parametrize("budget", [Budget("seconds", 20), Budget("seconds", 2.5), Budget("steps", 500)])
@pytest.mark.parametrize("tokens", [5e6, 1.5e6, 1234567])
def test_a_budgets_text_is_read_back_as_the_same_budget(budget: Budget, tokens: float) -> None:
    assert parse_budget(str(budget)) == budget
    assert parse_budget(str(Budget("tokens", tokens))) == Budget("tokens", tokens)


def test_every_noun_is_frozen() -> None:
    nouns = [kind for _, kind in inspect.getmembers(experiment, dataclasses.is_dataclass) if isinstance(kind, type)]
    assert len(nouns) > 15
    assert all(kind.__dataclass_params__.frozen for kind in nouns)  # type: ignore[attr-defined]


def test_the_order_of_a_spec_is_that_of_its_variants() -> None:
    spec = Spec(Issue(3, "t", ""), "main", "table", (Variant("1D", ()), Variant("1A", ())), None, None, None, (), "")
    assert spec.order == ("1D", "1A")

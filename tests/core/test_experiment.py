"""The nouns: errors that say where and what next, budgets whose text is what the command line takes."""

import dataclasses
import inspect
from types import ModuleType
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core import experiment, proposals, protocols, records, runs
from agent.core.experiment import Budget, BudgetKind, Issue, Spec, Variant
from agent.spec.amounts import parse_budget


@pytest.mark.parametrize("budget", [Budget("seconds", 20), Budget("seconds", 2.5), Budget("steps", 500)])
@pytest.mark.parametrize("tokens", [5e6, 1.5e6, 1234567])
def test_a_budgets_text_is_read_back_as_the_same_budget(budget: Budget, tokens: float) -> None:
    assert parse_budget(str(budget)) == budget
    assert parse_budget(str(Budget("tokens", tokens))) == Budget("tokens", tokens)


@given(
    kind=st.sampled_from(get_args(BudgetKind)),
    amount=st.floats(min_value=1e-9, max_value=1e15) | st.integers(1, 10**15),
)
def test_every_budget_is_the_one_that_its_stored_text_names(kind: BudgetKind, amount: float) -> None:
    assert Budget.parse(str(Budget(kind, amount))) == Budget(kind, amount)


@pytest.mark.parametrize("text", ["", "20", "steps", "3 steps", "3step", "x20s", "Mtok"])
def test_a_text_that_no_budget_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Budget.parse(text)


@pytest.mark.parametrize("module", [experiment, proposals, protocols, records, runs])
def test_every_noun_is_frozen(module: ModuleType) -> None:
    nouns = [kind for _, kind in inspect.getmembers(module, dataclasses.is_dataclass) if isinstance(kind, type)]
    assert len(nouns) > 4
    assert {vars(kind)["__setattr__"] for kind in nouns} == {vars(Budget)["__setattr__"]}  # that of @frozen


def test_the_fields_of_a_record_are_given_by_name() -> None:
    assert all(field.kw_only for kind in get_args(records.Record) for field in dataclasses.fields(kind))


def test_the_order_of_a_spec_is_that_of_its_variants() -> None:
    spec = Spec(Issue(3, "t", ""), "main", "table", (Variant("1D", ()), Variant("1A", ())), None, None, None, (), "")
    assert spec.order == ("1D", "1A")

"""Strategies by name: each that there is can be loaded and has what the Protocols ask for."""

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import STRATEGIES, GateRules
from agent.core.trials import Candidate, Question
from agent.strategies import registry, table
from agent.strategies.explored import Explored

VARIANTS = tuple(Candidate(name=name, sets={"DEPTH": depth}) for name, depth in (("A", 2), ("B", 4)))


@pytest.mark.parametrize("name", registry.GATED)
def test_where_the_gate_alone_schedules_the_strategy_is_the_table(name: str) -> None:
    assert registry.load(name) is table


@pytest.mark.parametrize("name", registry.EXPLORATIONS)
def test_every_other_strategy_explores_and_can_say_how_many_runs_it_takes(name: str) -> None:
    strategy = registry.load(name)
    assert isinstance(strategy, Explored)
    question = Question(issue=3, seeds=(0, 1, 2), base={"DEPTH": 2}, variants=VARIANTS)
    assert strategy.size(question, GateRules(kind="report"), 2) >= 6


def test_an_unknown_strategy_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="there is no strategy 'genetic'") as refused:
        registry.load("genetic")
    assert all(name in refused.value.next_step for name in STRATEGIES)

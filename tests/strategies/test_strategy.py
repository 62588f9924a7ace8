"""The Protocol of strategies: what the registry can load has all of it."""

import inspect

import pytest

from agent.core.experiment import STRATEGIES
from agent.strategies import registry
from agent.strategies.strategy import Strategy

METHODS = {name for name, one in vars(Strategy).items() if inspect.isfunction(one) and not name.startswith("_")}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_what_a_campaign_asks_for(name: str) -> None:
    assert {"check", "next_step", "conclude", "findings", "pictures", "size"} == METHODS
    assert all(callable(getattr(registry.load(name), method)) for method in METHODS)

"""Registries: what they name exists, and what they do not is answered with what they do."""

import pytest

from agent.core import BadInput
from agent.executors import EXECUTORS
from agent.registry import load
from agent.strategies import STRATEGIES
from agent.trackers import TRACKERS


@pytest.mark.parametrize("registry", [EXECUTORS, STRATEGIES, TRACKERS])
def test_every_name_leads_to_a_part(registry: dict[str, str]) -> None:
    assert all(callable(load(registry, "part", name)) for name in registry)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"there is no tracker 'gitlab'\n  there is: github, markdown"):
        load(TRACKERS, "tracker", "gitlab")

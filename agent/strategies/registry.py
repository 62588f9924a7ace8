"""The strategies by name. An exploration is a module of this package, loaded when an issue names it."""

from importlib import import_module
from typing import cast

from agent.core.errors import BadInput
from agent.core.experiment import STRATEGIES
from agent.core.trials import Exploration
from agent.strategies import table
from agent.strategies.strategy import Strategy

GATED = ("table", "freeform")
SEARCHING = ("evolve", "search")  # beside the variants that an issue lists they add their own
EXPLORATIONS = tuple(name for name in STRATEGIES if name not in GATED)


def load(name: str) -> Strategy:
    """Return the strategy called `name`. Raises BadInput where there is none."""
    if name in GATED:
        return table
    from agent.strategies.explored import Explored  # with what it explores by: most issues have a table

    return Explored(_exploration(name))


def _exploration(name: str) -> Exploration:
    """Return the module of an exploration: it has the functions of the Protocol."""
    if name not in EXPLORATIONS:
        raise BadInput(f"there is no strategy {name!r}", next_step=f"there is: {', '.join(STRATEGIES)}")
    return cast(Exploration, import_module(f"agent.strategies.{name}"))

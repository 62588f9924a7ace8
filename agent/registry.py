"""Names to parts: a registry says where each part is, and a part is imported when it is chosen."""

from collections.abc import Mapping
from importlib import import_module

from agent.core import BadInput


def load(registry: Mapping[str, str], what: str, name: str) -> object:
    """The part `module:attribute` that `registry` has under `name`. Raises BadInput listing the names there are."""
    if name not in registry:
        raise BadInput(f"there is no {what} {name!r}", next_step=f"there is: {', '.join(sorted(registry))}")
    module, _, attribute = registry[name].partition(":")
    part: object = getattr(import_module(module), attribute)
    return part

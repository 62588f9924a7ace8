"""The Protocols: what the registries name has the methods that its Protocol asks for."""

import inspect

import pytest

from agent.core import protocols
from agent.editors.anthropic import Claude
from agent.editors.command import Command
from agent.execution.local import LocalExecutor
from agent.tracking.github import GitHubTracker
from agent.tracking.local import MarkdownTracker


def asked(protocol: type) -> set[str]:
    return {name for name, told in vars(protocol).items() if inspect.isfunction(told) and not name.startswith("_")}


@pytest.mark.parametrize("part", [MarkdownTracker, GitHubTracker])
def test_every_tracker_has_what_a_tracker_needs(part: type) -> None:
    assert asked(protocols.Tracker) <= set(dir(part))


@pytest.mark.parametrize("part", [Command, Claude])
def test_every_editor_has_what_an_editor_needs(part: type) -> None:
    assert asked(protocols.Editor) <= set(dir(part))


def test_every_executor_has_what_an_executor_needs() -> None:
    assert asked(protocols.Executor) <= set(dir(LocalExecutor))

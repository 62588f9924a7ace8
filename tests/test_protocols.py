"""The Protocols: what the registries name has the methods that its Protocol asks for."""

import inspect

import pytest

from agent import protocols, registry
from agent.editors import EDITORS
from agent.editors.command import Command
from agent.executors import EXECUTORS
from agent.trackers import TRACKERS
from agent.trackers.github_issues import GitHubTracker
from agent.trackers.markdown import MarkdownTracker


def asked(protocol: type) -> set[str]:
    return {name for name, told in vars(protocol).items() if inspect.isfunction(told) and not name.startswith("_")}


@pytest.mark.parametrize("part", [MarkdownTracker, GitHubTracker])
def test_every_tracker_has_what_a_tracker_needs(part: type) -> None:
    assert asked(protocols.Tracker) <= set(dir(part))


@pytest.mark.parametrize("part", [Command, *(registry.load(EDITORS, "editor", name) for name in EDITORS)])
def test_every_editor_has_what_an_editor_needs(part: type) -> None:
    assert asked(protocols.Editor) <= set(dir(part))


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_has_what_an_executor_needs(name: str) -> None:
    assert asked(protocols.Executor) <= set(dir(registry.load(EXECUTORS, "executor", name)))


def test_every_tracker_by_name_can_be_had() -> None:
    assert all(callable(registry.load(TRACKERS, "tracker", name)) for name in TRACKERS)

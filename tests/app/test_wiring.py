"""Which parts are picked: the editor by its name or as a command, and money counted from where it should be."""

import io

import pytest

from agent.app import wiring
from agent.app.options import parser
from agent.campaign.context import CampaignContext
from agent.core.errors import BadInput
from agent.editors.command import Command
from agent.tracking.live import LiveView
from agent.tracking.terminal import PlainView


class _Unused:
    """A context of which nothing is asked."""


def chosen(*argv: str) -> object:
    ctx: CampaignContext = _Unused()  # type: ignore[assignment]
    return wiring.make_editor(parser().parse_args(argv), 5, ctx, "")


def test_what_is_no_editor_by_name_is_a_command() -> None:
    assert isinstance(chosen("--editor", "true --quickly"), Command)


def test_a_command_that_is_not_there_is_said() -> None:
    with pytest.raises(BadInput, match="there is no command 'no-such-agent'"):
        chosen("--editor", "no-such-agent")


def test_an_unknown_model_is_refused_before_anything_else() -> None:
    with pytest.raises(BadInput, match="there is no price for the model 'gpt'"):
        chosen("--model", "gpt")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_and_a_terminal_have_their_own_views() -> None:
    assert isinstance(wiring.make_view(io.StringIO()), PlainView)
    assert isinstance(wiring.make_view(_Terminal()), LiveView)

"""Which parts are picked: the editor by its name or as a command, and money counted from where it should be."""

import io
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app import wiring
from agent.app.options import parser
from agent.campaign.context import CampaignContext
from agent.core.errors import BadInput
from agent.core.experiment import Clock
from agent.editors.command import Command
from agent.tracking.live import LiveView
from agent.tracking.terminal import PlainView
from tests.campaign.test_plan import LAPTOP, plan


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


@pytest.mark.parametrize(
    ("threads", "clock", "runs"),
    [(1, "steps", 4), (2, "steps", 2), (None, "steps", 1), (1, "calibrated", 1), (8, "steps", 1)],
)
def test_runs_share_the_processor_where_no_clock_measures_them_and_each_says_its_part(
    project: Path, threads: int | None, clock: Clock, runs: int
) -> None:
    planned = plan(project)
    track = replace(planned.track, threads=threads)
    changed = replace(planned, base=replace(planned.base, track=track), clock=clock)
    assert wiring._at_once(changed, replace(LAPTOP, cores=4)) == runs


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_and_a_terminal_have_their_own_views() -> None:
    assert isinstance(wiring.make_view(io.StringIO()), PlainView)
    assert isinstance(wiring.make_view(_Terminal()), LiveView)

"""Claude as the editor against a stand-in that was not written here: npm's @copilotkit/aimock.

It bills nothing and accepts what the API no longer does, so tests/support/claude.py stays beside it.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.core.errors import Unreachable
from agent.core.proposals import Draft
from agent.core.records import SpendRecord
from agent.editors import models
from agent.editors.anthropic import Claude
from agent.editors.spending import Spending
from tests.support.editing import BRIEF, DEEPER, IDEA, RESUME, edit
from tests.support.elsewhere import free_port, serving

pytestmark = pytest.mark.elsewhere

PROPOSED = json.dumps({"ideas": [{"title": "deeper", "hypothesis": "why", "expected": "0.01"}]})
EDITS = [edit()["input"], {"command": "view", "path": "prepare.py"}]
FIXTURES = [
    {"match": {"hasToolResult": True}, "response": {"content": "Deeper by one."}},
    {"match": {"userMessage": "Propose up to"}, "response": {"content": PROPOSED}},
    {
        "match": {"userMessage": "Make this change"},
        "response": {"toolCalls": [{"name": "str_replace_based_edit_tool", "arguments": one} for one in EDITS]},
    },
]


@pytest.fixture(params=[()])
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The stand-in, running with these options."""
    (tmp_path / "fixtures.json").write_text(json.dumps({"fixtures": FIXTURES}))
    port = free_port()
    options = ("-p", str(port), "-f", tmp_path / "fixtures.json", *request.param)
    with serving("@copilotkit/aimock", "dist/cli.js", *options, folder=tmp_path, port=port):
        yield f"http://127.0.0.1:{port}"


def editor(url: str, waits: list[float]) -> tuple[Claude, list[SpendRecord]]:
    settings, records = models.read({}), list[SpendRecord]()
    environment = {"ANTHROPIC_API_KEY": "sk-ant-elsewhere", "ANTHROPIC_BASE_URL": url}
    spending = Spending(5, settings, [], records.append)
    clock = lambda: sum(waits)  # noqa: E731
    claude = Claude(settings, spending, environment=environment, resume_command=RESUME, clock=clock, sleep=waits.append)
    return claude, records


def test_ideas_and_a_change_come_out_of_a_stand_in_that_was_not_written_here(url: str, tmp_path: Path) -> None:
    claude, records = editor(url, [])
    proposed = claude.ideas(BRIEF, 3, tmp_path)
    assert [idea.title for idea in proposed.ideas] == ["deeper"], proposed.failure
    draft = claude.write(BRIEF, IDEA, "", tmp_path)
    assert (draft.files, draft.summary, draft.failure) == ({"train.py": DEEPER}, "Deeper by one.", "")
    assert "'prepare.py' cannot be seen or changed" in (tmp_path / "transcript.jsonl").read_text()
    assert [record.settled for record in records] == [False, True] * 3


@pytest.mark.parametrize("url", [("--chaos-ratelimit", "1")], indirect=True)
def test_its_rate_limit_is_waited_for_and_then_pauses(url: str, tmp_path: Path) -> None:
    waits: list[float] = []
    claude, records = editor(url, waits)
    with pytest.raises(Unreachable, match="429"):
        claude.ideas(BRIEF, 3, tmp_path)
    assert 0 < sum(waits) < 900
    assert sum({record.call: record.usd for record in records}.values()) == 0


@pytest.mark.parametrize("url", [("--chaos-disconnect", "1"), ("--chaos-malformed", "1")], indirect=True)
def test_its_broken_replies_end_in_a_failure_or_a_pause_and_no_change(url: str, tmp_path: Path) -> None:
    claude, records = editor(url, [])
    draft = Draft(failure="paused")
    with suppress(Unreachable):
        draft = claude.write(BRIEF, IDEA, "", tmp_path)
    assert draft.files == {}
    assert draft.failure
    assert records

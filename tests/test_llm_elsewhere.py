"""Claude as the editor against a stand-in that was not written here: npm @copilotkit/aimock, pinned exactly.

AUTORESEARCH_NODE_MODULES names the folder it is in: npm install @copilotkit/aimock@1.43.0. It bills nothing and accepts
what the API no longer does, so tests/claude.py stays beside it.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent import models
from agent.account import Account
from agent.core import Draft, SpendRecord, Unreachable
from agent.llm import Claude
from tests.editing import AGAIN, BRIEF, DEEPER, IDEA, edit

pytestmark = pytest.mark.elsewhere

MODULES = Path(os.environ.get("AUTORESEARCH_NODE_MODULES", "node_modules"))
PROGRAM = MODULES / "@copilotkit" / "aimock" / "dist" / "cli.js"
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=[()])
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The stand-in, running with these options."""
    node = shutil.which("node")
    if node is None or not PROGRAM.exists():
        pytest.skip(f"{'Node' if node is None else PROGRAM} is missing: npm install @copilotkit/aimock@1.43.0")
    (tmp_path / "fixtures.json").write_text(json.dumps({"fixtures": FIXTURES}))
    port = free_port()
    argv = [node, str(PROGRAM), "-p", str(port), "-f", str(tmp_path / "fixtures.json"), *request.param]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "aimock does not start"
            time.sleep(0.05)
        else:
            return


def editor(url: str, waits: list[float]) -> tuple[Claude, list[SpendRecord]]:
    settings, records = models.read({}), list[SpendRecord]()
    told = {"ANTHROPIC_API_KEY": "sk-ant-elsewhere", "ANTHROPIC_BASE_URL": url}
    account = Account(5, settings, [], records.append)
    clock = lambda: sum(waits)  # noqa: E731
    return Claude(settings, account, environment=told, again=AGAIN, clock=clock, sleep=waits.append), records


def test_ideas_and_a_change_come_out_of_a_stand_in_that_was_not_written_here(url: str, tmp_path: Path) -> None:
    claude, records = editor(url, [])
    found = claude.ideas(BRIEF, 3, tmp_path)
    assert [idea.title for idea in found.found] == ["deeper"], found.failure
    draft = claude.write(BRIEF, IDEA, "", tmp_path)
    assert (draft.files, draft.said, draft.failure) == ({"train.py": DEEPER}, "Deeper by one.", "")
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

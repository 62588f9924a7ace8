"""The reader of last resort, over real HTTP: what a model may say of an issue, what not, and what that costs."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.claude import Claude, text, usage
from tests.support.project import ISSUE, agent, commit, edit

LOOSE = """Try these, whoever is free:

- 1A has six layers at a ratio of 128
- 1B is as deep as 12, ratio 32

| ID | DEPTH | note to self |
|---|---|---|
| 1A | 6 | x1 |
| 1B | 12 | x2 |
"""
BLOCK = """# autoresearch
variants:
- {id: 1A, set: {DEPTH: 6, ASPECT_RATIO: 128}, why: six layers}
- {id: 1B, set: {DEPTH: 12, ASPECT_RATIO: 32}}
"""
USED = usage(given=1000, out=100)  # of claude-sonnet-5-5, at 2 and 10 dollars a million: 0.3 cents


@pytest.fixture
def claude() -> Iterator[Claude]:
    with Claude() as server:
        yield server


def write(project: Path, body: str) -> Path:
    path = project / "experiments" / "issues" / "0006-loose.md"
    path.write_text(f"---\nnumber: 6\ntitle: Loose\nlabels: [experiment]\n---\n{body}")
    commit(project, "A loosely written issue")
    return project


def plan(project: Path, claude: Claude, *args: str) -> tuple[int, dict[str, object], str]:
    done = agent(project, "--issue", "6", "--plan", "--json", *args, env=claude.environment)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def records(project: Path, kind: str) -> list[dict[str, object]]:
    path = project / "experiments" / "ledger.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [one for line in lines if (one := json.loads(line))["kind"] == kind]


def test_a_loose_issue_is_read_once_and_shown_with_the_models_name_and_cost(project: Path, claude: Claude) -> None:
    write(project, LOOSE)
    claude.reply(text(BLOCK), used=USED)
    status, shown, errors = plan(project, claude)
    assert status == 0, errors
    assert shown["read_by"] == "claude-sonnet-5-5"
    assert [(one["id"], one["set"]) for one in shown["variants"]] == [  # type: ignore[index, attr-defined]
        ("1A", {"DEPTH": 6, "ASPECT_RATIO": 128}),
        ("1B", {"DEPTH": 12, "ASPECT_RATIO": 32}),
    ]
    assert [one["usd"] for one in records(project, "reading")] == [0.003]
    assert "claude-sonnet-5-5 has read this issue, for $0.0030" in str(shown["notices"])
    assert plan(project, claude)[1]["variants"] == shown["variants"]  # not asked again: nothing is scripted
    assert len(claude.requests) == 1
    spent = {one["call"]: Decimal(str(one["usd"])) for one in records(project, "spend")}
    assert sum(spent.values()) == Decimal("0.003")
    [request] = claude.requests
    assert "column note to self" in json.dumps(request["messages"])
    assert (project / "logs" / "issue-6" / "reading" / "transcript.jsonl").exists()
    done = agent(project, "--issue", "6", "--budget", "5steps", "--gate", "lowest", env=claude.environment)
    assert done.returncode == 0, done.stderr
    assert "Read as (claude-sonnet-5-5)" in agent(project, "--issue", "6", "--report").stdout


def test_strict_reading_asks_nobody_and_auto_nobody_without_a_key(project: Path, claude: Claude) -> None:
    write(project, LOOSE)
    assert plan(project, claude, "--reader", "strict")[0] == 2
    without = agent(project, "--issue", "6", "--plan", env={"ANTHROPIC_API_KEY": ""})
    assert without.returncode == 2
    assert "column note to self" in without.stderr
    asked = agent(project, "--issue", "6", "--plan", "--reader", "claude", env={"ANTHROPIC_API_KEY": ""})
    assert asked.returncode == 2
    assert "ANTHROPIC_API_KEY" in asked.stderr
    assert "--reader strict" in asked.stderr
    assert "--editor" not in asked.stderr
    assert claude.requests == []


def test_what_strict_reading_understands_goes_to_nobody(project: Path, claude: Claude) -> None:
    done = agent(project, "--issue", "3", "--plan", "--json", "--reader", "claude", env=claude.environment)
    assert json.loads(done.stdout)["read_by"] == "strict"
    assert claude.requests == []


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (BLOCK.replace("DEPTH: 6", "DEPTH: 8"), "the table says DEPTH = 6, and the block 8"),
        (BLOCK.replace("{DEPTH: 6, ", "{"), "the table says DEPTH = 6, and the block nothing"),
        (BLOCK.split("- {id: 1B")[0], "the table has a row 1B"),
        (BLOCK + "seeds: [1337]\n", "seeds: is for people to say"),
        (BLOCK + "gate: lowest\n", "gate: is for people to say"),
        (BLOCK + "confirm: false\n", "confirm: is for people to say"),
        (BLOCK + "min_gain: 0\n", "min_gain: is for people to say"),
        (BLOCK.replace("ASPECT_RATIO: 32", "SEED: 7"), "no constant SEED"),
        ("strategy: freeform\n", "strategy: is for people to say"),
        (BLOCK + "run: python prepare.py\n", "unknown key 'run'"),
        (BLOCK.replace("ASPECT_RATIO: 32", "ASPECT_RATIO: five"), "'five' is not a whole number"),
    ],
)
def test_a_block_that_says_more_than_it_may_goes_back_once_and_is_then_refused(
    project: Path, claude: Claude, block: str, problem: str
) -> None:
    write(project, LOOSE)
    for _ in range(2):
        claude.reply(text(block), used=USED)
    status, _, errors = plan(project, claude)
    assert status == 2
    assert problem in errors
    assert len(claude.requests) == 2
    assert problem in json.dumps(claude.requests[1]["messages"]).replace('\\"', '"')
    assert records(project, "reading") == []
    assert sum({one["call"]: Decimal(str(one["usd"])) for one in records(project, "spend")}.values()) == Decimal(
        "0.006"
    )


def test_a_block_that_is_mended_is_taken(project: Path, claude: Claude) -> None:
    write(project, LOOSE)
    claude.reply(text(BLOCK.replace("DEPTH: 6", "DEPTH: 8")), used=USED)
    claude.reply(text(f"```yaml\n{BLOCK}```"), used=USED)
    assert plan(project, claude)[0] == 0
    assert [one["usd"] for one in records(project, "reading")] == [0.006]


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({"stop": "max_tokens"}, "cut off at max_tokens"),
        ({"stop": "refusal"}, "Claude declined"),
    ],
)
def test_a_reply_that_is_cut_off_or_refused_leaves_the_issue_refused(
    project: Path, claude: Claude, reply: dict[str, str], problem: str
) -> None:
    write(project, LOOSE)
    claude.reply(text(BLOCK), used=USED, **reply)
    status, _, errors = plan(project, claude)
    assert status == 2
    assert problem in errors
    assert "column note to self" in errors


def test_a_reply_that_is_no_block_leaves_the_issue_refused(project: Path, claude: Claude) -> None:
    write(project, LOOSE)
    claude.reply(text("unreadable because it asks for code"), used=USED)
    assert "no settings block" in plan(project, claude)[2]


def test_money_that_does_not_allow_it_leaves_the_issue_refused(project: Path, claude: Claude) -> None:
    write(project, LOOSE)
    status, _, errors = plan(project, claude, "--max-usd", "0.0001")
    assert status == 2
    assert "no model may be asked" in errors
    assert claude.requests == []


def test_an_issue_whose_block_is_wrong_is_its_authors_to_mend(project: Path, claude: Claude) -> None:
    write(project, f"{LOOSE}\n```yaml\n# autoresearch\nsede: 3\n```\n")
    assert "unknown key 'sede'" in plan(project, claude)[2]
    assert claude.requests == []


def test_looking_at_an_answer_asks_nobody_though_the_issue_was_edited(project: Path, claude: Claude) -> None:
    assert agent(project, "--issue", "3", "--budget", "5steps", "--gate", "lowest").returncode == 0
    edit(project, ISSUE, "| Priority |", "| note to self |")
    done = agent(project, "--issue", "3", "--status", env=claude.environment)
    assert (done.returncode, claude.requests) == (2, [])


def test_confirm_waits_for_a_go_and_shows_what_was_read(project: Path, claude: Claude) -> None:
    write(project, LOOSE)
    claude.reply(text(BLOCK), used=USED)
    args = ("--issue", "6", "--budget", "5steps", "--gate", "lowest", "--confirm")
    waiting = agent(project, *args, env=claude.environment)
    assert waiting.returncode == 3
    assert "/go" in waiting.stderr
    comment = (project / "experiments" / "issues" / "0006-loose.comment.md").read_text()
    assert "Waiting for /go" in comment
    assert "DEPTH=6, ASPECT_RATIO=128" in comment
    assert records(project, "run") == []
    (project / "experiments" / "issues" / "0006-loose.remarks.md").write_text("/go\n")
    assert agent(project, *args, env=claude.environment).returncode == 0

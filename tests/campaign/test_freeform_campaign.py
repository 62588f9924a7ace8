"""An issue in prose with Claude from end to end: the real command line, the stand-in for the API, the bill."""

import json
import shlex
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.author import THOUGHT, Author, Work, dollars, swap
from tests.support.claude import KEY, Claude, Reply, failure, message, text, usage
from tests.support.project import agent, git
from tests.support.prose import BODY, PROSE, prose_issue

COMMAND = ("--issue", str(PROSE), "--budget", "5steps", "--gate", "lowest")
BROKEN = "raise ValueError('not yet')"

# What becomes of each idea: the author's work, whether it runs, its drafts, and why it does not run.
CUT = message(text("I will now"), stop="max_tokens", used=usage(1300, 32_000, read=9000))
DECLINED = message(stop="refusal", used=usage(1300, 5), details={"type": "refusal", "category": "cyber",
                                                                  "explanation": "not this"})  # fmt: skip
IDEAS: dict[str, tuple[Work, bool, int, str]] = {
    "SwiGLU, wide": (Work(swap("ASPECT_RATIO = 64", "ASPECT_RATIO = 96")), True, 1, ""),
    "SwiGLU, narrow": (Work(swap("DEPTH = 8", "DEPTH = 10")), True, 1, ""),
    "one that breaks": (
        Work(swap("DEPTH = 8", f"DEPTH = 12\n{BROKEN}"), swap(f"\n{BROKEN}", "")), True, 2, "",
    ),
    "one that never gets well": (
        Work(swap("DEPTH = 8", f"DEPTH = 6\n{BROKEN}"), swap("raise ValueError(", "raise ValueError('again', ")),
        False, 4, "ValueError: ('again', 'again', 'again', 'not yet')",
    ),
    "another prepare.py": (
        Work(swap("PROFILES", "PROFILE", path="prepare.py")),
        False, 1, "the text editor had refused: 'prepare.py' cannot be seen or changed",
    ),
    "a seed": (
        Work(swap("DEPTH = 8", "DEPTH = 8\nimport torch\ntorch.manual_seed(7)")),
        False, 1, "1F reaches what no experiment may: the seed (manual_seed)",
    ),
    "a socket": (Work(swap("DEPTH = 8", "DEPTH = 8\nimport socket")), False, 1, "the module socket"),
    "declined": (Work(DECLINED), False, 1, "Claude declined (cyber: not this)"),
    "cut off": (Work(CUT), False, 1, "the reply was cut off at max_tokens"),
    "the same again": (
        Work(swap("ASPECT_RATIO = 64", "ASPECT_RATIO = 96")), False, 2, "it is 1A of issue 5 again, to the letter",
    ),
    "garbage": (Work(Reply(200, b"<html>502</html>")), False, 1, "what came back is no reply of the API"),
}  # fmt: skip
UNKNOWN = Decimal("0.323125")  # the most that garbage can have cost: 1,250 tokens written to the cache, 32,000 out


@pytest.fixture
def claude() -> Iterator[Claude]:
    with Claude() as server:
        yield server
        assert server.refusals == [], "a request that the real API would refuse"


@pytest.fixture
def prose(project: Path) -> Path:
    prose_issue(project, BODY.replace("variants: 2", "variants: 12"))
    return project


def records(project: Path, kind: str) -> list[dict[str, object]]:
    path = project / "experiments" / "ledger.jsonl"
    loaded = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [one for one in loaded if one["kind"] == kind]


def comment(project: Path) -> str:
    return (project / "experiments" / "issues" / "0005-better.comment.md").read_text()


def billed(project: Path) -> Decimal:
    """What the ledger's calls cost, the later record of each."""
    last = {one["call"]: one["usd"] for one in records(project, "spend")}
    return sum((Decimal(str(usd)) for usd in last.values()), Decimal(0))


@pytest.mark.slow
def test_of_good_broken_and_hostile_proposals_the_good_run_the_others_are_named_and_the_bill_is_exact(
    prose: Path, claude: Claude
) -> None:
    claude.author = author = Author([list(IDEAS)], {title: work for title, (work, *_) in IDEAS.items()})
    author.passing = [failure(429), failure(529)]
    done = agent(prose, *COMMAND, env=claude.environment)
    assert done.returncode == 0, done.stderr
    assert "verdict: keep 1A" in done.stdout
    proposals = records(prose, "proposal")
    for (title, (_, runs, drafts, why)), one in zip(IDEAS.items(), proposals, strict=True):
        assert (one["accepted"], one["attempts"]) == (runs, drafts), (title, one)
        assert why in str(one["failure"])
        assert f"| {one['variant']} | {title}: it should help" in comment(prose)
        assert why.replace("[", r"\[") in comment(prose)
    accepted = {str(one["variant"]) for one in proposals if one["accepted"]}
    assert accepted == {"1A", "1B", "1C"}
    assert {one["variant"] for one in records(prose, "run")} == {"baseline", *accepted}
    check_bill(prose, author)
    check_written_down(prose)
    assert git(prose, "status", "--porcelain") == ""


def check_bill(project: Path, author: Author) -> None:
    """Ledger, proposals, comment and --status say what the API's usages come to, cached tokens at their own price."""
    due = dollars(author.billed) + UNKNOWN
    assert billed(project) == due
    proposals = records(project, "proposal")
    assert sum((Decimal(str(one["usd"])) for one in proposals), dollars([THOUGHT])) == due
    assert f"- ${due:.4f} for the editor" in comment(project)
    loaded = json.loads(agent(project, "--issue", str(PROSE), "--status", "--json").stdout)
    assert Decimal(str(loaded["usd"])) == due
    assert [one["id"] for one in loaded["proposals"]] == [one["variant"] for one in proposals]


def check_written_down(project: Path) -> None:
    """Every conversation is on disk, and the key is nowhere."""
    talks = sorted(path.parent.parent.name for path in project.glob("logs/issue-5/**/transcript.jsonl"))
    assert talks == [*(f"1{letter}" for letter in "ABCDEFGHIJK"), "round-1"]
    files = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert records(project, "proposal")[0]["said"] == "Done: SwiGLU, wide. The key is [redacted]."
    assert KEY not in git(project, "log", "--branches", "--format=%B")


HANDS = [  # what an editor that is a command does to its folder, and what its proposal is refused for
    ("p.unlink(); p.symlink_to('/etc/passwd')", "it made a symlink train.py"),
    ("pathlib.Path('prepare.py').write_text('x')", "prepare.py"),
    ("p.chmod(0o755)", "it made train.py executable"),
    ("p.write_text(p.read_text().replace('RATIO = 64', 'RATIO = 96'))", ""),
]
MANY_HANDS = """
import pathlib, sys
state, p = pathlib.Path(sys.argv[1]), pathlib.Path("train.py")
state.write_text(state.read_text() + "x" if state.exists() else "x")
exec(sys.argv[1 + len(state.read_text())])
"""


def test_what_a_command_does_beside_editing_is_refused_by_name(project: Path, tmp_path: Path) -> None:
    prose_issue(project, BODY.replace("variants: 2", "variants: 4"))
    (tmp_path / "hands.py").write_text(MANY_HANDS)
    argv = [sys.executable, str(tmp_path / "hands.py"), str(tmp_path / "state"), *(one for one, _ in HANDS)]
    done = agent(project, *COMMAND, "--editor", shlex.join(argv))
    assert done.returncode == 0, done.stderr
    for (_, why), one in zip(HANDS, records(project, "proposal"), strict=True):
        assert one["accepted"] == (why == "")
        assert why in str(one["failure"])
        assert why in comment(project)
    assert "verdict: keep 1D" in done.stdout

"""Round after round with a command as the editor: what people say in one round, and what is left to the next."""

import json
from pathlib import Path

import pytest

from tests.support.project import agent, git
from tests.support.prose import PROSE, editor, prose_issue

LOOP = ("--issue", str(PROSE), "--budget", "5steps", "--gate", "lowest", "--loop")
WIDER = ("ASPECT_RATIO = 64", "ASPECT_RATIO = 96", "wider")  # gains 0.05 in the stand-in
DEEPER = ("DEPTH = 8", "DEPTH = 10", "deeper")  # gains 0.02
NO_MORE = ("nothing that is there", "", "out of ideas")
BODY = "Make it better.\n\n```yaml\n# autoresearch\nvariants: 1\n```\n"


@pytest.fixture
def prose(project: Path) -> Path:
    prose_issue(project, BODY)
    return project


def say(project: Path, *commands: str) -> None:
    (project / "experiments" / "issues" / "0005-better.remarks.md").write_text("".join(f"{one}\n" for one in commands))


def loop(project: Path, changes: list[tuple[str, str, str]], fault: str = "") -> tuple[int, str, str]:
    env = {"AUTORESEARCH_FAULT": fault} if fault else {}
    done = agent(project, *LOOP, "--editor", editor(project.parent / "editor", changes), env=env)
    return done.returncode, done.stdout, done.stderr


def records(project: Path, kind: str) -> list[dict[str, object]]:
    lines = (project / "experiments" / "ledger.jsonl").read_text().splitlines()
    return [one for one in map(json.loads, lines) if one["kind"] == kind]


def test_each_round_begins_at_the_baseline_that_the_one_before_it_left_until_nothing_can_run(prose: Path) -> None:
    code, out, err = loop(prose, [DEEPER, WIDER, NO_MORE])
    assert code == 0, err
    assert "reason: 3 rounds in a row had nothing that could be measured" in out
    first, second, *_ = records(prose, "round")
    assert second["base"] == git(prose, "rev-parse", "autoresearch/issue-5/1A")
    assert git(prose, "rev-parse", "autoresearch/issue-5/2A^") == second["base"]
    assert [one["variant"] for one in records(prose, "promotion")] == ["1A"]  # both at once is the plain shape again
    assert [one["ended"] for one in records(prose, "loop")] == [False, True]
    assert first["round"] == 1


def test_a_stop_after_the_verdict_still_ends_it(prose: Path) -> None:
    loop(prose, [DEEPER, WIDER, NO_MORE], fault="gate-recorded:kill")
    say(prose, "/stop")
    code, out, err = loop(prose, [DEEPER, WIDER, NO_MORE])
    assert code == 0, err
    assert "reason: line-1 says /stop" in out
    assert [one["round"] for one in records(prose, "round")] == [1]
    assert [one["variant"] for one in records(prose, "promotion")] == ["1A"]


def test_a_variant_that_a_person_added_and_that_won_does_not_stand_in_the_next_rounds_way(prose: Path) -> None:
    say(prose, "/run 1E DEPTH=8 ASPECT_RATIO=96")
    code, out, err = loop(prose, [DEEPER, NO_MORE])
    assert code == 0, err
    assert [one["variant"] for one in records(prose, "promotion")] == ["1E"]
    assert {one["variant"] for one in records(prose, "run")} == {"baseline", "1A", "1E"}
    assert "3 rounds in a row" in out


def test_a_round_whose_only_proposal_a_person_skipped_for_another_is_over_with_its_verdict(prose: Path) -> None:
    loop(prose, [DEEPER, NO_MORE], fault="campaign-recorded:kill")
    say(prose, "/run 1X DEPTH=8 ASPECT_RATIO=96", "/skip 1A")
    code, _, err = loop(prose, [DEEPER, NO_MORE])
    assert code == 0, err
    assert [one["variant"] for one in records(prose, "promotion")] == ["1X"]
    assert [one["round"] for one in records(prose, "round")] == [1, 2, 3, 4]


def test_a_table_is_not_for_the_loop(project: Path) -> None:
    done = agent(project, "--issue", "3", "--loop", "--editor", "true")
    assert (done.returncode, "--loop is for an issue in prose" in done.stderr) == (2, True)

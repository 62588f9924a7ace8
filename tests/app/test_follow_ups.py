"""The issues that follow issue 3: each can be planned on both profiles, whichever shape issue 3 leaves."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.app.priority import dependencies
from agent.core.experiment import Issue
from tests.support.project import ROOT, agent, commit, edit

ISSUES = {
    number: next((ROOT / "experiments" / "issues").glob(f"{number:04d}-*[a-z].md")).name for number in (18, 19, 20)
}
SHAPES = {"baseline": (8, 64), "1A": (6, 128), "1B": (12, 32), "1C": (10, 64), "1D": (8, 96)}


@pytest.fixture
def followed(project: Path) -> Path:
    """A project with the issues that follow issue 3."""
    for name in ISSUES.values():
        shutil.copy(ROOT / "experiments" / "issues" / name, project / "experiments" / "issues")
    shutil.copy(ROOT / "program.md", project)
    commit(project, "what follows issue 3")
    return project


def plan(project: Path, number: int, profile: str) -> dict[str, Any]:
    run = agent(project, "--issue", str(number), "--plan", "--json", "--profile", profile)
    assert run.returncode == 0, run.stderr
    value = json.loads(run.stdout)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("winner", SHAPES)
def test_the_tables_can_run_from_any_shape_that_issue_3_leaves(followed: Path, winner: str) -> None:
    depth, ratio = SHAPES[winner]
    if winner != "baseline":
        edit(followed, "train.py", "DEPTH = 8 ", f"DEPTH = {depth} ")
        edit(followed, "train.py", "ASPECT_RATIO = 64 ", f"ASPECT_RATIO = {ratio} ")
        commit(followed, "the winner of issue 3")
    for profile in ("full", "mini"):
        pattern, heads = (plan(followed, number, profile) for number in (18, 19))
        flops = {one["id"]: one["flops_per_token"] for one in pattern["variants"]}
        assert flops["18C"] <= pattern["baseline"]["flops_per_token"] <= flops["18A"] < flops["18B"]
        width = depth * ratio
        assert {one["id"]: one["n_head"] for one in heads["variants"]} == {"19A": width // 64, "19B": width // 32}


def test_heads_of_256_would_not_fit_two_of_those_shapes(followed: Path) -> None:
    """Why issue 19 has none."""
    edit(followed, f"experiments/issues/{ISSUES[19]}", "| 19A | 64 |", "| 19A | 256 |")
    edit(followed, "train.py", "DEPTH = 8 ", "DEPTH = 10 ")
    commit(followed, "1C")
    refused = agent(followed, "--issue", "19", "--plan")
    assert (refused.returncode, "no multiple of HEAD_DIM 256" in refused.stderr) == (2, True)


def test_grouped_queries_are_a_change_of_code_and_so_for_an_editor(followed: Path) -> None:
    planned = plan(followed, 20, "full")
    assert (planned["variants"], planned["strategy"]) == ([], "freeform")
    assert "grouped-query attention" in planned["prompt"]


def test_each_comes_after_the_one_whose_baseline_it_starts_from(followed: Path) -> None:
    bodies = {number: (followed / "experiments" / "issues" / name).read_text() for number, name in ISSUES.items()}
    after = {number: dependencies(Issue(number, "", body)) for number, body in bodies.items()}
    assert after == {18: (3,), 19: (18,), 20: (18,)}
    order = agent(followed, "--queue", "--plan")
    assert order.returncode == 0
    assert [line.partition(":")[0] for line in order.stdout.splitlines()] == [
        "1. issue 3",
        "2. issue 18",
        "3. issue 19",
        "4. issue 20",
    ]


def test_what_the_user_has_fixed_is_explored_only_after_a_person_has_agreed(followed: Path) -> None:
    waits = agent(followed, "--issue", "19", "--budget", "1steps")
    assert (waits.returncode, "/go" in waits.stderr) == (3, True)
    assert not (followed / "logs" / "issue-19").exists()

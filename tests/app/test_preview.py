"""What a plan looks like before it runs, with variants that are known and with variants that are to be proposed."""

import json
from pathlib import Path

from tests.support.project import agent
from tests.support.prose import PROSE, prose_issue


def test_the_plan_of_an_issue_in_prose_shows_the_prompt_and_asks_nobody(project: Path) -> None:
    prose_issue(project)
    run = agent(project, "--issue", str(PROSE), "--plan", "--budget", "20")
    assert run.returncode == 0, run.stderr
    for part in (
        "up to 2 proposals of an editor",
        "The lowest `val_bpb`",
        "Replace the relu-squared MLP",
        "up to 2 changes",
    ):
        assert part in run.stdout
    assert not (project / "experiments" / "ledger.jsonl").exists()
    told = json.loads(agent(project, "--issue", str(PROSE), "--plan", "--json").stdout)
    assert told["variants"] == []
    assert "Replace the relu-squared MLP" in told["prompt"]


def test_the_plan_of_a_table_has_no_prompt(project: Path) -> None:
    assert "prompt" not in json.loads(agent(project, "--issue", "3", "--plan", "--json").stdout)
    assert "the prompt" not in agent(project, "--issue", "3", "--plan").stdout


OVER_A_RATE = """---
number: 9
title: Rates
labels: [experiment]
---
| ID | HEAD_LR | matrix_lr | Priority |
|---|---|---|---|
| 9A | 0.01 | - | low |
| 9B | 0.005 | 0.02 | high |
| 9C | 0.02 | 0.04 | |

## Execution

Skip 9C. Each run is 500 steps.

## Decision Gate

Adopt only if val_bpb improves by at least 0.02.
"""


def test_plan_blind_no_more_every_value_that_a_variant_sets_and_every_choice_is_in_the_plan(project: Path) -> None:
    (project / "experiments" / "issues" / "0009-rates.md").write_text(OVER_A_RATE)
    plan = json.loads(agent(project, "--issue", "9", "--plan", "--json").stdout)
    assert {one["id"]: one["set"] for one in plan["variants"]} == {
        "9A": {"HEAD_LR": 0.01},
        "9B": {"HEAD_LR": 0.005, "TUNED.mini.matrix_lr": 0.02},
    }
    assert plan["baseline"]["set"] == {"HEAD_LR": 0.005, "TUNED.mini.matrix_lr": 0.08}
    assert (plan["issue"], plan["track"], plan["strategy"], plan["profile"]) == (9, "main", "table", "mini")
    assert (plan["budget"], plan["clock"], plan["seeds"], plan["order"]) == (
        "500steps",
        "steps",
        [0, 1, 2],
        ["9B", "9A"],
    )
    assert (plan["gate"]["kind"], plan["gate"]["min_gain"], plan["read_by"]) == ("confirmed", 0.02, "strict")
    assert "0009-rates.md:14" in plan["skipped"]["9C"]
    assert {"line": 6, "text": "column matrix_lr", "means": "sets TUNED.mini.matrix_lr"} in plan["read_as"]
    assert {one["line"] for one in plan["read_as"]} == {6, 14, 18}
    shown = agent(project, "--issue", "9", "--plan").stdout
    rows = [line.split() for line in shown.splitlines()]
    assert ["sets", "HEAD_LR", "TUNED.mini.matrix_lr"] in rows
    assert ["9A", "0.01", "-"] in rows
    assert "read as (strict):" in shown


def test_the_profile_decides_whose_entries_a_bare_name_sets(project: Path) -> None:
    (project / "experiments" / "issues" / "0009-rates.md").write_text(OVER_A_RATE)
    plan = json.loads(agent(project, "--issue", "9", "--plan", "--json", "--profile", "full").stdout)
    assert plan["profile"] == "full"
    assert "TUNED.full.matrix_lr" in {name for one in plan["variants"] for name in one["set"]}

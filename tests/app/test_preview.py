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

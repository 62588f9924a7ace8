"""A share of an editor's proposals made by search: no call for those, and what earlier rounds gave is known."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign.mix import BY_SEARCH, MixedEditor
from agent.campaign.plan import CampaignRequest
from agent.core.proposals import Brief, Draft, Ideas
from agent.store.ledger import Ledger
from agent.store.rounds import all_rounds
from tests.campaign.test_plan import plan
from tests.support.project import agent
from tests.support.prose import editor, prompts, prose_issue

BODY = """Replace the relu-squared MLP by something better.

```yaml
# autoresearch
strategy: freeform
variants: 2
budget: 5steps
gate: lowest
space: {DEPTH: [8, 10, 12], HEAD_LR: [0.004, 0.005, 0.006]}
search: {sampler: random}
mix: 0.5
```
"""
CHANGE = ("SIGMA = 0.001", "SIGMA = 0.0011", "more noise")


@pytest.fixture
def mixed(project: Path) -> Path:
    prose_issue(project, BODY)
    return project


def test_search_has_its_share_and_the_editor_is_asked_for_the_rest_alone(mixed: Path, tmp_path: Path) -> None:
    state = tmp_path / "editor"
    done = agent(mixed, "--issue", "5", "--editor", editor(state, [CHANGE]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(prompts(state)) == 1, "one proposal is the editor's, and one is search's"
    comment = (mixed / "experiments" / "issues" / "0005-better.comment.md").read_text()
    proposals = comment.split("### Proposals")[1].split("###")[0]
    assert "proposed by search" in proposals
    assert "more noise" in proposals
    assert proposals.count("a variant") == 2


def test_a_later_round_knows_what_the_points_of_earlier_ones_gave_and_proposes_another(
    mixed: Path, tmp_path: Path
) -> None:
    assert agent(mixed, "--issue", "5", "--editor", editor(tmp_path / "editor", [CHANGE])).returncode == 0
    planned = plan(mixed, CampaignRequest(5, "mini", "stdlib", new_round=True))
    ledger = Ledger(mixed / "experiments" / "ledger.jsonl", mixed / "lock")
    [earlier] = all_rounds(ledger, 5, planned.spec.body_sha256)
    [first] = [one for one in earlier.ideas if one.hypothesis == BY_SEARCH]
    later = MixedEditor(_Nobody(), replace(planned, round=replace(planned.round, base=earlier.base)), ledger)
    [trial] = later._trials()
    assert list(trial.values) == [0]
    [second] = later.ideas(Brief("", "", {}), 1, tmp_path).ideas
    assert second.title != first.title


class _Nobody:
    """An editor that nobody asks."""

    def ideas(self, *_: object) -> Ideas:
        raise AssertionError

    def write(self, *_: object) -> Draft:
        raise AssertionError


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("space: {DEPTH: [8, 10, 12], HEAD_LR: [0.004, 0.005, 0.006]}\n", ""), "mix: has no space to look in"),
        (("mix: 0.5", "mix: 1.5"), "mix"),
        (("strategy: freeform\nvariants: 2\n", "strategy: search\n"), "mix: is for an issue in prose"),
    ],
)
def test_a_mix_that_cannot_be_made_is_refused(project: Path, change: tuple[str, str], problem: str) -> None:
    prose_issue(project, BODY.replace(*change))
    done = agent(project, "--issue", "5", "--plan")
    assert done.returncode == 2
    assert problem in done.stderr

"""A variant as a commit: the same edit is the same commit, and a branch names it."""

import sys
from functools import partial
from pathlib import Path

from agent.campaign.commits import commit_variant
from agent.campaign.context import CampaignContext
from agent.execution import machine
from agent.execution.sandbox import NO_SANDBOX
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking.local import MarkdownTracker
from tests.campaign.test_plan import plan
from tests.support.project import git


def test_a_variant_is_committed_once_on_the_base_and_named_by_a_branch(project: Path) -> None:
    planned = plan(project)
    with Repository(project) as repo:
        ledger = Ledger(project / "ledger.jsonl", project / "lock")
        held = (repo, ledger, MarkdownTracker(project), partial(list[object]), machine.detect(), NO_SANDBOX)
        ctx = CampaignContext(*held, sys.executable, {}, lambda _: None)  # type: ignore[arg-type]
        commit = commit_variant(ctx, planned, "1D")
        assert commit_variant(ctx, planned, "1D") == commit
    assert git(project, "rev-parse", "autoresearch/issue-3/1D") == commit
    assert git(project, "rev-parse", f"{commit}^") == planned.base.commit
    assert "experiment: 1D DEPTH=8 ASPECT_RATIO=96" in git(project, "show", "-s", "--format=%B", commit)

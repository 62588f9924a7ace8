"""Which campaign asked a plan's question: the ledger's own, until anything that makes its numbers differ is changed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.app.request import last_request
from agent.app.wiring import Workspace
from agent.campaign.context import CampaignContext
from agent.campaign.plan import Plan
from agent.campaign.question import campaigns_of, find_answered, find_complete
from agent.execution.machine import detect
from agent.store.repository import Repository
from agent.tracking.local import MarkdownTracker
from tests.conftest import Finished


@pytest.fixture
def answered(finished: Finished) -> Iterator[tuple[CampaignContext, Plan]]:
    """The plan that the finished campaign had, and what it works with."""
    with Repository(finished.project) as repo:
        workspace = Workspace(repo, MarkdownTracker(finished.project), detect())
        plan = workspace.plan(last_request(3, workspace.ledger))
        yield workspace.context(plan), plan


def test_the_campaign_that_asked_the_same_is_found_with_its_answer(answered: tuple[CampaignContext, Plan]) -> None:
    ctx, plan = answered
    campaigns = ctx.ledger.campaigns(3)
    assert campaigns_of(ctx, plan) == campaigns
    assert find_answered(ctx, plan) == find_complete(ctx, plan) == campaigns[-1]


def test_a_retry_asks_anew_and_so_does_another_corpus_or_machine(answered: tuple[CampaignContext, Plan]) -> None:
    ctx, plan = answered
    assert find_answered(ctx, replace(plan, request=replace(plan.request, retry=True))) is None
    assert campaigns_of(ctx, replace(plan, request=replace(plan.request, corpus="tinystories"))) == []
    assert campaigns_of(replace(ctx, machine=replace(ctx.machine, name="another")), plan) == []


def test_a_context_that_is_only_looked_at_makes_no_executor(answered: tuple[CampaignContext, Plan]) -> None:
    ctx, plan = answered
    find_complete(ctx, plan)
    assert "executor" not in vars(ctx)

"""Which campaign of the ledger asked what a plan asks, and whether it has its answer. Loads nothing that runs one."""

from agent.campaign.context import CampaignContext
from agent.campaign.plan import Plan
from agent.campaign.promote import pending_promotion
from agent.campaign.rules import gate_rules
from agent.core.experiment import BASELINE
from agent.core.records import CampaignRecord
from agent.core.runs import Conditions
from agent.execution.machine import torch_version


def find_answered(ctx: CampaignContext, plan: Plan) -> CampaignRecord | None:
    """Return the latest campaign that asked the same question, where it has its verdict and no retry is asked for."""
    same = campaigns_of(ctx, plan)
    return same[-1] if same and ctx.ledger.verdict(same[-1]) and not plan.request.retry else None


def find_complete(ctx: CampaignContext, plan: Plan) -> CampaignRecord | None:
    """Return the campaign that answers a plan's question, where the winner of its verdict is promoted too."""
    answered = find_answered(ctx, plan)
    return None if answered is None or pending_promotion(ctx.ledger, answered) else answered


def campaigns_of(ctx: CampaignContext, plan: Plan) -> list[CampaignRecord]:
    """Return the campaigns that asked a plan's question, oldest first."""
    return [one for one in ctx.ledger.campaigns(plan.spec.issue.number) if _same_question(ctx, plan, one)]


def _same_question(ctx: CampaignContext, plan: Plan, campaign: CampaignRecord) -> bool:
    """Return whether a campaign is the plan's, whatever the corpus's fingerprint; other variants are a new question."""
    name, _, fingerprint = campaign.conditions.corpus.rpartition(":")
    rules = plan.rules
    if campaign.gate.kind == "fixed" and plan.request.gate is None and ctx.ledger.verdict(campaign):
        rules = gate_rules("fixed", plan.spec, plan.track, plan.rules.more)  # the default once: its verdicts stand
    frozen = (plan.spec.body_sha256, plan.base.commit, rules, conditions_of(ctx, plan, fingerprint))
    same = (campaign.body_sha256, campaign.base, campaign.gate, campaign.conditions) == frozen
    added = {one.candidate.name for one in ctx.ledger.added(campaign)}
    listed = {BASELINE, *plan.order} - added
    return same and name == plan.corpus and campaign.commits.keys() - added == listed


def conditions_of(ctx: CampaignContext, plan: Plan, fingerprint: str) -> Conditions:
    """Return the conditions of a plan's runs; `fingerprint` is that of the prepared corpus."""
    return Conditions(
        track=plan.track.name,
        corpus=f"{plan.corpus}:{fingerprint}",
        profile=plan.profile,
        clock=plan.clock,
        budget=plan.budget,
        machine=ctx.machine.name_for(plan.profile, torch_version()),
    )

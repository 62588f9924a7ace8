"""A variant as a commit: made once from the base, named by a branch of its own."""

from agent.campaign.context import CampaignContext
from agent.campaign.evidence import constants_set
from agent.campaign.plan import Plan, message
from agent.core.faults import fault_point


def commit_variant(ctx: CampaignContext, plan: Plan, name: str) -> str:
    """Commit a variant on the base, unless it is committed already, and have its own branch name the commit."""
    one, issue = plan.resolved(name), plan.spec.issue
    constants = constants_set(plan, one) if one.variant.only_sets_constants else {}
    fault_point("commit-before")
    commit = one.variant.commit or ctx.repo.commit(plan.base.commit, one.files, message(plan, one.variant, constants))
    fault_point("commit-made")
    ctx.repo.set_branch(f"autoresearch/issue-{issue.number}/{name}", commit)
    fault_point("commit-after")
    return commit

"""The promotion of a campaign's winner: the baseline becomes its commit. Done once, however often it is called."""

from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView, why_not_auditable
from agent.core.faults import fault_point
from agent.core.protocols import Notice
from agent.core.records import CampaignRecord, PromotionRecord, utc_now
from agent.store.baseline import baseline_branch, same_files
from agent.store.ledger import Ledger


def pending_promotion(ledger: Ledger, campaign: CampaignRecord) -> str | None:
    """Return the variant that a campaign's verdict keeps and that is not promoted yet."""
    record = ledger.verdict(campaign)
    if record is None or record.verdict.decision != "keep":
        return None
    if not why_not_auditable(campaign) and not any(one.status == "passed" for one in ledger.audits(campaign)):
        return None  # it could have been audited, and was not, or did not pass
    return None if promotion_of(ledger, campaign) else record.verdict.variant


def promotion_of(ledger: Ledger, campaign: CampaignRecord) -> PromotionRecord | None:
    """Return the record of a campaign's promotion."""
    promotions = ledger.promotions(campaign.conditions.track)
    return next((one for one in promotions if one.campaign_id == campaign.at), None)


def promote(ctx: CampaignContext, view: CampaignView) -> None:
    """Move the baseline to the winner, once: from the campaign's base, or from what this issue promoted before.

    Where somebody else has moved it meanwhile it stays, and the board shows that.
    """
    campaign, track = view.campaign, view.plan.track.name
    variant = pending_promotion(ctx.ledger, campaign)
    if variant is None:
        return
    here = ctx.repo.resolve(f"refs/heads/{baseline_branch(track)}")
    new = _promoted_commit(ctx, view, campaign.commits[variant], here)
    fault_point("promotion-before")
    if new is None or not (here == new or ctx.repo.compare_and_swap(baseline_branch(track), new, here)):
        return
    fault_point("promotion-moved")
    record = PromotionRecord(
        issue=campaign.issue,
        campaign_id=campaign.at,
        track=track,
        variant=variant,
        profile=campaign.conditions.profile,
        old=campaign.base if here is None or here == new else here,
        new=new,
        at=utc_now(),
    )
    ctx.ledger.append(record)
    fault_point("promotion-recorded")
    ctx.emit(Notice(f"baseline {track} is now {new[:7]} ({variant})"))


def _promoted_commit(ctx: CampaignContext, view: CampaignView, winner: str, here: str | None) -> str | None:
    """Return the baseline to be where it now is `here`; None where that is another's experiment.

    Where the user's own commits have moved it (a README, the next issue), the winner's edits are put on top of them.
    """
    campaign, track = view.campaign, view.plan.track
    own = {one.new for one in ctx.ledger.promotions(track.name) if one.issue == campaign.issue}
    if here is None or here in {campaign.base, winner, *own}:
        return winner
    if same_files(ctx.repo, track, winner, here):  # a crash came between the move and its record
        return here
    if not same_files(ctx.repo, track, campaign.base, here):
        return None
    files = {path: ctx.repo.read(winner, path) or "" for path in ctx.repo.changed(campaign.base, winner)}
    return ctx.repo.commit(here, files, f"experiment: winner of issue {campaign.issue}, measured as {winner[:7]}")

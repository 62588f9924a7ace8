"""What follows a verdict: the promotion, and everything that can be read elsewhere. Done once, however often asked."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence

from agent.campaign.base import resolve_at
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView, campaign_chain, constants_set, why_not_auditable
from agent.campaign.plan import Plan, all_commands
from agent.core.errors import BadInput
from agent.core.experiment import BASELINE, IssueStatus, Shape
from agent.core.faults import fault_point
from agent.core.protocols import Notice
from agent.core.records import AuditRecord, CampaignRecord, PromotionRecord, RunRecord, SpendRecord, utc_now
from agent.core.runs import Delivery, Verdict
from agent.core.sanitize import one_line, redact, secrets
from agent.editors.spending import spent
from agent.gate.verdict import spread
from agent.spec.preflight import Resolved
from agent.store import rounds
from agent.store.baseline import baseline_branch, same_files
from agent.store.ledger import Ledger
from agent.store.repository import NOTES
from agent.tracking import comment as comment_module
from agent.tracking.comment import Board, IssueSummary, Row, marker, note, results_tsv, unbegun


def pending_promotion(ledger: Ledger, campaign: CampaignRecord) -> str | None:
    """The variant that a campaign's verdict keeps and that is not promoted yet."""
    record = ledger.verdict(campaign)
    if record is None or record.verdict.decision != "keep":
        return None
    if not why_not_auditable(campaign) and not any(one.status == "passed" for one in ledger.audits(campaign)):
        return None  # it could have been audited, and was not, or did not pass
    done = any(promotion.campaign_id == campaign.at for promotion in ledger.promotions(campaign.conditions.track))
    return None if done else record.verdict.variant


def promote(parts: CampaignContext, evidence: CampaignView) -> None:
    """Move the baseline to the winner, once: from the campaign's base, or from what this issue promoted before.

    Where somebody else has moved it meanwhile it stays, and the board says so.
    """
    campaign, track = evidence.campaign, evidence.plan.track.name
    variant = pending_promotion(parts.ledger, campaign)
    if variant is None:
        return
    here = parts.repo.resolve(f"refs/heads/{baseline_branch(track)}")
    new = _promoted(parts, evidence, campaign.commits[variant], here)
    fault_point("promotion-before")
    if new is None or not (here == new or parts.repo.compare_and_swap(baseline_branch(track), new, here)):
        return
    fault_point("promotion-moved")
    old = here if here not in (None, new) else campaign.base
    parts.ledger.append(
        PromotionRecord(
            issue=campaign.issue,
            campaign_id=campaign.at,
            track=track,
            variant=variant,
            profile=campaign.conditions.profile,
            old=old,
            new=new,
            at=utc_now(),
        )
    )
    fault_point("promotion-recorded")
    parts.emit(Notice(f"baseline {track} is now {new[:7]} ({variant})"))


def _promoted(parts: CampaignContext, evidence: CampaignView, winner: str, here: str | None) -> str | None:
    """What the baseline is to be where it now is `here`; None where that is another's experiment.

    Where the user's own commits have moved it (a README, the next issue), the winner's edits are put on top of them.
    """
    campaign, track = evidence.campaign, evidence.plan.track
    own = {p.new for p in parts.ledger.promotions(track.name) if p.issue == campaign.issue}
    if here is None or here in {campaign.base, winner, *own}:
        return winner
    if same_files(parts.repo, track, winner, here):  # a crash came between the move and its record
        return here
    if not same_files(parts.repo, track, campaign.base, here):
        return None
    files = {path: parts.repo.read(winner, path) or "" for path in parts.repo.changed(campaign.base, winner)}
    return parts.repo.commit(here, files, f"experiment: winner of issue {campaign.issue}, measured as {winner[:7]}")


def latest_board(parts: CampaignContext, plan: Plan) -> Board:
    """The board of the issue's latest campaign as it stands. Raises BadInput where the issue was edited since."""
    asked = parts.ledger.campaigns(plan.spec.issue.number)[-1]
    if asked.body_sha256 != plan.spec.body_sha256:
        raise BadInput(
            "the issue has changed since it ran",
            where=plan.spec.issue.source,
            next_step="run the issue again to have an answer to what it says now",
        )
    return make_board(parts, CampaignView(plan, asked, parts.ledger))


def make_board(parts: CampaignContext, evidence: CampaignView) -> Board:
    """The board of a campaign as it stands."""
    plan = evidence.plan
    here = parts.repo.resolve(f"refs/heads/{baseline_branch(plan.track.name)}") or plan.base.commit
    shape = resolve_at(parts.repo, plan.track, here).shapes.get("full")
    return build_board(evidence, here, shape, _command(plan), _notices(parts.ledger, evidence, here))


def build_board(
    view: CampaignView, current: str, current_shape: Shape | None, command: str, notices: Sequence[str] = ()
) -> Board:
    """Return all that a report shows of a campaign; `current` is the track's baseline commit as it is now."""
    plan, record = view.plan, view.ledger.verdict(view.campaign)
    verdicts = {one.variant: one for one in record.variants} if record else {}
    resolved = (plan.baseline, *plan.variants)
    values = {one.variant.name: _published(view.runs(one.variant.name), one.variant.name) for one in resolved}
    return Board(
        spec=plan.spec,
        track=plan.track,
        campaign=view.campaign,
        rows=tuple(_row(view, one, values, verdicts.get(one.variant.name)) for one in resolved),
        verdict=record.verdict if record else None,
        current=current,
        current_shape=current_shape,
        command=command,
        notices=(*plan.notices, *notices),
        audits=tuple(view.audits()),
        steering=tuple(all_commands(view.ledger, plan.spec)),
        proposals=tuple(rounds.proposal_rows(plan.round)),
        rounds=tuple(rounds.history(view.ledger, view.campaign.issue, plan.spec.body_sha256)),
        usd=float(spent(view.ledger.records_of(SpendRecord, view.campaign.issue))),
    )


def _row(view: CampaignView, one: Resolved, published: Mapping[str, Sequence[float]], verdict: Verdict | None) -> Row:
    plan, name = view.plan, one.variant.name
    values = published[name]
    others = [group for other, group in published.items() if other != name]
    return Row(
        name=name,
        sets=constants_set(plan, one),
        why=one.variant.why,
        commit=view.campaign.commits[name],
        shape=one.shapes.get(plan.profile),
        runs=tuple(view.runs(name)),
        verdict=verdict,
        mean=sum(values) / len(values) if values else None,
        spread=spread(values, [*others, *view.groups()]),
        n=len(values),
    )


def _published(runs: Sequence[RunRecord], name: str) -> list[float]:
    """Return the values whose mean is a variant's: no screening run where there are others (it was selected)."""
    quiet = [run for run in runs if run.status == "ok"]
    unselected = [run for run in quiet if run.role != "screen"]
    chosen = unselected if unselected or name == BASELINE else quiet
    return [run.metric for run in chosen if run.metric is not None]


def _notices(ledger: Ledger, evidence: CampaignView, here: str) -> list[str]:
    """What the user should know, or is left to do."""
    campaign, notices = evidence.campaign, []
    if why := why_not_auditable(campaign):
        notices.append(f"no winner is audited here: {why}; a number is what the script says it is")
    if variant := pending_promotion(ledger, campaign):
        by_hand = _by_hand(evidence, variant)
        notices.append(f"{variant} is not promoted: the baseline had moved to {here[:7]}; to promote it: {by_hand}")
    record = ledger.verdict(campaign)
    doubted = {one.variant: one for one in evidence.audits() if one.status != "passed"}
    if record and any(one.decision == "failed" and one.variant not in doubted for one in record.variants):
        notices.append("to run what failed once more, and only that, add --retry")
    return notices + [_kept(evidence, one) for one in doubted.values()]


def _kept(evidence: CampaignView, one: AuditRecord) -> str:
    """What a person can do for a variant that its audit refused, or left to them."""
    said = "failed its audit" if one.status == "failed" else "waits for a person"
    told = f"{one.variant} {said}, and the same files are not audited again; once edited they are"
    return f"{told}; to promote it by your own judgement: {_by_hand(evidence, one.variant)}"


def _by_hand(evidence: CampaignView, variant: str) -> str:
    """The command that makes a variant the baseline."""
    return f"git update-ref refs/heads/{baseline_branch(evidence.plan.track.name)} {evidence.campaign.commits[variant]}"


def _command(plan: Plan) -> str:
    """The command that brings about the same campaign anywhere."""
    clock = "" if plan.clock == "steps" else f" --clock {plan.clock}"
    told = f"--budget {plan.budget}{clock} --gate {plan.rules.kind} --profile {plan.profile}"
    return f"python agent/run.py --issue {plan.spec.issue.number} {told} --corpus {shlex.quote(plan.corpus)}"


def publish(parts: CampaignContext, shown: Board) -> None:
    """Write notes, results.tsv and the comment. All are derived from the ledger, and written only where they differ."""
    for commit in shown.campaign.commits.values():
        text = _note(parts.ledger, commit, shown.track.metric)
        if parts.repo.read_note(commit) != text:
            fault_point("note-before")
            parts.repo.note(commit, text)
            fault_point("note-after")
    fault_point("export-before")
    _export(parts.ledger)
    fault_point("comment-before")
    parts.outbox.post_all(shown.spec.issue.number, _posts(parts, shown))
    fault_point("comment-after")


def publish_replies(parts: CampaignContext, plan: Plan, evidence: CampaignView | None) -> None:
    """Show in the comment what became of people's commands, before there is a verdict or even a campaign."""
    number = plan.spec.issue.number
    text = comment(make_board(parts, evidence)) if evidence else _safe(unbegun(_said(parts, plan)))
    parts.outbox.post(number, "comment", text)


def publish_no_proposals(parts: CampaignContext, plan: Plan, why: str) -> None:
    """Tell the issue that none of its proposals could run."""
    number = plan.spec.issue.number
    told = _safe(comment_module.fruitless(_said(parts, plan), why))
    parts.outbox.post_all(number, [("comment", told), ("status", "review")])


def _said(parts: CampaignContext, plan: Plan) -> IssueSummary:
    number, told = plan.spec.issue.number, plan.spec.body_sha256
    return IssueSummary(
        number, tuple(all_commands(parts.ledger, plan.spec)), tuple(rounds.history(parts.ledger, number, told))
    )


def _posts(parts: CampaignContext, shown: Board) -> Iterator[tuple[Delivery, str]]:
    """What the tracker is to have of a campaign, in the order of its dependence."""
    status = _status(parts.ledger, shown)
    if parts.tracker.upstream is not None:
        yield "push", "\n".join(_refs(parts, shown))
    if parts.pull and (winner := _promoted_variant(parts.ledger, shown)):
        yield "pull", _proposal(shown, winner)
    yield "comment", comment(shown)
    yield "status", status
    if parts.close and status == "done":
        yield "close", ""
    elif parts.close:
        parts.emit(Notice("the issue stays open: its verdict waits for a person"))


def _refs(parts: CampaignContext, shown: Board) -> list[str]:
    """Every variant's branch (what they named before, too), the baseline, the notes."""
    variants = parts.repo.branches(f"autoresearch/issue-{shown.spec.issue.number}/")
    return [*variants, f"refs/heads/{baseline_branch(shown.track.name)}", NOTES]


def _status(ledger: Ledger, shown: Board) -> IssueStatus:
    """Whether a person has to look: too good to be true, undecided, or a winner that is not the baseline."""
    waits = (
        shown.verdict is None or shown.verdict.decision == "inconclusive" or pending_promotion(ledger, shown.campaign)
    )
    return "review" if waits else "done"


def _promoted_variant(ledger: Ledger, shown: Board) -> str | None:
    found = ledger.promotions(shown.track.name)
    return next((one.variant for one in found if one.campaign_id == shown.campaign.at), None)


def _proposal(shown: Board, winner: str) -> str:
    """Branch, title and text of the winner's pull request; it mentions its issue and does not close it."""
    issue = shown.spec.issue
    title = one_line(f"experiment: {winner} of issue {issue.number}, {issue.title}", limit=120)
    text = comment(shown).removeprefix(marker(issue.number)).strip()
    return f"autoresearch/issue-{issue.number}/{winner}\n{title}\nThe winner of #{issue.number}.\n\n{text}\n"


def comment(shown: Board) -> str:
    """The issue's comment, without any secret of this machine."""
    return _safe(comment_module.comment(shown))


def _safe(text: str) -> str:
    return redact(text, secrets(os.environ))


def _decided(ledger: Ledger) -> list[tuple[CampaignRecord, tuple[Verdict, ...], list[RunRecord]]]:
    """Campaigns with a verdict: the verdict first, then that of each variant, and the runs that led to it."""
    runs, found = ledger.runs(), []
    for campaign in ledger.campaigns():
        if record := ledger.verdict(campaign):
            own = campaign_chain(ledger, campaign)
            made = [run for run in runs if run.campaign_id in own]
            found.append((campaign, (record.verdict, *record.variants), made))
    return found


def _note(ledger: Ledger, commit: str, metric: str) -> str:
    """What every decided campaign that had the commit in it found, one after another: no later one hides an earlier."""
    sections = []
    for campaign, (_, *variants), made in _decided(ledger):
        for name in (name for name, known in campaign.commits.items() if known == commit):
            verdict = next((one for one in variants if one.variant == name and name != BASELINE), None)
            runs = [run for run in made if run.commit == commit]
            sections.append(note(campaign, name, verdict, runs, metric))
    return _safe("\n\n".join(sections))


def _export(ledger: Ledger) -> None:
    """results.tsv beside the ledger, whole each time."""
    path = ledger.path.with_name("results.tsv")
    text = _safe(results_tsv([(verdict, made) for _, (verdict, *_), made in _decided(ledger)])).encode()
    if not path.exists() or path.read_bytes() != text:
        draft = path.with_suffix(".draft")
        draft.write_bytes(text)
        fault_point("export-drafted")
        draft.replace(path)

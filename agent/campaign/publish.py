"""The reports of a campaign: its board, the comment, git notes, results.tsv. Written only where they differ."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from agent.campaign.base import resolve_at
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView, campaign_chain, constants_set, why_not_auditable
from agent.campaign.explore import findings_so_far, open_view
from agent.campaign.pictures import draw_pictures, pictures_branch
from agent.campaign.plan import Plan, all_commands
from agent.campaign.promote import pending_promotion, promotion_of
from agent.core.errors import BadInput
from agent.core.experiment import BASELINE, IssueStatus, Shape
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.protocols import Notice
from agent.core.records import AuditRecord, CampaignRecord, RunRecord, SpendRecord, VerdictRecord
from agent.core.runs import Delivery, Verdict
from agent.core.sanitize import one_line, redact, secrets
from agent.core.trials import Findings
from agent.editors.spending import spent
from agent.gate.history import History
from agent.gate.stats import pool, spread
from agent.spec.preflight import Resolved
from agent.store import rounds
from agent.store.baseline import baseline_branch
from agent.store.ledger import Ledger
from agent.store.repository import NOTES
from agent.tracking.board import Board, IssueSummary, Row
from agent.tracking.comment import (
    comment,
    comment_before_campaign,
    comment_before_confirmation,
    comment_without_proposals,
    marker,
)
from agent.tracking.exports import note, results_tsv

# --- the board --------------------------------------------------------------------------------------------


def latest_board(ctx: CampaignContext, plan: Plan) -> Board:
    """Return the board of the issue's latest campaign. Raises BadInput where the issue was edited since."""
    campaign = ctx.ledger.campaigns(plan.spec.issue.number)[-1]
    if campaign.body_sha256 != plan.spec.body_sha256:
        raise BadInput(
            "the issue has changed since it ran",
            where=plan.spec.issue.source,
            next_step="run the issue again to have an answer to what it says now",
        )
    return make_board(ctx, open_view(plan, campaign, ctx.ledger))


def make_board(ctx: CampaignContext, view: CampaignView) -> Board:
    """Return the board of a campaign as it stands."""
    plan = view.plan
    here = ctx.repo.resolve(f"refs/heads/{baseline_branch(plan.track.name)}") or plan.base.commit
    current = plan.baseline if here == plan.base.commit else resolve_at(ctx.repo, plan.track, here, ctx.ledger)
    return build_board(view, here, current.shapes.get("full"), _command(plan), _notices(ctx.ledger, view, here))


def build_board(
    view: CampaignView, current: str, current_shape: Shape | None, command: str, notices: Sequence[str] = ()
) -> Board:
    """Return all that a report shows of a campaign; `current` is the track's baseline commit as it is now."""
    plan, record = view.plan, view.ledger.verdict(view.campaign)
    return Board(
        spec=plan.spec,
        track=plan.track,
        campaign=view.campaign,
        rows=_rows(view, record),
        verdict=record.verdict if record else None,
        current=current,
        current_shape=current_shape,
        command=command,
        notices=(*plan.notices, *notices),
        audits=tuple(view.audits()),
        steering=tuple(all_commands(view.ledger, plan.spec)),
        proposals=rounds.proposal_rows(plan.round),
        rounds=rounds.round_rows(view.ledger, view.campaign.issue, plan.spec.body_sha256),
        usd=float(spent(view.ledger.records_of(SpendRecord, view.campaign.issue))),
        findings=_findings(view, record),
    )


def _findings(view: CampaignView, record: VerdictRecord | None) -> Findings | None:
    """Return what the strategy found, as its verdict has it, else what it would say now."""
    if record is not None or not (view.plan.explores or view.plan.spec.claims):
        return record.findings if record else None
    return findings_so_far(view)


def _rows(view: CampaignView, record: VerdictRecord | None) -> tuple[Row, ...]:
    history = view.history()
    verdicts = {one.variant: one for one in record.variants} if record else {}
    rows = [
        _row(view, one, history, verdicts.get(one.variant.name)) for one in (view.plan.baseline, *view.plan.variants)
    ]
    if record and record.verdict.baseline_mean is not None:
        rows[0] = replace(rows[0], mean=record.verdict.baseline_mean, n=record.verdict.baseline_n or 0)
    noise = pool(
        [
            *(list(history.deciding(row.name).values()) for row in rows),
            *(one.values() for one in view.replicate_groups()),
        ]
    )
    return tuple(replace(row, spread=spread(noise, row.n)) for row in rows)


def _row(view: CampaignView, one: Resolved, history: History, verdict: Verdict | None) -> Row:
    """Return a variant's row: its mean as its verdict has it, else over the runs that would decide it now."""
    name = one.variant.name
    decided = verdict if verdict and verdict.mean is not None else None
    return Row(
        name=name,
        sets=constants_set(view.plan, one),
        why=one.variant.why,
        commit=view.campaign.commits[name],
        shape=one.shapes.get(view.plan.profile),
        runs=(*view.runs(name), *([probe] if (probe := view.failed_probe(name)) else [])),
        verdict=verdict,
        mean=decided.mean if decided else history.mean_of(name),
        spread=None,
        n=decided.n if decided else len(history.deciding(name)),
    )


def _notices(ledger: Ledger, view: CampaignView, here: str) -> list[str]:
    """Return what the user should know, or is left to do."""
    campaign, notices = view.campaign, []
    if why := why_not_auditable(campaign):
        notices.append(f"no winner is audited here: {why}; a number is what the script says it is")
    if variant := pending_promotion(ledger, campaign):
        by_hand = _promote_by_hand(view, variant)
        notices.append(f"{variant} is not promoted: the baseline had moved to {here[:7]}; to promote it: {by_hand}")
    record = ledger.verdict(campaign)
    if record and record.verdict.decision == "inconclusive" and not _waits_for_a_person(view, record):
        named = re.search(r"--more ([0-9]+)", record.verdict.reason)
        count = named[1] if named else "2"
        further = f"{_command(view.plan)} --more {count}"
        notices.append(
            f"to settle it, run the leader and the baseline {count} times more: {further}; "
            f"or comment /more {count}, and give the same command as before"
        )
    unpassed = {one.variant: one for one in view.audits() if one.status != "passed"}
    failed = {one.variant for one in record.variants if one.decision == "failed"} if record else set()
    if failed & campaign.commits.keys() - unpassed.keys():  # a candidate that could not run has no commit
        notices.append("to run what failed once more, and only that, add --retry")
    return notices + [_unpassed_notice(view, one) for one in unpassed.values()]


def _waits_for_a_person(view: CampaignView, record: VerdictRecord) -> bool:
    return any(one.status == "quarantined" and one.variant == record.verdict.variant for one in view.audits())


def _unpassed_notice(view: CampaignView, audit: AuditRecord) -> str:
    """Return what a person can do for a variant that its audit refused, or left to them."""
    result = "failed its audit" if audit.status == "failed" else "waits for a person"
    return (
        f"{audit.variant} {result}, and the same files are not audited again; once edited they are; "
        f"to promote it by your own judgement: {_promote_by_hand(view, audit.variant)}"
    )


def _promote_by_hand(view: CampaignView, variant: str) -> str:
    """Return the command that makes a variant the baseline."""
    return f"git update-ref refs/heads/{baseline_branch(view.plan.track.name)} {view.campaign.commits[variant]}"


def _command(plan: Plan) -> str:
    """Return the command that brings about the same campaign anywhere."""
    clock = "" if plan.clock == "steps" else f" --clock {plan.clock}"
    gate = (
        f" --gate {plan.rules.kind}" if plan.rules.kind in ("confirmed", "fixed", "lowest") else ""
    )  # the issue has others
    choices = f"--budget {plan.budget}{clock}{gate} --profile {plan.profile}"
    return f"python agent/run.py --issue {plan.spec.issue.number} {choices} --corpus {shlex.quote(plan.corpus)}"


# --- publication ------------------------------------------------------------------------------------------


def publish(ctx: CampaignContext, view: CampaignView, board: Board) -> None:
    """Write notes, results.tsv, pictures and the comment: derived from the ledger, written only where they differ."""
    decided = _decided(ctx.ledger)
    notes = _notes(decided, board)
    if changed := ctx.repo.changed_notes(notes):
        fault_point("note-before")
        ctx.repo.write_notes(changed)
        fault_point("note-after")
    fault_point("export-before")
    _export(ctx.ledger, decided)
    fault_point("pictures-before")
    board = replace(board, pictures=draw_pictures(ctx, view))
    fault_point("comment-before")
    ctx.outbox.post_all(board.spec.issue.number, _posts(ctx, board))
    fault_point("comment-after")


def publish_replies(ctx: CampaignContext, plan: Plan, view: CampaignView | None) -> None:
    """Show in the comment what became of people's commands, before there is a verdict or even a campaign."""
    text = report(make_board(ctx, view)) if view else _redacted(comment_before_campaign(_summary(ctx, plan)))
    ctx.outbox.post(plan.spec.issue.number, "comment", text)


def publish_waiting(ctx: CampaignContext, plan: Plan) -> None:
    """Show how the issue was read, and that a person's /go is waited for."""
    text = _redacted(comment_before_confirmation(_summary(ctx, plan), plan.spec))
    ctx.outbox.post_all(plan.spec.issue.number, [("comment", text), ("status", "review")])


def publish_no_proposals(ctx: CampaignContext, plan: Plan, reason: str) -> None:
    """Report on the issue that none of its proposals can run."""
    text = _redacted(comment_without_proposals(_summary(ctx, plan), reason))
    ctx.outbox.post_all(plan.spec.issue.number, [("comment", text), ("status", "review")])


def report(board: Board) -> str:
    """Return the issue's comment, without any secret of this machine."""
    return _redacted(comment(board))


def _redacted(text: str) -> str:
    return redact(text, secrets(os.environ))


def _summary(ctx: CampaignContext, plan: Plan) -> IssueSummary:
    issue, commands = plan.spec.issue.number, all_commands(ctx.ledger, plan.spec)
    return IssueSummary(issue, tuple(commands), rounds.round_rows(ctx.ledger, issue, plan.spec.body_sha256))


def _posts(ctx: CampaignContext, board: Board) -> Iterator[tuple[Delivery, str]]:
    """Yield what the tracker is to have of a campaign, each after what it depends on."""
    status, text = _status(ctx.ledger, board), report(board)
    if ctx.tracker.upstream is not None:
        yield "push", "\n".join(_refs(ctx, board))
    if ctx.pull and (promotion := promotion_of(ctx.ledger, board.campaign)):
        yield "pull", _pull_request(board, promotion.variant, text)
    yield "comment", text
    yield "status", status
    if ctx.close and status == "done":
        yield "close", ""
    elif ctx.close:
        ctx.emit(Notice("the issue stays open: its verdict waits for a person"))


def _refs(ctx: CampaignContext, board: Board) -> list[str]:
    """Return every variant's branch (of earlier campaigns, too), the pictures, the baseline, the notes."""
    variants = ctx.repo.branches(f"autoresearch/issue-{board.spec.issue.number}/")
    pictures = f"refs/heads/{pictures_branch(board.spec.issue.number)}"
    return [*variants, pictures, f"refs/heads/{baseline_branch(board.track.name)}", NOTES]


def _status(ledger: Ledger, board: Board) -> IssueStatus:
    """Return whether a person has to look: too good to be true, undecided, or a winner that is not the baseline."""
    undecided = board.verdict is None or board.verdict.decision == "inconclusive"
    return "review" if undecided or pending_promotion(ledger, board.campaign) else "done"


def _pull_request(board: Board, winner: str, text: str) -> str:
    """Return branch, title and text of the winner's pull request; it mentions its issue and does not close it."""
    issue = board.spec.issue
    title = one_line(f"experiment: {winner} of issue {issue.number}, {issue.title}", limit=120)
    body = text.removeprefix(marker(issue.number)).strip()
    return f"autoresearch/issue-{issue.number}/{winner}\n{title}\nThe winner of #{issue.number}.\n\n{body}\n"


# --- notes and results.tsv --------------------------------------------------------------------------------


@frozen
class _Decided:
    """A campaign with its verdict, and the runs that led to it."""

    campaign: CampaignRecord
    record: VerdictRecord
    runs: tuple[RunRecord, ...]


def _decided(ledger: Ledger) -> list[_Decided]:
    """Return the campaigns that have a verdict, oldest first."""
    runs: dict[str, list[tuple[int, RunRecord]]] = {}
    for at, run in enumerate(ledger.runs()):
        runs.setdefault(run.campaign_id, []).append((at, run))
    decided = []
    for campaign in ledger.campaigns():
        if record := ledger.verdict(campaign):
            own = chain.from_iterable(runs.get(one, ()) for one in campaign_chain(ledger, campaign))
            decided.append(_Decided(campaign, record, tuple(run for _, run in sorted(own, key=lambda pair: pair[0]))))
    return decided


def _notes(decided: Iterable[_Decided], board: Board) -> dict[str, str]:
    """Return the note of each commit of a board's campaign: what every decided campaign measured of it, oldest first.

    No later campaign hides an earlier one.
    """
    sections: dict[str, list[str]] = {commit: [] for commit in board.campaign.commits.values()}
    for one in decided:
        verdicts = {verdict.variant: verdict for verdict in one.record.variants}
        runs: dict[str, list[RunRecord]] = {}
        for run in one.runs:
            runs.setdefault(run.commit, []).append(run)
        for name, commit in one.campaign.commits.items():
            if commit in sections:
                verdict = verdicts.get(name) if name != BASELINE else None
                sections[commit].append(note(one.campaign, name, verdict, runs.get(commit, ()), board.track.metric))
    known = secrets(os.environ)
    return {commit: redact("\n\n".join(those), known) for commit, those in sections.items()}


def _export(ledger: Ledger, decided: Iterable[_Decided]) -> None:
    """Write results.tsv beside the ledger, whole each time."""
    path = ledger.path.with_name("results.tsv")
    text = _redacted(results_tsv([(one.record.verdict, one.runs) for one in decided])).encode()
    if not path.exists() or path.read_bytes() != text:
        draft = path.with_suffix(".draft")
        draft.write_bytes(text)
        fault_point("export-drafted")
        draft.replace(path)

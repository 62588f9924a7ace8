"""From an issue in prose to variants: an editor's ideas, each drafted, checked before any GPU time, and recorded."""

import os
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from pathlib import Path

from agent.campaign import jobs, steer
from agent.campaign.context import CampaignContext
from agent.campaign.drafts import SUMMARY_CAP, CheckResult, DraftChecker, commit_draft
from agent.campaign.plan import Plan
from agent.core.errors import NothingToRun, SpendingCapReached
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.proposals import Brief, Draft, Idea
from agent.core.protocols import Editor, Notice
from agent.core.records import ProposalRecord, RoundRecord, SpendRecord, utc_now
from agent.core.sanitize import one_line, secrets
from agent.core.sizes import ModelSize
from agent.editors import prompt
from agent.editors.spending import spent
from agent.execution.machine import torch_version
from agent.store import rounds
from agent.store.rounds import Round

RULES = "program.md"
MAX_REVISIONS = 3  # times that a draft goes back to its editor with its failure
FAILURE_CAP = 600  # characters of why a proposal was refused, in its record


def propose(ctx: CampaignContext, plan: Plan, editor: Editor, guidance: str = "") -> Round:
    """Complete the plan's round and return it: ideas, then a proposal of each. What the ledger has is not done twice.

    Raises Paused where money or time is used up, NothingToRun where the editor had no idea or none can run.
    """
    check(plan)
    brief = make_brief(ctx, plan, guidance)
    steer.check_stopped(ctx, plan)
    corpus = jobs.prepare_corpus(ctx, plan)  # first: without it nothing that is paid for could run
    round = plan.round if plan.round.ideas_received else _ask_for_ideas(ctx, plan, editor, brief, corpus)
    for idea in round.open_ideas:
        steer.check_stopped(ctx, plan)
        _propose_one(ctx, plan, editor, brief, DraftChecker(ctx, plan, idea, corpus))
    completed = _latest_round(ctx, plan)
    check(replace(plan, round=completed))
    return completed


def check(plan: Plan) -> None:
    """Raise NothingToRun where the plan's round is complete without a proposal that can run."""
    round = plan.round
    if not plan.spec.proposals or not round.complete or round.accepted:
        return
    refused = "; ".join(f"{one.variant}: {one.failure}" for one in round.proposals)
    raise NothingToRun(
        f"no proposal can run: {round.failure or refused}",
        where=plan.spec.issue.source,
        next_step="say in the issue what you mean more exactly, or ask for another round: --retry",
    )


def _latest_round(ctx: CampaignContext, plan: Plan) -> Round:
    return rounds.all_rounds(ctx.ledger, plan.spec.issue.number, plan.spec.body_sha256)[-1]


def _folder(ctx: CampaignContext, plan: Plan, name: str) -> Path:
    """Return the folder of a conversation with the editor."""
    folder = ctx.logs / f"issue-{plan.spec.issue.number}" / name / "proposal"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- the brief --------------------------------------------------------------------------------------------


def make_brief(ctx: CampaignContext, plan: Plan, guidance: str) -> Brief:
    """Return what the editor reads in this round."""
    sources = plan.base.sources
    return prompt.brief(
        ctx.repo.read(plan.base.commit, RULES) or "",
        plan.track,
        plan.spec.issue,
        sources.files,
        {**_setting(ctx, plan), **sources.facts.get(plan.profile, {})},
        rounds.past_attempts(ctx.ledger, plan.track.name),
        guidance,
        secrets(os.environ),
    )


def _setting(ctx: CampaignContext, plan: Plan) -> dict[str, object]:
    """Return where and for how long a run trains, and how large the baseline is there."""
    setting: dict[str, object] = {
        "a run": f"{plan.budget} of training",
        "profile": plan.profile,
        "device": ctx.machine.name_for(plan.profile, torch_version()),
    }
    shape = plan.baseline.shapes.get(plan.profile)
    if shape:
        setting["the baseline here"] = f"{shape.params:,} parameters, model_dim {shape.model_dim}"
    return setting


# --- ideas ------------------------------------------------------------------------------------------------


def _ask_for_ideas(ctx: CampaignContext, plan: Plan, editor: Editor, brief: Brief, corpus: jobs.Corpus) -> Round:
    """Have the editor name ideas and record them; return the round with them."""
    round, count = plan.round, plan.spec.proposals
    ctx.emit(Notice(f"round {round.number}: asking for {count} proposals"))
    fault_point("ideas-before")
    answer = editor.ideas(brief, count, _folder(ctx, plan, f"round-{round.number}"))
    fault_point("ideas-after")
    ideas = rounds.name_ideas(answer.ideas[:count], round.number)
    failure = answer.failure if ideas else answer.failure or "the editor had no idea"
    record = RoundRecord(
        issue=plan.spec.issue.number,
        body_sha256=plan.spec.body_sha256,
        track=plan.track.name,
        round=round.number,
        base=round.base,
        ideas=ideas,
        failure=one_line(failure),
        at=utc_now(),
        pins=jobs.current_pins(ctx, plan, plan.base.commit, corpus.folder),
    )
    ctx.ledger.append(record)
    fault_point("ideas-recorded")
    return _latest_round(ctx, plan)


# --- drafts -----------------------------------------------------------------------------------------------


@frozen
class DraftOutcome:
    """What became of an idea: the last draft of it, why it may not run, the checks it took, its commit if any.

    `sizes` are its model's, by profile, where that was built.
    """

    draft: Draft
    failure: str
    attempts: int
    commit: str = ""
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)


def draft_until_valid(
    editor: Editor, brief: Brief, idea: Idea, check: Callable[[Draft, int], CheckResult], folder: Path
) -> DraftOutcome:
    """Have an idea drafted and revised until `check` (of a draft, at an attempt counted from 1) finds no failure.

    A draft that the editor does not deliver, and one that is not revisable, ends it. Returns the last draft with the
    texts of the files that differ from the brief's.
    """
    draft, result = Draft(), CheckResult()
    for attempt in range(1, MAX_REVISIONS + 2):
        files = {**brief.files, **draft.files}
        reply = editor.write(replace(brief, files=files), idea, result.failure, folder)
        if reply.failure:
            failure = f"{result.failure}; it was not mended: {reply.failure}" if result.failure else reply.failure
            return DraftOutcome(draft, failure, attempt, result.commit)
        files |= reply.files
        draft = replace(reply, files={path: text for path, text in files.items() if text != brief.files.get(path)})
        result = check(draft, attempt)
        if not result.failure or not result.revisable:
            break
    return DraftOutcome(draft, result.failure, attempt, result.commit, result.sizes)


def _propose_one(ctx: CampaignContext, plan: Plan, editor: Editor, brief: Brief, checker: DraftChecker) -> None:
    """Turn one idea into a proposal, accepted or refused, and record it."""
    idea = checker.idea
    ctx.emit(Notice(f"{idea.name}: {one_line(idea.title, limit=120) or 'an idea of its editor'}"))
    jobs.check_disk(ctx, plan)
    fault_point("proposal-before")
    outcome = _draft(ctx, plan, editor, brief, checker)
    fault_point("proposal-after")
    if outcome.failure:
        jobs.check_disk(ctx, plan)  # on a full disk neither an editor nor a draft can do anything
    record = _record(ctx, plan, idea, outcome)
    ctx.ledger.append(record)
    fault_point("proposal-recorded")
    result = "accepted" if record.accepted else f"refused: {record.failure}"
    ctx.emit(Notice(f"{idea.name} after {outcome.attempts} drafts, ${record.usd:.4f}: {result}"))


def _draft(ctx: CampaignContext, plan: Plan, editor: Editor, brief: Brief, checker: DraftChecker) -> DraftOutcome:
    """Return what becomes of an idea. When the money is used up, the proposals accepted so far are enough."""
    try:
        folder = _folder(ctx, plan, checker.idea.name)
        return draft_until_valid(editor, brief, checker.idea, checker.check, folder)
    except SpendingCapReached as capped:
        if not _latest_round(ctx, plan).accepted:
            raise
        return DraftOutcome(Draft(), f"not written: {capped.problem}", 0)


def _record(ctx: CampaignContext, plan: Plan, idea: Idea, outcome: DraftOutcome) -> ProposalRecord:
    """Return the record of a proposal, whose commit has a branch from now on."""
    issue, draft = plan.spec.issue.number, outcome.draft
    commit = outcome.commit or (commit_draft(ctx, plan, idea, draft) if draft.files else "")
    if commit:
        ctx.repo.set_branch(f"autoresearch/issue-{issue}/{idea.name}", commit)
    return ProposalRecord(
        issue=issue,
        round=plan.round.number,
        variant=idea.name,
        accepted=not outcome.failure,
        summary=one_line(draft.summary, limit=SUMMARY_CAP),
        commit=commit,
        tree=ctx.repo.tree(commit) if commit else "",
        failure=one_line(outcome.failure, secrets(os.environ), limit=FAILURE_CAP),
        attempts=outcome.attempts,
        usd=float(spent(ctx.ledger.records_of(SpendRecord, issue), idea.name)),
        at=utc_now(),
        sizes=outcome.sizes,
    )

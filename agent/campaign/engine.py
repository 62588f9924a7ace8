"""The steps of a campaign: begin, calibrate, measure, judge, promote, publish. Each asks git and the ledger first."""

from collections.abc import Sequence
from dataclasses import replace

from agent.campaign import auditing, explore, jobs, steer
from agent.campaign.commits import commit_variant
from agent.campaign.context import CampaignContext
from agent.campaign.estimate import probe_seconds
from agent.campaign.evidence import CampaignView, why_not_auditable
from agent.campaign.plan import Plan
from agent.campaign.promote import promote
from agent.campaign.publish import make_board, publish
from agent.campaign.question import campaigns_of, conditions_of, find_answered
from agent.campaign.steer import PlanChanged
from agent.core.errors import HarnessError
from agent.core.experiment import BASELINE
from agent.core.faults import fault_point
from agent.core.protocols import Notice, RunStarted
from agent.core.records import AuditRecord, CampaignRecord, VerdictRecord, utc_now
from agent.core.runs import Conditions, Job, Verdict
from agent.core.trials import Findings
from agent.execution.sandbox import NO_SANDBOX
from agent.gate.results import GateResult
from agent.gate.schedule import ScheduledRun
from agent.store.baseline import baseline_branch
from agent.store.repository import writable
from agent.tracking.board import Board

# What a campaign writes into the work tree, for repositories whose .gitignore does not have it.
GIT_EXCLUDES = (
    "/logs/",
    "/experiments/ledger.jsonl",
    "/experiments/results.tsv",
    "/experiments/pictures/",
    "/experiments/issues/*.comment.md",
)


def run(ctx: CampaignContext, plan: Plan) -> Board:
    """Bring a plan to its verdict and return the board. What is done already is not done twice.

    Where people change what is to run, the campaign goes on with the plan that they changed. Raises Paused where the
    issue's time is used up, its text was edited or a person stops it, BadInput where the corpus cannot be had; the same
    command then goes on.
    """
    while True:
        try:
            return _run_until_replan(ctx, plan)
        except PlanChanged as change:
            plan = change.plan
            ctx.emit(Notice(f"steered: {change}"))


def _run_until_replan(ctx: CampaignContext, plan: Plan) -> Board:
    view = _find_verdict(ctx, plan) or _reach_verdict(ctx, plan)
    stopped = steer.answer_late_commands(ctx, plan, undecided=_is_undecided(view))
    promote(ctx, view)
    board = make_board(ctx, view)
    publish(ctx, view, board)
    if stopped is not None:
        raise stopped
    return board


def _is_undecided(view: CampaignView) -> bool:
    record = view.ledger.verdict(view.campaign)
    return record is not None and record.verdict.decision == "inconclusive"


def _find_verdict(ctx: CampaignContext, plan: Plan) -> CampaignView | None:
    answered = find_answered(ctx, plan)
    return None if answered is None else explore.open_view(plan, answered, ctx.ledger)


def _reach_verdict(ctx: CampaignContext, plan: Plan) -> CampaignView:
    steer.apply_commands(ctx, plan)
    view = begin(ctx, plan)
    _announce(ctx, view)
    return _decide(ctx, view)


# --- begin ------------------------------------------------------------------------------------------------


def begin(ctx: CampaignContext, plan: Plan) -> CampaignView:
    """Go on with the campaign that has no verdict yet, or freeze the question and begin one."""
    writable(ctx.ledger.path.parent)
    fault_point("corpus-before")
    corpus = jobs.prepare_corpus(ctx, plan)
    conditions = conditions_of(ctx, plan, corpus.fingerprint)
    fault_point("corpus-known")
    latest = next(reversed(campaigns_of(ctx, plan)), None)
    if latest is None or not _goes_on(ctx, plan, latest, conditions):
        explore.check_shapes(ctx, plan)
        latest = _freeze(ctx, plan, conditions, corpus)
    return replace(explore.open_view(plan, latest, ctx.ledger), corpus=corpus.folder)


def _goes_on(ctx: CampaignContext, plan: Plan, campaign: CampaignRecord, conditions: Conditions) -> bool:
    same = (campaign.conditions, campaign.sandbox) == (conditions, _required_sandbox(ctx, plan))
    return same and ctx.ledger.verdict(campaign) is None


def _required_sandbox(ctx: CampaignContext, plan: Plan) -> str:
    """Return the level below which no run of a model's code counts: what it does outside, it may do to others.

    A person who goes on with --no-sandbox asks another question, to which all runs count.
    """
    has_model_code = any(plan.has_model_code(name) for name in (BASELINE, *plan.order))
    return ctx.sandbox.level if has_model_code else NO_SANDBOX.level


def _freeze(ctx: CampaignContext, plan: Plan, conditions: Conditions, corpus: jobs.Corpus) -> CampaignRecord:
    """Freeze the question: the baseline, a commit and a branch for every variant, what is pinned, then the record."""
    ctx.repo.exclude(GIT_EXCLUDES)
    _place_baseline(ctx, plan)
    fault_point("baseline-placed")
    commits = {BASELINE: plan.base.commit} | {name: commit_variant(ctx, plan, name) for name in plan.order}
    campaign = CampaignRecord(
        issue=plan.spec.issue.number,
        title=plan.spec.issue.title,
        body_sha256=plan.spec.body_sha256,
        conditions=conditions,
        gate=plan.rules,
        base=plan.base.commit,
        commits=commits,
        trees={name: ctx.repo.tree(commit) for name, commit in commits.items()},
        at=utc_now(),
        pins=plan.round.pins or jobs.current_pins(ctx, plan, plan.base.commit, corpus.folder),
        round=plan.round.number if plan.spec.proposals else 0,
        sandbox=_required_sandbox(ctx, plan),
        metric=plan.track.metric,
    )
    ctx.ledger.append(campaign)
    fault_point("campaign-recorded")
    return campaign


def _place_baseline(ctx: CampaignContext, plan: Plan) -> None:
    """Make the track's baseline branch where it is absent, or take it along where HEAD is ahead of it."""
    name, base = baseline_branch(plan.track.name), plan.base.commit
    tip = ctx.repo.resolve(f"refs/heads/{name}")
    behind = tip is not None and tip != base and ctx.repo.is_ancestor(tip, base)
    if (tip is None or behind) and not ctx.repo.compare_and_swap(name, base, tip):
        raise HarnessError(f"the branch {name} was moved by another program", next_step="run the command again")
    if behind and tip is not None:
        ctx.emit(Notice(f"baseline {plan.track.name} moved along with HEAD, from {tip[:7]} to {base[:7]}"))


def _announce(ctx: CampaignContext, view: CampaignView) -> None:
    if why := why_not_auditable(view.campaign):
        ctx.emit(Notice(f"no winner will be audited: {why}; a number is what the script says it is"))
    ctx.outbox.post(view.campaign.issue, "status", "running")


# --- measure ----------------------------------------------------------------------------------------------


def _calibrate(ctx: CampaignContext, view: CampaignView) -> None:
    """Probe the step time of every variant that has not been probed, interleaved."""
    probes = view.missing_probes()
    ctx.emit(Notice(f"calibrating: {len(probes)} probes of {probe_seconds(view.plan.budget):g} s, interleaved"))
    while probes:
        steer.apply_commands(ctx, view.plan, view)
        ok = _probe(ctx, view, *probes.pop(0))
        probes = probes if ok and probes else view.missing_probes()


def _probe(ctx: CampaignContext, view: CampaignView, name: str, number: int) -> bool:
    """Run and record one probe; return whether it ended well."""
    jobs.check_disk(ctx, view.plan)
    job = jobs.make_job(ctx, view, name, number, "probe")
    fault_point("probe-start")
    result = jobs.run_one(ctx, job)
    fault_point("probe-result")
    return jobs.record_result(ctx, view, job, result).status == "ok"


def _measure(ctx: CampaignContext, view: CampaignView) -> CampaignView:
    """Run what the strategy asks for until it can conclude, and return the view with the candidates that it added.

    Commands are applied before every batch and before the verdict. The strategy is asked again when its answer has run,
    or when a run of it did not end well: all runs of one answer are needed whatever the others say.
    """
    steer.apply_commands(ctx, view.plan, view)
    while True:
        step = explore.next_step(view)
        if step.candidates:
            view = explore.add_candidates(ctx, view, step.candidates)
        elif step.runs and view.plan.clock == "calibrated" and view.missing_probes():
            _calibrate(ctx, view)
        elif step.runs:
            _run_step(ctx, view, step.runs)
        else:
            return view


def _run_step(ctx: CampaignContext, view: CampaignView, scheduled: Sequence[ScheduledRun]) -> None:
    """Run a step in batches, as far as the runs end well."""
    all_ok = True
    while scheduled and all_ok:
        all_ok, scheduled = _run_batch(ctx, view, scheduled), scheduled[ctx.executor.slots :]
        steer.apply_commands(ctx, view.plan, view)


def _run_batch(ctx: CampaignContext, view: CampaignView, scheduled: Sequence[ScheduledRun]) -> bool:
    """Run the first of what is scheduled, one on each device, and record every result; return whether all were ok."""
    jobs.check_time_cap(view, scheduled[0].variant)
    jobs.check_disk(ctx, view.plan)
    batch = [jobs.make_job(ctx, view, one.variant, one.seed, one.role) for one in scheduled[: ctx.executor.slots]]
    _announce_batch(ctx, view, batch, len(scheduled))
    fault_point("run-start")
    records = []
    for job, result in ctx.executor.run(batch):
        fault_point("run-result")
        records.append(jobs.record_result(ctx, view, job, result))
    return all(record.status == "ok" for record in records)


def _announce_batch(ctx: CampaignContext, view: CampaignView, batch: Sequence[Job], left: int) -> None:
    done = len(view.measurements())
    total = max(done + left, view.plan.run_count)
    for number, job in enumerate(batch, start=done + 1):
        ctx.emit(RunStarted(job, number, total, jobs.expected_seconds(view, job.variant) or 0.0))


# --- verdict ----------------------------------------------------------------------------------------------


def _decide(ctx: CampaignContext, view: CampaignView) -> CampaignView:
    """Measure and ask the strategy until it has no winner, or one that the audit does not refuse; record the verdict.

    A winner that fails its audit is a variant that failed: the strategy goes on with the others. Where the audit had to
    make a run, the strategy is asked once more, with what that run says.
    """
    while True:
        view = _measure(ctx, view)
        fault_point("gate-before")
        seen = view.measurements()
        conclusion = explore.conclude(view)
        audit = _audit_winner(ctx, view, conclusion.result)
        if audit is None or (audit.status != "failed" and len(view.measurements()) == len(seen)):
            _record_verdict(ctx, view, hold_for_review(conclusion.result, audit), conclusion.findings)
            return view


def _audit_winner(ctx: CampaignContext, view: CampaignView, result: GateResult) -> AuditRecord | None:
    """Return the audit of the gate's winner; None where it has none, or none that can be audited."""
    verdict = result.verdict
    if verdict.decision != "keep" or not verdict.variant or why_not_auditable(view.campaign):
        return None
    return auditing.audit_winner(ctx, view, verdict.variant)


def hold_for_review(result: GateResult, audit: AuditRecord | None) -> GateResult:
    """Return a result whose winner is not promoted until a person has looked, where its audit has doubts."""
    if audit is None or audit.status != "quarantined":
        return result
    doubts = "; ".join(audit.checks[name] for name in audit.failed)
    reason = f"quarantined, for a person to judge: {doubts}. Look at its diff and its log before you promote it by hand"

    def held(verdict: Verdict) -> Verdict:
        is_winner = verdict.variant == result.verdict.variant
        return replace(verdict, decision="inconclusive", reason=reason) if is_winner else verdict

    return GateResult(held(result.verdict), tuple(held(one) for one in result.variants))


def _record_verdict(ctx: CampaignContext, view: CampaignView, result: GateResult, findings: Findings | None) -> None:
    fault_point("gate-said")
    ctx.ledger.append(
        VerdictRecord(
            issue=view.campaign.issue,
            campaign_id=view.campaign.at,
            verdict=result.verdict,
            variants=tuple(result.variants),
            at=utc_now(),
            findings=findings,
        )
    )
    fault_point("gate-recorded")

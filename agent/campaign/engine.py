"""The order of things: start, calibrate, measure, judge, promote, publish. Every step asks git and the ledger first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agent.campaign import auditing, jobs, steer
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView, constants_set, why_not_auditable
from agent.campaign.plan import Plan, message, probe_seconds, replan
from agent.campaign.publish import make_board, pending_promotion, promote, publish
from agent.core.errors import HarnessError
from agent.core.experiment import BASELINE
from agent.core.faults import fault_point
from agent.core.protocols import Notice, RunStarted
from agent.core.records import AuditRecord, CampaignRecord, VerdictRecord, utc_now
from agent.core.runs import Conditions, Job, Verdict
from agent.execution import sandbox
from agent.gate.verdict import ScheduledRun, judge, next_runs, plan_size
from agent.store.baseline import baseline_branch
from agent.store.repository import writable
from agent.tracking.comment import Board

# What a campaign writes into the work tree, for repositories whose .gitignore does not have it.
WRITTEN = ("/logs/", "/experiments/ledger.jsonl", "/experiments/results.tsv", "/experiments/issues/*.comment.md")


def run(parts: CampaignContext, plan: Plan) -> Board:
    """Bring a plan to its verdict and return the board. What is done already is not done again.

    Where people change what is to run, the plan is made again and the campaign goes on with it. Raises Paused where
    the issue's time is used up, its text was edited or a person stops it, BadInput where the corpus cannot be had; each
    can be run again.
    """
    while (shown := _run_until_replan(parts, plan)) is None:
        plan = replan(plan, parts.repo, parts.ledger, parts.machine)
        parts.emit(Notice(f"steered: now {', '.join(plan.order)}, {plan.budget} a run"))
    return shown


def _run_until_replan(parts: CampaignContext, plan: Plan) -> Board | None:
    """The board of a plan's verdict; None where people changed what is to run before there was one."""
    done = find_answered(parts, plan)
    if done is None and steer.apply_commands(parts, plan):
        return None
    evidence = CampaignView(plan, done, parts.ledger) if done else begin(parts, plan)
    undecided = parts.ledger.verdict(evidence.campaign) is None
    if undecided and (why := why_not_auditable(evidence.campaign)):
        parts.emit(Notice(f"no winner will be audited: {why}; a number is what the script says it is"))
    if undecided:
        parts.outbox.post(plan.spec.issue.number, "status", "running")
    if undecided and not (_calibrate(parts, evidence) and _judge(parts, evidence)):
        return None
    stop = steer.answer_late_commands(parts, plan)
    promote(parts, evidence)
    shown = make_board(parts, evidence)
    publish(parts, shown)
    if stop is not None:
        raise stop
    return shown


# --- start ------------------------------------------------------------------------------------------------


def find_answered(parts: CampaignContext, plan: Plan) -> CampaignRecord | None:
    """The latest campaign that asked the same question, where it has its answer and is not to be asked again."""
    asked = [c for c in parts.ledger.campaigns(plan.spec.issue.number) if _same_question(parts, plan, c)]
    return asked[-1] if asked and parts.ledger.verdict(asked[-1]) and not plan.retry else None


def find_complete(parts: CampaignContext, plan: Plan) -> CampaignRecord | None:
    """Return the campaign that answers a plan's question, where the winner of its verdict is promoted too."""
    done = find_answered(parts, plan)
    return None if done is None or pending_promotion(parts.ledger, done) else done


def _same_question(parts: CampaignContext, plan: Plan, campaign: CampaignRecord) -> bool:
    """Whether a campaign is the plan's, whatever the corpus's fingerprint; another set of variants asks another."""
    name, _, fingerprint = campaign.conditions.corpus.rpartition(":")
    mine = _conditions(parts, plan, fingerprint)
    frozen = (plan.spec.body_sha256, plan.base, plan.rules)
    same = (campaign.body_sha256, campaign.base, campaign.gate) == frozen and campaign.conditions == mine
    return same and name == plan.corpus and campaign.commits.keys() == {BASELINE, *plan.order}


def _conditions(parts: CampaignContext, plan: Plan, fingerprint: str) -> Conditions:
    return Conditions(
        track=plan.track.name,
        corpus=f"{plan.corpus}:{fingerprint}",
        profile=plan.profile,
        clock=plan.clock,
        budget=str(plan.budget),
        machine=parts.machine.name_for(plan.profile),
    )


def begin(parts: CampaignContext, plan: Plan) -> CampaignView:
    """Go on with the campaign that has no verdict yet, or freeze the question and begin."""
    writable(parts.ledger.path.parent)
    fault_point("corpus-before")
    corpus = jobs.prepared(parts, plan)
    conditions = _conditions(parts, plan, corpus.fingerprint)
    fault_point("corpus-known")
    began = [c for c in parts.ledger.campaigns(plan.spec.issue.number) if _same_question(parts, plan, c)]
    same = began and (began[-1].conditions, began[-1].sandbox) == (conditions, _demanded(parts, plan))
    if same and not parts.ledger.verdict(began[-1]):
        return CampaignView(plan, began[-1], parts.ledger, corpus.folder)
    return CampaignView(plan, _freeze(parts, plan, conditions, corpus), parts.ledger, corpus.folder)


def _demanded(parts: CampaignContext, plan: Plan) -> str:
    """The level of the sandbox below which no run of a model's code counts: what it does outside, it may do to others.

    A person who goes on with --no-sandbox asks another question, to which all runs count.
    """
    written = any(plan.has_model_code(name) for name in (BASELINE, *plan.order))
    return parts.sandbox.level if written else sandbox.NO_SANDBOX.level


def _freeze(parts: CampaignContext, plan: Plan, conditions: Conditions, corpus: jobs.Corpus) -> CampaignRecord:
    """The question: the baseline, a commit and a branch for every variant, what is pinned, then the record."""
    parts.repo.exclude(WRITTEN)
    _place_baseline(parts, plan)
    fault_point("baseline-placed")
    commits = {BASELINE: plan.base} | {
        one.variant.name: _commit(parts, plan, one.variant.name) for one in plan.variants
    }
    campaign = CampaignRecord(
        issue=plan.spec.issue.number,
        title=plan.spec.issue.title,
        body_sha256=plan.spec.body_sha256,
        conditions=conditions,
        gate=plan.rules,
        base=plan.base,
        commits=commits,
        trees={name: parts.repo.tree(commit) for name, commit in commits.items()},
        at=utc_now(),
        pins=plan.round.pins or jobs.current_pins(parts, plan, plan.base, corpus.folder),
        round=plan.round.number if plan.spec.proposals else 0,
        sandbox=_demanded(parts, plan),
    )
    parts.ledger.append(campaign)
    fault_point("campaign-recorded")
    return campaign


def _place_baseline(parts: CampaignContext, plan: Plan) -> None:
    """Make the track's baseline branch where it is absent, or take it along where HEAD is ahead of it."""
    name = baseline_branch(plan.track.name)
    here = parts.repo.resolve(f"refs/heads/{name}")
    behind = here is not None and here != plan.base and parts.repo.is_ancestor(here, plan.base)
    if (here is None or behind) and not parts.repo.compare_and_swap(name, plan.base, here):
        raise HarnessError(f"the branch {name} was moved by another program", next_step="run the command again")
    if behind and here is not None:
        parts.emit(Notice(f"baseline {plan.track.name} moved along with HEAD, from {here[:7]} to {plan.base[:7]}"))


def _commit(parts: CampaignContext, plan: Plan, name: str) -> str:
    """One commit on the base, on the variant's own branch."""
    one, issue = plan.resolved(name), plan.spec.issue
    fault_point("commit-before")
    commit = parts.repo.commit(
        plan.base,
        one.files,
        message(plan, one.variant, constants_set(plan, one) if one.variant.only_sets_constants else {}),
    )
    fault_point("commit-made")
    parts.repo.set_branch(f"autoresearch/issue-{issue.number}/{name}", commit)
    fault_point("commit-after")
    return commit


# --- run --------------------------------------------------------------------------------------------------


def _calibrate(parts: CampaignContext, evidence: CampaignView) -> bool:
    """Probe every variant's step time, interleaved; only where the clock is calibrated and something is to run.

    False where people changed what is to run.
    """
    if evidence.plan.clock != "calibrated" or not _wanted(evidence):
        return True
    probes = evidence.missing_probes()
    if probes:
        parts.emit(
            Notice(f"calibrating: {len(probes)} probes of {probe_seconds(evidence.plan.budget):g} s, interleaved")
        )
    while probes := evidence.missing_probes():
        if steer.apply_commands(parts, evidence.plan, evidence):
            return False
        name, number = probes[0]
        jobs.check_disk(parts, evidence.plan)
        job = jobs.make_job(parts, evidence, name, number, "probe")
        fault_point("probe-start")
        result = jobs.run_one(parts, job)
        fault_point("probe-result")
        jobs.record_result(parts, evidence, job, result)
    return True


def _wanted(evidence: CampaignView) -> list[ScheduledRun]:
    return next_runs(evidence.plan.rules, evidence.plan.order, evidence.seen())


def _measure(parts: CampaignContext, evidence: CampaignView) -> bool:
    """Run what the gate asks for until it can judge; False where people changed what is to run.

    The gate is asked again after every batch, and people are heard before every batch and before the verdict.
    """
    while not steer.apply_commands(parts, evidence.plan, evidence):
        wanted = _wanted(evidence)
        if not wanted:
            return True
        jobs.check_time_cap(evidence, wanted[0].variant)
        jobs.check_disk(parts, evidence.plan)
        batch = [jobs.make_job(parts, evidence, r.variant, r.seed, r.role) for r in wanted[: parts.executor.slots]]
        for event in _started(evidence, batch, len(wanted)):
            parts.emit(event)
        fault_point("run-start")
        for job, result in parts.executor.run(batch):
            fault_point("run-result")
            jobs.record_result(parts, evidence, job, result)
    return False


def _started(evidence: CampaignView, batch: Sequence[Job], left: int) -> Iterator[RunStarted]:
    done, plan = len(evidence.seen()), evidence.plan
    total = max(done + left, plan_size(plan.rules, len(plan.variants)))
    for number, job in enumerate(batch, start=done + 1):
        yield RunStarted(job, number, total, jobs.expected(evidence, job.variant) or 0.0)


# --- verdict ----------------------------------------------------------------------------------------------


def _judge(parts: CampaignContext, evidence: CampaignView) -> bool:
    """Measure and ask the gate until it has no winner, or one that the audit believes; then write down the verdict.

    A winner that fails its audit is a variant that failed: the gate goes on with the others. Where the audit had to
    make a run, the gate is asked again with what that run says. False where people changed what is to run.
    """
    while True:
        if not _measure(parts, evidence):
            return False
        fault_point("gate-before")
        seen = evidence.seen()
        said = judge(evidence.plan.rules, evidence.plan.order, seen, evidence.groups())
        winner = said.verdict.variant if said.verdict.decision == "keep" else None
        found = (
            auditing.of_winner(parts, evidence, winner) if winner and not why_not_auditable(evidence.campaign) else None
        )
        if found is None or (found.status != "failed" and len(evidence.seen()) == len(seen)):
            break
    held = found is not None and found.status == "quarantined"
    verdicts = [hold_for_review(one, found) if held and one.variant == winner else one for one in said.variants]
    verdict = hold_for_review(said.verdict, found) if held else said.verdict
    campaign = evidence.campaign
    fault_point("gate-said")
    parts.ledger.append(VerdictRecord(campaign.issue, campaign.at, verdict, tuple(verdicts), utc_now()))
    fault_point("gate-recorded")
    return True


def hold_for_review(verdict: Verdict, audit_found: AuditRecord | None) -> Verdict:
    """What the audit doubts and does not refuse (checks.DOUBTS): nothing is promoted until a person has looked."""
    assert audit_found is not None
    told = "; ".join(audit_found.checks[name] for name in audit_found.failed)
    reason = f"quarantined, for a person to judge: {told}. Look at its diff and its log before you promote it by hand"
    return replace(verdict, decision="inconclusive", reason=reason)

"""The audit of a winner: its checkpoint scored apart from the code that trained it, before anything is promoted.

audit/scorer owns the held-out data and answers to us; model_server.py, in the sandbox, has the model and sees only
tokens.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from agent.audit import checks, timing
from agent.audit.checks import ScoredRun
from agent.audit.reports import MODEL_SERVER, SCORER, ScoreReport, ScoreRequest, read_report
from agent.audit.rules import OK, RULES, SCORING
from agent.campaign import jobs
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import Plan
from agent.core.errors import Paused
from agent.core.experiment import BASELINE
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.protocols import Notice
from agent.core.records import AuditRecord, HoldoutReadRecord, RunRecord, utc_now
from agent.core.runs import Job, Result


def audit_winner(ctx: CampaignContext, view: CampaignView, name: str) -> AuditRecord:
    """Return the audit of a winner: the one that stands against its tree, else this campaign's, else a new one."""
    if bound := view.standing_audit(name):
        return bound
    known = [one for one in ctx.ledger.audits(view.campaign) if one.variant == name]
    return known[-1] if known else _audit(ctx, view, name)


@frozen
class _Pair:
    """The run of a winner that is audited and the baseline's that it is compared with; what the scorer reports of each.

    name: what this campaign calls the winner; a run of an earlier one may have had another name for the same tree.
    lot: a text that no run could know; it draws what is scored and how.
    """

    name: str
    winner: ScoredRun
    base: ScoredRun
    lot: str
    mine: ScoreReport
    theirs: ScoreReport


def _audit(ctx: CampaignContext, view: CampaignView, name: str) -> AuditRecord:
    """Score the winner's checkpoint and the baseline's apart from the code that trained them; return the audit."""
    began = time.monotonic()
    ctx.emit(Notice(f"auditing {name}"))
    fault_point("audit-before")
    pair = _score_pair(ctx, view, name)
    outcomes = _check(ctx, view, pair)
    record = _record(ctx, view, pair, outcomes, time.monotonic() - began)
    fault_point("audit-result")
    ctx.ledger.append(record)
    fault_point("audit-recorded")
    ctx.emit(Notice("; ".join([f"audit of {name}: {record.status}", *(f"{n}: {outcomes[n]}" for n in record.failed)])))
    return record


def _score_pair(ctx: CampaignContext, view: CampaignView, name: str) -> _Pair:
    """Return both scored; the reading of the second held-out set is counted before it is made."""
    campaign = view.campaign
    mine, base_runs = (checks.scored_runs(view.decision_runs(one)) for one in (name, BASELINE))
    lot = " ".join([campaign.at, *(run.record.at for run in mine)])  # when they ended, and so after each had
    drawn = zip((name, BASELINE), checks.draw_run(mine, base_runs, lot), strict=True)
    winner, base = (_with_checkpoint(ctx, view, variant, run) for variant, run in drawn)
    _record_reading(ctx, view, name)
    fault_point("audit-noted")
    theirs = _score(ctx, view, base, lot)
    return _Pair(name, winner, base, lot, _score(ctx, view, winner, lot, base), theirs)


def _record_reading(ctx: CampaignContext, view: CampaignView, name: str) -> None:
    ctx.ledger.append(
        HoldoutReadRecord(issue=view.campaign.issue, campaign_id=view.campaign.at, variant=name, at=utc_now())
    )


def _record(
    ctx: CampaignContext, view: CampaignView, pair: _Pair, outcomes: Mapping[str, str], seconds: float
) -> AuditRecord:
    campaign, (status, failed) = view.campaign, checks.status(outcomes)
    return AuditRecord(
        issue=campaign.issue,
        campaign_id=campaign.at,
        variant=pair.name,
        commit=pair.winner.record.commit,
        status=status,
        failed=failed,
        checks=outcomes,
        metrics=checks.numbers(pair.winner, pair.base, pair.mine, pair.theirs),
        holdout_reads=ctx.ledger.holdout_reads(campaign.conditions),
        sandbox=ctx.sandbox.name,
        seconds=round(seconds, 3),
        at=utc_now(),
    )


def _check(ctx: CampaignContext, view: CampaignView, pair: _Pair) -> dict[str, str]:
    """Return the outcome of every check by name: the scorer's, then those that only the harness can make."""
    outcomes = dict(pair.mine.checks)
    if outcomes.get("held-out") == OK:
        reads = ctx.ledger.holdout_reads(view.campaign.conditions)
        outcomes["held-out"] = checks.check_holdout(pair.mine, pair.theirs)
        outcomes["certain"] = checks.check_significance(pair.mine, pair.theirs, reads)
    home = checkpoint(ctx, pair.winner.record).with_name("compiled")
    timed = campaign_timing(ctx, view, pair.name, home)
    outcomes |= {"clock": timing.check_time(timed), "pace": timing.check_pace(timed)}
    outcomes["seeds"] = checks.check_seeds(checks.scored_runs(view.decision_runs(pair.name)))
    outcomes["plausible"] = checks.check_claim(pair.winner.metric, pair.mine.val_metric, pair.base.metric)
    if outcomes["plausible"] == OK:
        outcomes |= _check_others(ctx, view, pair)
    return {name: outcomes.get(name, "not tried") for name in checks.CHECKS}


def _check_others(ctx: CampaignContext, view: CampaignView, pair: _Pair) -> dict[str, str]:
    """Return what the winner's other runs fail: the best of them is scored too where it claims far more."""
    others = [
        one for one in checks.scored_runs(view.decision_runs(pair.name)) if one.record.seed != pair.winner.record.seed
    ]
    groups = [
        [run.metric for run in checks.scored_runs(view.decision_runs(BASELINE))],
        *(list(one.values()) for one in view.replicate_groups()),
    ]
    outcomes = {"plausible": checks.check_consistency(pair.winner, others, groups)}
    if outlier := checks.outlier_run(pair.winner, others, groups):
        run = _with_checkpoint(ctx, view, pair.name, outlier)
        _record_reading(ctx, view, pair.name)
        scored = _score(ctx, view, run, pair.lot, pair.base).checks
        outcomes |= {name: f"seed {run.record.seed}: {outcome}" for name, outcome in scored.items() if outcome != OK}
    return outcomes


def campaign_timing(ctx: CampaignContext, view: CampaignView, name: str, home: Path) -> timing.Timing:
    """Return what the checks of the clock look at.

    Before they refuse for what runs take beside their training, a compilation is timed in the folder `home`: the
    winner's runs may each have made one, where the baseline's loaded it.
    """
    timed = view.timed(name)
    if timing.check_overhead(timed) == OK:
        return timed
    return replace(timed, compile_s=jobs.measure_compile_s(ctx, view, home))


def _with_checkpoint(ctx: CampaignContext, view: CampaignView, name: str, chosen: ScoredRun) -> ScoredRun:
    """Return a run with its checkpoint; where that is gone, its seed runs once more."""
    run = chosen.record
    if checkpoint(ctx, run).is_file():
        return chosen
    ctx.emit(Notice(f"the checkpoint of {name}, seed {run.seed}, is gone: it runs once more"))
    job = jobs.make_job(ctx, view, name, run.seed, run.role)
    return checks.scored_run(jobs.record_result(ctx, view, job, jobs.run_one(ctx, job)))


def checkpoint(ctx: CampaignContext, run: RunRecord) -> Path:
    """Return where a run left its model."""
    return (ctx.repo.root / run.log).with_name("model.pt")


def _score(
    ctx: CampaignContext, view: CampaignView, scored: ScoredRun, lot: str, base: ScoredRun | None = None
) -> ScoreReport:
    """Score a run's checkpoint and return the report, which stays beside it: the baseline's serves every winner.

    base: the baseline's run that a winner's is compared with, scored already. Without it, the run is the baseline's: it
    is scored, on the same documents, and nothing else. Raises Paused where that cannot be: no winner is to be blamed.
    """
    jobs.check_pins(ctx, view, scored.record.commit)
    claims, folder = base is not None, _report_folder(ctx, scored, winner=base is not None)
    request, answered = _request(ctx, view, scored, folder, lot, base), folder / "question.json"
    if not claims and _is_answered(request, answered):
        return read_report(Result("ok"), folder)
    result = jobs.run_one(ctx, _job(ctx, view, scored.record, request, folder))
    if result.status != "ok":
        jobs.check_disk(ctx, view.plan)  # a full disk is no fault of the winner
    report = read_report(result, folder)
    if not claims and set(report.checks.values()) != {OK}:
        reason = "; ".join(report.checks.values())
        raise Paused(
            f"the baseline's checkpoint cannot be scored: {reason}", where=result.log, next_step="run it again"
        )
    answered.write_text(request.to_json(), encoding="utf-8")
    return report


def _job(ctx: CampaignContext, view: CampaignView, run: RunRecord, request: ScoreRequest, folder: Path) -> Job:
    return Job(
        variant=run.variant,
        commit=run.commit,
        seed=run.seed,
        role="audit",
        argv=(ctx.python, str(SCORER), request.to_json()),
        env=ctx.env,
        run_dir=folder,
        timeout_s=float(jobs.START_S),
        metric=view.plan.track.metric,
        trusted=True,
    )


def _is_answered(request: ScoreRequest, answered: Path) -> bool:
    """Return whether there is a report on a request. The seed draws nothing of a baseline whose rows all are scored."""
    if not answered.is_file():
        return False
    report = json.loads(answered.with_name("result.json").read_bytes())
    earlier, now = json.loads(answered.read_text(encoding="utf-8")), json.loads(request.to_json())
    return bool(earlier == now or (report["whole"] and earlier | {"seed": request.seed} == now))


def _report_folder(ctx: CampaignContext, scored: ScoredRun, *, winner: bool) -> Path:
    """Return where the report of a run's checkpoint lies."""
    return checkpoint(ctx, scored.record).with_name("audit" if winner else "compared")


def _request(
    ctx: CampaignContext, view: CampaignView, run: ScoredRun, folder: Path, lot: str, base: ScoredRun | None
) -> ScoreRequest:
    """Return what the scorer is to do; where it looks is drawn by the lot, which no run saw."""
    saved, profile = checkpoint(ctx, run.record), view.plan.profile
    assert view.corpus is not None
    return ScoreRequest(
        command=_model_command(ctx, saved, folder / "tree", view.plan),
        corpus=str(view.corpus),
        checkpoint=str(saved),
        claimed=str(saved.with_name("losses.npz")) if base else None,
        metric=view.plan.track.metric,
        claimed_metric=run.metric,
        compared=str(_report_folder(ctx, base, winner=False) / "losses.npz") if base else None,
        out=str(folder),
        batch_tokens=SCORING[profile].batch_tokens,
        piece_bytes=RULES.piece_bytes,
        seed=int(sha256(lot.encode()).hexdigest()[:8], 16),
    )


def _model_command(ctx: CampaignContext, saved: Path, tree: Path, plan: Plan) -> tuple[str, ...]:
    """Return the command of the model's process, in a sandbox that shows it its code and its checkpoint."""
    device, gpus = ("cuda", 1) if plan.profile == "full" else ("cpu", 0)
    argv = (ctx.python, str(MODEL_SERVER), str(saved), device, plan.track.script)
    return ctx.sandbox.wrap(argv, cwd=tree, readable=(tree, MODEL_SERVER, saved), writable=(), gpus=gpus)

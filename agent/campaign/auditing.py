"""The audit of a winner: its checkpoint scored apart from the code that trained it, before anything is promoted.

audit/scorer owns the held-out data and answers to us; model_server.py, in the sandbox, has the model and sees only
tokens.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from agent.audit import checks, timing
from agent.audit.checks import ScoredRun
from agent.audit.reports import MODEL_SERVER, SCORER, ScoreReport, ScoreRequest, read_report
from agent.audit.rules import OK, RULES, SCORING
from agent.campaign import jobs
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.core.errors import Paused
from agent.core.experiment import BASELINE, Profile
from agent.core.faults import fault_point
from agent.core.protocols import Notice
from agent.core.records import AuditRecord, HoldoutReadRecord, RunRecord, utc_now
from agent.core.runs import Job, Result


def of_winner(parts: CampaignContext, evidence: CampaignView, name: str) -> AuditRecord:
    """The audit of a winner: what the ledger holds against its tree, else what it says of it here, else a new one."""
    if bound := evidence.binding(name):
        return bound
    known = [one for one in parts.ledger.audits(evidence.campaign) if one.variant == name]
    return known[-1] if known else _audit(parts, evidence, name)


@dataclass(frozen=True)
class _Pair:
    """The run of a winner that is audited and the baseline's that it is compared with; what the scorer reports of each.

    name: what this campaign calls the winner; a run of an earlier one may have had another name for the same tree.
    """

    name: str
    winner: ScoredRun
    base: ScoredRun
    mine: ScoreReport
    theirs: ScoreReport


def _audit(parts: CampaignContext, evidence: CampaignView, name: str) -> AuditRecord:
    """Score the winner's checkpoint and the baseline's apart from the code that trained them; record what was found."""
    began = time.monotonic()
    parts.emit(Notice(f"auditing {name}"))
    fault_point("audit-before")
    pair = _pair(parts, evidence, name)
    found = _findings(parts, evidence, pair)
    record = _record(parts, evidence, pair, found, time.monotonic() - began)
    fault_point("audit-result")
    parts.ledger.append(record)
    fault_point("audit-recorded")
    parts.emit(Notice("; ".join([f"audit of {name}: {record.status}", *(f"{n}: {found[n]}" for n in record.failed)])))
    return record


def _pair(parts: CampaignContext, evidence: CampaignView, name: str) -> _Pair:
    """Have both scored; the reading of the second held-out set is counted before it is made."""
    campaign = evidence.campaign
    mine, usual = (checks.scored_runs(evidence.counting(one)) for one in (name, BASELINE))
    lot = " ".join([campaign.at, *(run.record.at for run in mine)])  # when they ended, and so after each had
    chosen = zip((name, BASELINE), checks.draw_run(mine, usual, lot), strict=True)
    winner, base = (_with_checkpoint(parts, evidence, whose, run) for whose, run in chosen)
    _note_reading(parts, evidence, name)
    fault_point("audit-noted")
    theirs = _scored(parts, evidence, base, claims=False)
    return _Pair(name, winner, base, _scored(parts, evidence, winner, claims=True), theirs)


def _note_reading(parts: CampaignContext, evidence: CampaignView, name: str) -> None:
    parts.ledger.append(
        HoldoutReadRecord(issue=evidence.campaign.issue, campaign_id=evidence.campaign.at, variant=name, at=utc_now())
    )


def _record(
    parts: CampaignContext, evidence: CampaignView, pair: _Pair, found: Mapping[str, str], seconds: float
) -> AuditRecord:
    campaign, (status, failed) = evidence.campaign, checks.status(found)
    return AuditRecord(
        issue=campaign.issue,
        campaign_id=campaign.at,
        variant=pair.name,
        commit=pair.winner.record.commit,
        status=status,
        failed=failed,
        checks=found,
        metrics=checks.numbers(pair.winner, pair.base, pair.mine, pair.theirs),
        holdout_reads=parts.ledger.holdout_reads(campaign.conditions),
        sandbox=parts.sandbox.name,
        seconds=round(seconds, 3),
        at=utc_now(),
    )


def _findings(parts: CampaignContext, evidence: CampaignView, pair: _Pair) -> dict[str, str]:
    """Every check by name: what the scorer reports, then what only the harness can tell."""
    found = dict(pair.mine.checks)
    if found.get("held-out") == OK:
        reads = parts.ledger.holdout_reads(evidence.campaign.conditions)
        found["held-out"] = checks.check_holdout(pair.mine, pair.theirs)
        found["certain"] = checks.check_significance(pair.mine, pair.theirs, reads)
    home = checkpoint(parts, pair.winner.record).with_name("compiled")
    timed = campaign_timing(parts, evidence, pair.name, home)
    found |= {"clock": timing.check_time(timed), "pace": timing.check_pace(timed)}
    found["plausible"] = checks.check_claim(pair.winner.metric, pair.mine.val_bpb, pair.base.metric)
    if found["plausible"] == OK:
        found |= _others(parts, evidence, pair)
    return {name: found.get(name, "not tried") for name in checks.CHECKS}


def _others(parts: CampaignContext, evidence: CampaignView, pair: _Pair) -> dict[str, str]:
    """What is to be said against the winner's other runs: the best of them is scored too where it claims far more."""
    counting = checks.scored_runs(evidence.counting(pair.name))
    others = [run for run in counting if run.record.seed != pair.winner.record.seed]
    usual = [run.metric for run in checks.scored_runs(evidence.counting(BASELINE))]
    told = (pair.winner, others, [usual, *evidence.groups()])
    found = {"plausible": checks.check_consistency(*told)}
    if second := checks.outlier_run(*told):
        run = _with_checkpoint(parts, evidence, pair.name, second)
        _note_reading(parts, evidence, pair.name)
        scored = _scored(parts, evidence, run, claims=True).checks
        found |= {name: f"seed {run.record.seed}: {said}" for name, said in scored.items() if said != OK}
    return found


def campaign_timing(parts: CampaignContext, evidence: CampaignView, name: str, home: Path) -> timing.Timing:
    """What the clock looks at. Before it refuses for what runs take beside their training, it learns what a compilation
    takes (in the folder `home`): the winner's runs may each have made one, where the baseline's found it made.
    """
    found = evidence.timed(name)
    if timing.check_overhead(found) == OK:
        return found
    return replace(found, compile_s=jobs.measure_compile_s(parts, evidence, home))


def _with_checkpoint(parts: CampaignContext, evidence: CampaignView, name: str, chosen: ScoredRun) -> ScoredRun:
    """A run with its checkpoint; where that is gone, its seed runs once more."""
    run = chosen.record
    if checkpoint(parts, run).is_file():
        return chosen
    parts.emit(Notice(f"the checkpoint of {name}, seed {run.seed}, is gone: it runs once more"))
    job = jobs.make_job(parts, evidence, name, run.seed, run.role)
    return checks.scored_run(jobs.record_result(parts, evidence, job, jobs.run_one(parts, job)))


def checkpoint(parts: CampaignContext, run: RunRecord) -> Path:
    """Where a run left its model."""
    return (parts.repo.root / run.log).with_name("model.pt")


def _scored(parts: CampaignContext, evidence: CampaignView, scored: ScoredRun, *, claims: bool) -> ScoreReport:
    """Have a run's checkpoint scored, and leave what was found beside it; the baseline's serves every winner.

    Without `claims` it is scored, on the same documents, and nothing else. Raises Paused where the baseline's cannot
    be: no winner is to be blamed for that.
    """
    run = scored.record
    jobs.check_pins(parts, evidence, run.commit)
    folder = checkpoint(parts, run).with_name("audit" if claims else "compared")
    question, asked = _request(parts, evidence, scored, folder, claims), folder / "question.json"
    if not claims and asked.is_file() and asked.read_text() == question.to_json():
        return read_report(Result("ok"), folder)
    argv = (parts.python, str(SCORER), question.to_json())
    metric, limit = evidence.plan.track.metric, float(jobs.START_S)
    job = Job(run.variant, run.commit, run.seed, "audit", argv, parts.env, folder, limit, metric, trusted=True)
    result = jobs.run_one(parts, job)
    if result.status != "ok":
        jobs.check_disk(parts, evidence.plan)  # a full disk is no fault of the winner
    found = read_report(result, folder)
    if not claims and set(found.checks.values()) != {OK}:
        told = "; ".join(found.checks.values())
        raise Paused(f"the baseline's checkpoint cannot be scored: {told}", where=result.log, next_step="run it again")
    asked.write_text(question.to_json())
    return found


def _request(
    parts: CampaignContext, evidence: CampaignView, run: ScoredRun, folder: Path, claims: bool
) -> ScoreRequest:
    """What the scorer is to do; the places that it looks at are drawn from the campaign's record, which no run saw."""
    campaign, saved, profile = evidence.campaign, checkpoint(parts, run.record), evidence.plan.profile
    assert evidence.corpus is not None
    return ScoreRequest(
        command=_answering(parts, saved, folder / "tree", profile),
        corpus=str(evidence.corpus),
        checkpoint=str(saved),
        claimed=str(saved.with_name("losses.npz")) if claims else None,
        claimed_bpb=run.metric,
        out=str(folder),
        batch_rows=SCORING[profile].batch_rows,
        piece_bytes=RULES.piece_bytes,
        seed=int(sha256(f"{campaign.at} {campaign.body_sha256}".encode()).hexdigest()[:8], 16),
    )


def _answering(parts: CampaignContext, saved: Path, tree: Path, profile: Profile) -> tuple[str, ...]:
    """The model's process, in a sandbox that shows it its code and its checkpoint."""
    device, gpus = ("cuda", 1) if profile == "full" else ("cpu", 0)
    argv = (parts.python, str(MODEL_SERVER), str(saved), device)
    return parts.sandbox.wrap(argv, cwd=tree, readable=(tree, MODEL_SERVER, saved), writable=(), gpus=gpus)

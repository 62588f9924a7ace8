"""The audit of a winner: its checkpoint scored apart from the code that trained it, before anything is promoted.

scorer.py owns the held-out data and answers to us; answerer.py, in the sandbox, has the model and sees only tokens.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from agent import checks, runs, sandbox
from agent.core import BASELINE, Job, Paused, Profile, Result
from agent.evidence import Evidence
from agent.failpoints import reach
from agent.parts import Parts, now
from agent.protocols import Notice
from agent.records import AuditRecord, HeldReadRecord, RunRecord


def of_winner(parts: Parts, evidence: Evidence, name: str) -> AuditRecord:
    """The audit of a winner: what the ledger holds against its tree, else what it says of it here, else a new one."""
    if bound := evidence.binding(name):
        return bound
    known = [one for one in parts.ledger.audits(evidence.campaign) if one.variant == name]
    return known[-1] if known else _audit(parts, evidence, name)


@dataclass(frozen=True)
class _Pair:
    """The run of a winner that is audited and the baseline's that it is compared with; what scorer.py says of each.

    name: what this campaign calls the winner; a run of an earlier one may have had another name for the same tree.
    """

    name: str
    winner: RunRecord
    base: RunRecord
    mine: checks.Scored
    theirs: checks.Scored


def _audit(parts: Parts, evidence: Evidence, name: str) -> AuditRecord:
    """Score the winner's checkpoint and the baseline's apart from the code that trained them; record what was found."""
    began = time.monotonic()
    parts.tell(Notice(f"auditing {name}"))
    reach("audit-before")
    pair = _pair(parts, evidence, name)
    found = _findings(parts, evidence, pair)
    record = _record(parts, evidence, pair, found, time.monotonic() - began)
    reach("audit-result")
    parts.ledger.append(record)
    reach("audit-recorded")
    parts.tell(Notice("; ".join([f"audit of {name}: {record.status}", *(f"{n}: {found[n]}" for n in record.failed)])))
    return record


def _pair(parts: Parts, evidence: Evidence, name: str) -> _Pair:
    """Have both scored; the reading of the second held-out set is counted before it is made."""
    campaign = evidence.campaign
    mine, usual = evidence.counting(name), evidence.counting(BASELINE)
    lot = " ".join([campaign.at, *(run.at for run in mine)])  # when they ended, and so after each had
    chosen = zip((name, BASELINE), checks.drawn(mine, usual, lot), strict=True)
    winner, base = (_with_checkpoint(parts, evidence, whose, run) for whose, run in chosen)
    _note_reading(parts, evidence, name)
    reach("audit-noted")
    theirs = _scored(parts, evidence, base, claims=False)
    return _Pair(name, winner, base, _scored(parts, evidence, winner, claims=True), theirs)


def _note_reading(parts: Parts, evidence: Evidence, name: str) -> None:
    parts.ledger.append(HeldReadRecord(evidence.campaign.issue, evidence.campaign.at, name, now()))


def _record(parts: Parts, evidence: Evidence, pair: _Pair, found: Mapping[str, str], seconds: float) -> AuditRecord:
    campaign, (status, failed) = evidence.campaign, checks.status(found)
    return AuditRecord(
        issue=campaign.issue,
        campaign=campaign.at,
        variant=pair.name,
        commit=pair.winner.commit,
        status=status,
        failed=failed,
        checks=found,
        metrics=checks.numbers(pair.winner, pair.base, pair.mine, pair.theirs),
        held_reads=parts.ledger.held_reads(campaign.conditions),
        sandbox=parts.walls.level,
        seconds=round(seconds, 3),
        at=now(),
    )


def _findings(parts: Parts, evidence: Evidence, pair: _Pair) -> dict[str, str]:
    """Every check by name: what scorer.py found, then what only the harness can tell."""
    claimed, usual = pair.winner.metric or 0.0, pair.base.metric or 0.0
    found = dict(pair.mine.checks)
    if found.get("held-out") == checks.OK:
        reads = parts.ledger.held_reads(evidence.campaign.conditions)
        found["held-out"] = checks.held_out(pair.mine, pair.theirs)
        found["certain"] = checks.certain(pair.mine, pair.theirs, reads)
    home = checkpoint(parts, pair.winner).with_name("compiled")
    timed = timing(parts, evidence, pair.name, home)
    found |= {"clock": checks.clock(timed), "pace": checks.pace(timed)}
    found["plausible"] = checks.plausible(claimed, pair.mine.metrics.get("val_bpb"), usual)
    if found["plausible"] == checks.OK:
        found |= _others(parts, evidence, pair)
    return {name: found.get(name, "not tried") for name in checks.CHECKS}


def _others(parts: Parts, evidence: Evidence, pair: _Pair) -> dict[str, str]:
    """What is to be said against the winner's other runs: the best of them is scored too where it claims far more."""
    others = [run for run in evidence.counting(pair.name) if run.seed != pair.winner.seed]
    usual = [run.metric for run in evidence.counting(BASELINE) if run.metric is not None]
    told = (pair.winner, others, [usual, *evidence.groups()])
    found = {"plausible": checks.alike(*told)}
    if second := checks.suspected(*told):
        run = _with_checkpoint(parts, evidence, pair.name, second)
        _note_reading(parts, evidence, pair.name)
        scored = _scored(parts, evidence, run, claims=True).checks
        found |= {name: f"seed {run.seed}: {said}" for name, said in scored.items() if said != checks.OK}
    return found


def timing(parts: Parts, evidence: Evidence, name: str, home: Path) -> checks.Timing:
    """What the clock looks at. Before it refuses for what runs take beside their training, it learns what a compilation
    takes (in the folder `home`): the winner's runs may each have made one, where the baseline's found it made.
    """
    found = evidence.timed(name)
    if checks.beside(found) == checks.OK:
        return found
    return replace(found, compilation=runs.compilation(parts, evidence, home))


def _with_checkpoint(parts: Parts, evidence: Evidence, name: str, chosen: RunRecord) -> RunRecord:
    """A run with its checkpoint; where that is gone, its seed runs once more."""
    if checkpoint(parts, chosen).is_file():
        return chosen
    parts.tell(Notice(f"the checkpoint of {name}, seed {chosen.seed}, is gone: it runs once more"))
    job = runs.job(parts, evidence, name, chosen.seed, chosen.role)
    return runs.record_of(parts, evidence, job, runs.only(parts, job))


def checkpoint(parts: Parts, run: RunRecord) -> Path:
    """Where a run left its model."""
    return (parts.repo.root / run.log).with_name("model.pt")


def _scored(parts: Parts, evidence: Evidence, run: RunRecord, *, claims: bool) -> checks.Scored:
    """Have a run's checkpoint scored, and leave what was found beside it; the baseline's serves every winner.

    Without `claims` it is scored, on the same documents, and nothing else. Raises Paused where the baseline's cannot
    be: no winner is to be blamed for that.
    """
    runs.check_pins(parts, evidence, run.commit)
    folder = checkpoint(parts, run).with_name("audit" if claims else "compared")
    question, asked = _question(parts, evidence, run, folder, claims), folder / "question.json"
    if not claims and asked.is_file() and asked.read_text() == question.text():
        return checks.read(Result("ok"), folder)
    argv = (parts.python, str(checks.SCORER), question.text())
    metric, limit = evidence.plan.track.metric, float(runs.START_S)
    job = Job(run.variant, run.commit, run.seed, "audit", argv, parts.env, folder, limit, metric, trusted=True)
    result = runs.only(parts, job)
    if result.status != "ok":
        runs.check_room(parts, evidence.plan)  # a full disk is no fault of the winner
    found = checks.read(result, folder)
    if not claims and set(found.checks.values()) != {checks.OK}:
        told = "; ".join(found.checks.values())
        raise Paused(f"the baseline's checkpoint cannot be scored: {told}", where=result.log, next_step="run it again")
    asked.write_text(question.text())
    return found


def _question(parts: Parts, evidence: Evidence, run: RunRecord, folder: Path, claims: bool) -> checks.Question:
    """What scorer.py is to do; the places that it looks at are drawn from the campaign's record, which no run saw."""
    campaign, saved, profile = evidence.campaign, checkpoint(parts, run), evidence.plan.profile
    assert evidence.corpus is not None
    return checks.Question(
        command=_answering(parts, saved, folder / "tree", profile),
        prepared=str(evidence.corpus),
        checkpoint=str(saved),
        claimed=str(saved.with_name("losses.npz")) if claims else None,
        claimed_bpb=run.metric or 0.0,
        out=str(folder),
        batch=checks.BATCH[profile],
        piece=checks.PIECE,
        seed=int(sha256(f"{campaign.at} {campaign.body_sha256}".encode()).hexdigest()[:8], 16),
    )


def _answering(parts: Parts, saved: Path, tree: Path, profile: Profile) -> tuple[str, ...]:
    """The model's process, in a sandbox that shows it its code and its checkpoint."""
    device, gpus = ("cuda", 1) if profile == "full" else ("cpu", 0)
    argv = (parts.python, str(checks.ANSWERER), str(saved), device)
    if parts.walls.level == "none":
        return argv
    return sandbox.wrap(argv, cwd=tree, readable=(tree, checks.ANSWERER, saved), writable=(), gpus=gpus)

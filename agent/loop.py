"""The order of things: start, calibrate, measure, judge, promote, publish. Every step asks git and the ledger first."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from agent import gate, report
from agent.core import (
    BASELINE,
    BadInput,
    CampaignRecord,
    Conditions,
    Event,
    Executor,
    HarnessError,
    Job,
    Notice,
    Paused,
    PromotionRecord,
    Result,
    Role,
    RunEnded,
    RunRecord,
    RunStarted,
    Tracker,
    Verdict,
    VerdictRecord,
)
from agent.evidence import Evidence, board, sets
from agent.ledger import Ledger
from agent.machine import Machine
from agent.planning import Plan, branch, probe_seconds, resolved_at, run_seconds
from agent.repo import Repository, writable
from agent.report import Board


@dataclass(frozen=True)
class Parts:
    """What a campaign is made of. `env` goes to every run; `python` is the interpreter that runs the scripts."""

    repo: Repository
    ledger: Ledger
    tracker: Tracker
    executor: Executor
    machine: Machine
    python: str
    env: Mapping[str, str]
    tell: Callable[[Event], None]

    @property
    def logs(self) -> Path:
        return self.repo.root / "logs"


def now() -> str:
    """The time, for a record."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def run(parts: Parts, plan: Plan) -> Board:
    """Bring a plan to its verdict and return the board. What is done already is not done again.

    Raises Paused where the issue's time is used up, BadInput where the corpus cannot be had; either can be run again.
    """
    campaign = finished(parts, plan) or _start(parts, plan)
    evidence = Evidence(plan, campaign, parts.ledger)
    if parts.ledger.verdict(campaign) is None:
        _calibrate(parts, evidence)
        _measure(parts, evidence)
        _judge(parts, evidence)
    _promote(parts, evidence)
    return _publish(parts, evidence)


# --- start ------------------------------------------------------------------------------------------------


def finished(parts: Parts, plan: Plan) -> CampaignRecord | None:
    """The latest campaign that asked the same question, where it has its answer and is not to be asked again."""
    asked = [c for c in parts.ledger.campaigns(plan.spec.issue.number) if _same_question(parts, plan, c)]
    return asked[-1] if asked and parts.ledger.verdict(asked[-1]) and not plan.retry else None


def _same_question(parts: Parts, plan: Plan, campaign: CampaignRecord) -> bool:
    """Whether a campaign is the plan's, whatever the corpus's fingerprint."""
    name, _, fingerprint = campaign.conditions.corpus.rpartition(":")
    mine = _conditions(parts, plan, fingerprint)
    frozen = (plan.spec.body_sha256, plan.base, plan.rules)
    same = (campaign.body_sha256, campaign.base, campaign.gate) == frozen and campaign.conditions == mine
    return same and name == plan.corpus


def _conditions(parts: Parts, plan: Plan, fingerprint: str) -> Conditions:
    return Conditions(
        track=plan.track.name,
        corpus=f"{plan.corpus}:{fingerprint}",
        profile=plan.profile,
        clock=plan.clock,
        budget=str(plan.budget),
        machine=parts.machine.name_for(plan.profile),
    )


def _start(parts: Parts, plan: Plan) -> CampaignRecord:
    """Freeze the question: the corpus, the baseline, a commit and a branch for every variant, then the record."""
    writable(parts.ledger.path.parent)
    conditions = _conditions(parts, plan, _fingerprint(parts, plan))
    began = [c for c in parts.ledger.campaigns(plan.spec.issue.number) if _same_question(parts, plan, c)]
    if began and began[-1].conditions == conditions and not parts.ledger.verdict(began[-1]):
        return began[-1]
    _place_baseline(parts, plan)
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
        at=now(),
    )
    parts.ledger.append(campaign)
    return campaign


def _fingerprint(parts: Parts, plan: Plan) -> str:
    """Have the corpus prepared by the committed prepare.py before anything is trained; BadInput where it cannot be."""
    if plan.track.prepare is None:
        return "none"
    argv = (parts.python, plan.track.prepare, "--json", "--corpus", plan.corpus, "--profile", plan.profile)
    job = Job(
        "prepare",
        plan.base,
        0,
        "probe",
        argv,
        parts.env,
        parts.repo.git_dir / "autoresearch" / "prepare",
        24 * 3600.0,
        "",
    )
    parts.tell(Notice(f"preparing corpus {plan.corpus} for profile {plan.profile}"))
    result = _only(parts, job)
    if result.status != "ok":
        raise BadInput(result.reason, next_step=f"the whole output: {result.log}")
    answer = [line for line in Path(result.log).read_text().splitlines() if line.startswith("{")]
    return str(json.loads(answer[-1])["fingerprint"])[:12]


def _only(parts: Parts, job: Job) -> Result:
    return next(result for _, result in parts.executor.run([job]))


def _place_baseline(parts: Parts, plan: Plan) -> None:
    """Make the track's baseline branch where it is absent, or take it along where HEAD is ahead of it."""
    name = branch(plan.track.name)
    here = parts.repo.resolve(f"refs/heads/{name}")
    behind = here is not None and here != plan.base and parts.repo.is_ancestor(here, plan.base)
    if (here is None or behind) and not parts.repo.move(name, plan.base, here):
        raise HarnessError(f"the branch {name} was moved by another program", next_step="run the command again")
    if behind and here is not None:
        parts.tell(Notice(f"baseline {plan.track.name} moved along with HEAD, from {here[:7]} to {plan.base[:7]}"))


def _commit(parts: Parts, plan: Plan, name: str) -> str:
    """One commit on the base, on the variant's own branch."""
    one, issue = plan.resolved(name), plan.spec.issue
    told = " ".join(f"{key}={value}" for key, value in sets(plan, one).items())
    message = f"experiment: {name} {told} (issue {issue.number})\n\n{one.variant.why}".strip()
    commit = parts.repo.commit(plan.base, one.files, message)
    parts.repo.keep(f"autoresearch/issue-{issue.number}/{name}", commit)
    return commit


# --- run --------------------------------------------------------------------------------------------------


def _calibrate(parts: Parts, evidence: Evidence) -> None:
    """Probe every variant's step time, interleaved; only where the clock is calibrated and something is to run."""
    if evidence.plan.clock != "calibrated" or not _wanted(evidence):
        return
    probes = evidence.missing_probes()
    if probes:
        parts.tell(
            Notice(f"calibrating: {len(probes)} probes of {probe_seconds(evidence.plan.budget):g} s, interleaved")
        )
    while probes := evidence.missing_probes():
        name, number = probes[0]
        job = _job(parts, evidence, name, number, "probe")
        _record(parts, evidence, job, _only(parts, job))


def _wanted(evidence: Evidence) -> list[gate.RunRequest]:
    return gate.next_runs(evidence.plan.rules, evidence.plan.order, evidence.seen())


def _measure(parts: Parts, evidence: Evidence) -> None:
    """Run what the gate asks for until it can judge. The gate is asked again after every batch."""
    while wanted := _wanted(evidence):
        _check_cap(evidence)
        batch = [_job(parts, evidence, r.variant, r.seed, r.role) for r in wanted[: parts.executor.slots]]
        for job in batch:
            parts.tell(_started(evidence, job, len(wanted)))
        for job, result in parts.executor.run(batch):
            _record(parts, evidence, job, result)


def _started(evidence: Evidence, job: Job, left: int) -> RunStarted:
    done, plan = len(evidence.seen()), evidence.plan
    total = max(done + left, gate.plan_size(plan.rules, len(plan.variants)))
    return RunStarted(job, done + 1, total, run_seconds(plan.budget, plan.profile) or 0.0)


def _check_cap(evidence: Evidence) -> None:
    """Stop before a run that would go over the time that the issue's size label allows."""
    cap, plan = evidence.plan.spec.cap_s, evidence.plan
    spent, one = evidence.spent(), run_seconds(plan.budget, plan.profile) or 0.0
    if cap is not None and spent + one > cap:
        raise Paused(
            f"the campaign has used {spent / 60:.0f} of the {cap / 60:.0f} minutes that its size label allows",
            where=plan.spec.issue.source,
            next_step="give the issue a larger size label and run the same command again: nothing is lost",
        )


def _job(parts: Parts, evidence: Evidence, name: str, seed: int, role: Role | Literal["probe"]) -> Job:
    plan, campaign = evidence.plan, evidence.campaign
    env = {
        **parts.env,
        "AUTORESEARCH_SEED": str(seed),
        "AUTORESEARCH_PROFILE": plan.profile,
        "AUTORESEARCH_CORPUS": plan.corpus,
        **_budget_env(evidence, name, role),
    }
    folder = parts.logs / f"issue-{campaign.issue}" / name / f"{'probe' if role == 'probe' else 'seed'}-{seed}"
    argv = (parts.python, plan.track.script)
    return Job(name, campaign.commits[name], seed, role, argv, env, folder, _limit(plan), plan.track.metric)


def _budget_env(evidence: Evidence, name: str, role: Role | Literal["probe"]) -> dict[str, str]:
    budget, clock = evidence.plan.budget, evidence.plan.clock
    if role == "probe":
        return {"AUTORESEARCH_PROBE": "1", "AUTORESEARCH_BUDGET": f"{probe_seconds(budget):g}"}
    if clock == "calibrated":
        return {"AUTORESEARCH_STEPS": str(evidence.steps(name)), "AUTORESEARCH_BUDGET": f"{budget.amount:g}"}
    variable = {"seconds": "BUDGET", "steps": "STEPS", "tokens": "TOKENS"}[budget.kind]
    return {f"AUTORESEARCH_{variable}": f"{budget.amount:.10g}"}


def _limit(plan: Plan) -> float:
    """Seconds after which a run is killed. A fixed number of steps may take long on a busy machine."""
    seconds = plan.budget.amount if plan.budget.kind == "seconds" else plan.track.budget_s
    return max(2 * seconds, seconds + 120) * (1 if plan.clock == "wall" else 2)


def _record(parts: Parts, evidence: Evidence, job: Job, result: Result) -> None:
    """Put a finished run in the ledger; nothing of it is believed before this."""
    plan, campaign = evidence.plan, evidence.campaign
    steps = job.env.get("AUTORESEARCH_STEPS")
    record = RunRecord(
        issue=campaign.issue,
        campaign=campaign.at,
        conditions=campaign.conditions,
        variant=job.variant,
        role=job.role,
        parent=campaign.base,
        commit=job.commit,
        tree=campaign.trees[job.variant],
        seed=job.seed,
        steps=int(steps) if steps else None,
        status=result.status,
        metric=result.metrics.get(job.metric) if result.status == "ok" else None,
        metrics=result.metrics,
        phases=result.phases,
        seconds=round(result.seconds, 3),
        reason=result.reason,
        log=str(Path(result.log).relative_to(parts.repo.root)),
        at=now(),
        description=_description(plan, job.variant),
    )
    record = _contended(evidence, record)
    parts.ledger.append(record)
    parts.tell(RunEnded(record))


def _description(plan: Plan, name: str) -> str:
    one = plan.resolved(name)
    return " ".join([*(f"{key}={value}" for key, value in sets(plan, one).items()), one.variant.why]).strip()


def _contended(evidence: Evidence, run: RunRecord) -> RunRecord:
    """On the wall clock, a run that others slowed down is kept in the ledger and left out of the gate."""
    speed, usual = run.metrics.get("tokens_per_second"), evidence.usual_speed(run)
    if evidence.plan.clock != "wall" or run.status != "ok" or speed is None or not gate.contended(speed, usual):
        return run
    return replace(run, status="contended", reason=f"{speed:,.0f} tok/s, where this model usually has more")


# --- verdict ----------------------------------------------------------------------------------------------


def _judge(parts: Parts, evidence: Evidence) -> None:
    plan, campaign = evidence.plan, evidence.campaign
    said = gate.judge(plan.rules, plan.order, evidence.seen(), evidence.groups())
    parts.ledger.append(VerdictRecord(campaign.issue, campaign.at, said.verdict, said.variants, now()))


def _promote(parts: Parts, evidence: Evidence) -> None:
    """Move the baseline to the winner, once: from the campaign's base, or from what this issue promoted before."""
    campaign, track = evidence.campaign, evidence.plan.track.name
    record = parts.ledger.verdict(campaign)
    promotions = parts.ledger.promotions(track)
    done = any(promotion.campaign == campaign.at for promotion in promotions)
    if done or record is None or record.verdict.decision != "keep" or record.verdict.variant is None:
        return
    new, here = campaign.commits[record.verdict.variant], parts.repo.resolve(f"refs/heads/{branch(track)}")
    own = {campaign.base, new} | {p.new for p in promotions if p.issue == campaign.issue}
    if here not in own or not (here == new or parts.repo.move(branch(track), new, here)):
        return  # another moved it meanwhile; the board says so
    profile = campaign.conditions.profile
    parts.ledger.append(
        PromotionRecord(campaign.issue, campaign.at, track, record.verdict.variant, profile, campaign.base, new, now())
    )
    parts.tell(Notice(f"baseline {track} is now {new[:7]} ({record.verdict.variant})"))


def board_now(parts: Parts, plan: Plan) -> Board:
    """The board of the plan's latest campaign as it stands. Raises BadInput where the issue was edited since."""
    asked = [c for c in parts.ledger.campaigns(plan.spec.issue.number) if _same_question(parts, plan, c)]
    if not asked:
        raise BadInput(
            "the issue, the baseline or this machine is another than in the latest campaign",
            where=plan.spec.issue.source,
            next_step="run the issue again to have an answer to what it says now",
        )
    return _board(parts, Evidence(plan, asked[-1], parts.ledger))


def _board(parts: Parts, evidence: Evidence) -> Board:
    plan = evidence.plan
    here = parts.repo.resolve(f"refs/heads/{branch(plan.track.name)}") or plan.base
    shape = resolved_at(parts.repo, plan.track, here).shapes.get("full")
    return board(evidence, here, shape, _command(plan), _unpromoted(parts, evidence, here))


def _unpromoted(parts: Parts, evidence: Evidence, here: str) -> tuple[str, ...]:
    """A notice where the winner is not the baseline although it was kept: somebody else had moved the baseline."""
    campaign, track = evidence.campaign, evidence.plan.track.name
    record = parts.ledger.verdict(campaign)
    if record is None or record.verdict.decision != "keep" or record.verdict.variant is None:
        return ()
    if any(promotion.campaign == campaign.at for promotion in parts.ledger.promotions(track)):
        return ()
    told = f"{record.verdict.variant} is not promoted: the baseline had moved to {here[:7]} meanwhile"
    new = campaign.commits[record.verdict.variant]
    return (f"{told}; to promote it by hand: git update-ref refs/heads/{branch(track)} {new}",)


def _command(plan: Plan) -> str:
    """The command that brings about the same campaign anywhere."""
    clock = "" if plan.clock == "steps" else f" --clock {plan.clock}"
    told = f"--budget {plan.budget}{clock} --gate {plan.rules.kind} --profile {plan.profile}"
    return f"python agent/run.py --issue {plan.spec.issue.number} {told} --corpus {plan.corpus}"


def _publish(parts: Parts, evidence: Evidence) -> Board:
    """Write what can be read elsewhere: notes, results.tsv, the comment. All are derived, and written only if new."""
    shown = _board(parts, evidence)
    for row in shown.rows:
        text = report.note(row, evidence.plan.track.metric)
        if parts.repo.noted(row.commit) != text:
            parts.repo.note(row.commit, text)
    _export(parts.ledger)
    parts.tracker.comment(evidence.plan.spec.issue, report.comment(shown))
    return shown


def _export(ledger: Ledger) -> None:
    """results.tsv beside the ledger, whole each time."""
    path = ledger.path.with_name("results.tsv")
    text = report.results_tsv(list(_decided(ledger)))
    if not path.exists() or path.read_text() != text:
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(path)


def _decided(ledger: Ledger) -> Iterator[tuple[Verdict, list[RunRecord]]]:
    runs = ledger.runs()
    for campaign in ledger.campaigns():
        if record := ledger.verdict(campaign):
            yield record.verdict, [run for run in runs if run.campaign == campaign.at]

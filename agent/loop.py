"""The order of things: start, calibrate, measure, judge, promote, publish. Every step asks git and the ledger first."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from agent import gate
from agent.core import (
    BASELINE,
    BadInput,
    Budget,
    CampaignRecord,
    Conditions,
    HarnessError,
    Job,
    JobRole,
    Notice,
    Paused,
    Profile,
    Result,
    RunEnded,
    RunRecord,
    RunStarted,
    VerdictRecord,
)
from agent.evidence import Evidence, sets
from agent.parts import Parts, now
from agent.planning import Plan, branch, probe_seconds, run_seconds
from agent.publish import board_of, promote, publish
from agent.repo import writable
from agent.report import Board
from agent.untrusted import posted, secrets

DAY_S = 24 * 3600.0
START_S = 240  # a run may take so long beside its training: a GPU that has compiled nothing yet may need minutes
COMPILE_FROM_S = 120  # of budget: a shape compiles in 50 s on two cores, and then a step takes a third less time
ROOM_MB = 64  # free space without which no run begins, beside that of its checkpoint
# What a campaign writes into the work tree, for repositories whose .gitignore does not have it.
WRITTEN = ("/logs/", "/experiments/ledger.jsonl", "/experiments/results.tsv", "/experiments/issues/*.comment.md")


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
    promote(parts, evidence)
    shown = board_of(parts, evidence)
    publish(parts, shown)
    return shown


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
    parts.repo.ignore(WRITTEN)
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
    folder, env = parts.repo.git_dir / "autoresearch" / "prepare", {**parts.env, **_network()}
    job = Job("prepare", plan.base, 0, "prepare", argv, env, folder, 24 * 3600.0, "", gpus=0)
    parts.tell(Notice(f"preparing corpus {plan.corpus} for profile {plan.profile}"))
    result = _only(parts, job)
    if result.status != "ok":
        raise BadInput(result.reason, next_step=f"the whole output: {result.log}")
    lines = Path(result.log).read_text(errors="replace").splitlines()
    try:
        return str(json.loads(next(line for line in reversed(lines) if line.startswith("{")))["fingerprint"])[:12]
    except (StopIteration, ValueError, KeyError):
        problem = f"{plan.track.prepare} --json printed no line of JSON with a fingerprint"
        raise BadInput(problem, next_step=f"its whole output: {result.log}") from None


def _network() -> dict[str, str]:
    """What a download may need from our environment; runs that train get none of it."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in names if name in os.environ}


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
    message = posted(message, secrets(os.environ))  # a branch may be pushed
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
        _check_room(parts, evidence.plan)
        job = _job(parts, evidence, name, number, "probe")
        _record(parts, evidence, job, _only(parts, job))


def _wanted(evidence: Evidence) -> list[gate.RunRequest]:
    return gate.next_runs(evidence.plan.rules, evidence.plan.order, evidence.seen())


def _measure(parts: Parts, evidence: Evidence) -> None:
    """Run what the gate asks for until it can judge. The gate is asked again after every batch."""
    while wanted := _wanted(evidence):
        _check_cap(evidence, wanted[0].variant)
        _check_room(parts, evidence.plan)
        batch = [_job(parts, evidence, r.variant, r.seed, r.role) for r in wanted[: parts.executor.slots]]
        for event in _started(evidence, batch, len(wanted)):
            parts.tell(event)
        for job, result in parts.executor.run(batch):
            _record(parts, evidence, job, result)


def _started(evidence: Evidence, batch: Sequence[Job], left: int) -> Iterator[RunStarted]:
    done, plan = len(evidence.seen()), evidence.plan
    total = max(done + left, gate.plan_size(plan.rules, len(plan.variants)))
    for number, job in enumerate(batch, start=done + 1):
        yield RunStarted(job, number, total, _expected(evidence, job.variant) or 0.0)


def _expected(evidence: Evidence, name: str) -> float | None:
    """Seconds that the next run takes in all: by its budget, else by the runs before it."""
    return run_seconds(evidence.plan.budget, evidence.plan.profile) or evidence.usual_seconds(name)


def _check_room(parts: Parts, plan: Plan) -> None:
    """A run that dies of a full disk would be taken for a variant that fails."""
    parts.logs.mkdir(exist_ok=True)
    shapes = [shaped for one in (plan.baseline, *plan.variants) if (shaped := one.shapes.get(plan.profile))]
    needed = ROOM_MB + max((4 * shaped.params >> 20 for shaped in shapes), default=0)
    free = shutil.disk_usage(parts.logs).free >> 20
    if free < needed:
        raise Paused(
            f"{free} MB are free, and a run needs {needed}",
            where=str(parts.logs),
            next_step="free some space and run the same command again: what was recorded is intact",
        )


def _check_cap(evidence: Evidence, name: str) -> None:
    """Stop before a run that would go over the time that the issue's size label allows."""
    cap, spent = evidence.plan.spec.cap_s, evidence.spent()
    if cap is not None and spent + (_expected(evidence, name) or 0.0) > cap:
        raise Paused(
            f"the campaign has used {spent / 60:.0f} of the {cap / 60:.0f} minutes that its size label allows",
            where=evidence.plan.spec.issue.source,
            next_step="give the issue a larger size label and run the same command again: nothing is lost",
        )


def _job(parts: Parts, evidence: Evidence, name: str, seed: int, role: JobRole) -> Job:
    plan, campaign = evidence.plan, evidence.campaign
    env = {
        **parts.env,
        "AUTORESEARCH_SEED": str(seed),
        "AUTORESEARCH_PROFILE": plan.profile,
        "AUTORESEARCH_CORPUS": plan.corpus,
        **compile_env(plan.profile, plan.budget),
        **_budget_env(evidence, name, role),
    }
    folder = parts.logs / f"issue-{campaign.issue}" / name / f"{'probe' if role == 'probe' else 'seed'}-{seed}"
    argv = (parts.python, plan.track.script)
    limit = _limit(evidence, name, role)
    return Job(name, campaign.commits[name], seed, role, argv, env, _unused(parts, folder), limit, plan.track.metric)


def compile_env(profile: Profile, budget: Budget) -> dict[str, str]:
    """On a CPU all runs and probes of a campaign compile or none does, so that they stay comparable."""
    if profile != "mini":
        return {}
    return {"AUTORESEARCH_COMPILE": str(int(budget.kind == "seconds" and budget.amount >= COMPILE_FROM_S))}


def _unused(parts: Parts, folder: Path) -> Path:
    """`folder`, or the first of `folder-2`, `folder-3`, ... that is not the home of a run in the ledger."""
    taken = {(parts.repo.root / run.log).parent for role in ("", "probe") for run in parts.ledger.runs(role=role)}
    names = chain([folder.name], (f"{folder.name}-{number}" for number in count(2)))
    return next(home for name in names if (home := folder.with_name(name)) not in taken)


def _budget_env(evidence: Evidence, name: str, role: JobRole) -> dict[str, str]:
    budget, clock = evidence.plan.budget, evidence.plan.clock
    if role == "probe":
        return {"AUTORESEARCH_PROBE": "1", "AUTORESEARCH_BUDGET": f"{probe_seconds(budget):g}"}
    if clock == "calibrated":
        return {"AUTORESEARCH_STEPS": str(evidence.steps(name)), "AUTORESEARCH_BUDGET": f"{budget.amount:g}"}
    variable = {"seconds": "BUDGET", "steps": "STEPS", "tokens": "TOKENS"}[budget.kind]
    return {f"AUTORESEARCH_{variable}": f"{budget.amount:.10g}"}


def _limit(evidence: Evidence, name: str, role: JobRole) -> float:
    """Seconds after which a run is killed: twice what it should take, and more where steps and not seconds end it.

    How long a number of steps takes is known after the first run; that one may take what the issue may take in all.
    """
    plan = evidence.plan
    if plan.budget.kind == "seconds":
        seconds = probe_seconds(plan.budget) if role == "probe" else plan.budget.amount
        return max(2 * seconds, seconds + START_S) * (1 if plan.clock == "wall" else 2)
    usual = evidence.usual_seconds(name)
    return plan.spec.cap_s or DAY_S if usual is None else 4 * usual + START_S


def _record(parts: Parts, evidence: Evidence, job: Job, result: Result) -> None:
    """Put a finished run in the ledger; nothing of it is believed before this."""
    if result.status != "ok":
        _check_room(parts, evidence.plan)
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

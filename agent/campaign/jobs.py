"""One process of a campaign: what it is given, what it may see and how long it may take; and its result, recorded."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from agent.audit import integrity
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView, constants_set
from agent.campaign.plan import Plan, probe_seconds, run_seconds
from agent.core.errors import BadInput, Paused
from agent.core.experiment import BASELINE, Budget, Profile
from agent.core.faults import fault_point
from agent.core.protocols import Notice, RunEnded
from agent.core.records import RunRecord, utc_now
from agent.core.runs import Job, JobRole, Result
from agent.execution.folders import discard
from agent.gate import verdict

DAY_S = 24 * 3600.0
START_S = 240  # a run may take so long beside its training: a GPU that has compiled nothing yet may need minutes
COMPILE_FROM_S = 120  # of budget: a shape compiles in 50 s on two cores, and then a step takes a third less time
SMOKE_STEPS = 5  # of a draft, before it is a variant
ROOM_MB = 64  # free space without which no run begins, beside that of its checkpoint


def run_one(parts: CampaignContext, job: Job) -> Result:
    """Run one job."""
    return next(result for _, result in parts.executor.run([job]))


# --- the corpus -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: its fingerprint, and the folder it is in where the track's prepare.py has one."""

    fingerprint: str
    folder: Path | None


def prepared(parts: CampaignContext, plan: Plan) -> Corpus:
    """Have the corpus prepared by the committed prepare.py before anything is trained; BadInput where it cannot be."""
    if plan.track.prepare is None:
        return Corpus("none", None)
    argv = (parts.python, plan.track.prepare, "--json", "--corpus", plan.corpus, "--profile", plan.profile)
    folder, env = parts.repo.git_dir / "autoresearch" / "prepare", {**parts.env, **_network()}
    job = Job("prepare", plan.base, 0, "prepare", argv, env, folder, DAY_S, "", gpus=0, trusted=True)
    parts.emit(Notice(f"preparing corpus {plan.corpus} for profile {plan.profile}"))
    result = run_one(parts, job)
    if result.status != "ok":
        raise BadInput(result.reason, next_step=f"the whole output: {result.log}")
    lines = Path(result.log).read_text(errors="replace").splitlines()
    try:
        told = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
        return Corpus(str(told["fingerprint"])[:12], Path(told["path"]) if "path" in told else None)
    except (StopIteration, ValueError, KeyError):
        problem = f"{plan.track.prepare} --json printed no line of JSON with a fingerprint"
        raise BadInput(problem, next_step=f"its whole output: {result.log}") from None


def _network() -> dict[str, str]:
    """What a download may need from our environment; runs that train get none of it."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in names if name in os.environ}


def current_pins(parts: CampaignContext, plan: Plan, commit: str, corpus: Path | None) -> dict[str, str]:
    """Return what a run of `commit` would find now of the files that no experiment may change."""
    places = {place: _contents(parts, commit, place) for place in plan.track.fixed}
    pins = {place: integrity.fingerprint_text(text) for place, text in places.items()}
    return pins | integrity.corpus_fingerprints(corpus)


def _contents(parts: CampaignContext, commit: str, place: str) -> str:
    """Return the text of a fixed file, or the listing of a fixed folder with git's name for each content."""
    if place.endswith("/"):
        return json.dumps(parts.repo.files(commit, place), sort_keys=True)
    return parts.repo.read(commit, place) or ""


def check_pins(parts: CampaignContext, evidence: CampaignView, commit: str) -> None:
    """Before every run and audit. A campaign that began before there were pins has none."""
    campaign, plan = evidence.campaign, evidence.plan
    changed = integrity.changed(campaign.pins, current_pins(parts, plan, commit, evidence.corpus))
    if changed:
        raise BadInput(
            f"{', '.join(changed)} changed since the campaign began: its results would not be comparable",
            where=str(evidence.corpus or parts.repo.root),
            next_step="put it back as it was (remove the corpus's folder to have it prepared again), then go on",
        )


# --- before a run -----------------------------------------------------------------------------------------


def check_disk(parts: CampaignContext, plan: Plan) -> None:
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


def check_time_cap(evidence: CampaignView, name: str) -> None:
    """Stop before a run that would go over the time that the issue's size label allows."""
    cap, spent = evidence.plan.spec.cap_s, evidence.spent()
    if cap is not None and spent + (expected(evidence, name) or 0.0) > cap:
        raise Paused(
            f"the campaign has used {spent / 60:.0f} of the {cap / 60:.0f} minutes that its size label allows",
            where=evidence.plan.spec.issue.source,
            next_step="give the issue a larger size label and run the same command again: nothing is lost",
        )


def expected(evidence: CampaignView, name: str) -> float | None:
    """Seconds that the next run takes in all: by its budget, else by the runs before it."""
    return run_seconds(evidence.plan.budget, evidence.plan.profile) or evidence.usual_seconds(name)


def make_job(parts: CampaignContext, evidence: CampaignView, name: str, seed: int, role: JobRole) -> Job:
    """A run of a variant or the baseline, in a folder of its own. Raises BadInput where what is pinned has changed."""
    track, commit = evidence.plan.track, evidence.campaign.commits[name]
    check_pins(parts, evidence, commit)
    home = free_run_folder(parts, _home(parts, evidence, name, seed, role))
    cache = _cache(parts, evidence, name, home)
    own = {"AUTORESEARCH_SEED": str(seed), "AUTORESEARCH_CACHE": str(cache)}
    env, argv = _env(parts, evidence, name, role) | own, (parts.python, track.script)
    told = (env, home, _limit(evidence, name, role), track.metric)
    shared = (cache / "graphs",) if cache != home / "cache" else ()
    return Job(
        name, commit, seed, role, argv, *told, readable=integrity.visible_files(evidence.corpus), writable=shared
    )


def _home(parts: CampaignContext, evidence: CampaignView, name: str, seed: int, role: JobRole) -> Path:
    """The folder of a run, or of the first of its repetitions."""
    kind = "probe" if role == "probe" else "seed"
    return parts.logs / f"issue-{evidence.campaign.issue}" / name / f"{kind}-{seed}"


def smoke(parts: CampaignContext, plan: Plan, name: str, commit: str, attempt: int, corpus: Corpus) -> Result:
    """A draft's first steps, uncompiled, and its evaluation: does it run at all? It is in no ledger.

    What it compiles nobody loads again; it pays with seconds what a whole run would pay with minutes.
    """
    home = parts.logs / f"issue-{plan.spec.issue.number}" / name / f"smoke-{attempt}"
    told = {"SEED": "0", "STEPS": str(SMOKE_STEPS), "COMPILE": "0", "CACHE": str(home / "cache")}
    job = Job(
        variant=name,
        commit=commit,
        seed=0,
        role="smoke",
        argv=(parts.python, plan.track.script),
        env=_shared_env(parts, plan, corpus.folder) | {f"AUTORESEARCH_{key}": value for key, value in told.items()},
        run_dir=home,
        timeout_s=float(START_S),
        metric=plan.track.metric,
        readable=integrity.visible_files(corpus.folder),
    )
    result = _complete(corpus.folder, job, run_one(parts, job))
    (home / "model.pt").unlink(missing_ok=True)  # nobody will ask it anything
    return result


def _shared_env(parts: CampaignContext, plan: Plan, corpus: Path | None) -> dict[str, str]:
    """What every run of a plan is told."""
    prepared = {"AUTORESEARCH_PREPARED": str(corpus)} if corpus else {}
    return {**parts.env, "AUTORESEARCH_PROFILE": plan.profile, "AUTORESEARCH_CORPUS": plan.corpus, **prepared}


def _env(parts: CampaignContext, evidence: CampaignView, name: str, role: JobRole) -> dict[str, str]:
    """What a run is told: everything but its seed and its cache."""
    plan = evidence.plan
    return {
        **_shared_env(parts, plan, evidence.corpus),
        **compile_env(plan.profile, plan.budget),
        **_budget_env(evidence, name, role),
    }


def _cache(parts: CampaignContext, evidence: CampaignView, name: str, run_dir: Path) -> Path:
    """Where a run keeps what it compiles: with the others where no model's code is in it, else for itself alone.

    Later runs load what is compiled, and could find there what an earlier one learned: nothing that a model wrote may
    leave anything behind, be it the variant's or the baseline's. It pays with a compilation each run.
    """
    shared = Path(parts.env["AUTORESEARCH_CACHE"])
    if evidence.plan.has_model_code(name):
        return run_dir / "cache"
    (shared / "graphs").mkdir(parents=True, exist_ok=True)
    return shared


def compile_env(profile: Profile, budget: Budget) -> dict[str, str]:
    """On a CPU all runs and probes of a campaign compile or none does, so that they stay comparable."""
    if profile != "mini":
        return {}
    return {"AUTORESEARCH_COMPILE": str(int(budget.kind == "seconds" and budget.amount >= COMPILE_FROM_S))}


def free_run_folder(parts: CampaignContext, folder: Path) -> Path:
    """`folder`, or the first of `folder-2`, `folder-3`, ... that is not the home of a run in the ledger."""
    taken = {(parts.repo.root / run.log).parent for role in ("", "probe") for run in parts.ledger.runs(role=role)}
    names = chain([folder.name], (f"{folder.name}-{number}" for number in count(2)))
    return next(home for name in names if (home := folder.with_name(name)) not in taken)


def _budget_env(evidence: CampaignView, name: str, role: JobRole) -> dict[str, str]:
    budget, clock = evidence.plan.budget, evidence.plan.clock
    if role == "probe":
        return {"AUTORESEARCH_PROBE": "1", "AUTORESEARCH_BUDGET": f"{probe_seconds(budget):g}"}
    if clock == "calibrated":
        return {"AUTORESEARCH_STEPS": str(evidence.steps(name)), "AUTORESEARCH_BUDGET": f"{budget.amount:g}"}
    variable = {"seconds": "BUDGET", "steps": "STEPS", "tokens": "TOKENS"}[budget.kind]
    return {f"AUTORESEARCH_{variable}": f"{budget.amount:.10g}"}


def _limit(evidence: CampaignView, name: str, role: JobRole) -> float:
    """Seconds after which a run is killed: twice what it should take, and more where steps and not seconds end it.

    How long a number of steps takes is known after the first run; that one may take what the issue may take in all.
    """
    plan = evidence.plan
    if plan.budget.kind == "seconds":
        seconds = probe_seconds(plan.budget) if role == "probe" else plan.budget.amount
        return max(2 * seconds, seconds + START_S) * (1 if plan.clock == "wall" else 2)
    usual = evidence.usual_seconds(name)
    return plan.spec.cap_s or DAY_S if usual is None else 4 * usual + START_S


def measure_compile_s(parts: CampaignContext, evidence: CampaignView, home: Path) -> float:
    """Seconds that a compilation takes the baseline, by our own clock: two probes from one new cache, in `home`.

    The second finds what the first has compiled. Raises Paused where one fails: no winner is to be blamed for that.
    """
    plan = evidence.plan
    if compile_env(plan.profile, plan.budget).get("AUTORESEARCH_COMPILE") == "0":
        return 0.0
    discard(home)
    cold, warm = (_probed(parts, evidence, home / name, home / "cache") for name in ("cold", "warm"))
    discard(home)
    return max(0.0, cold - warm)


def _probed(parts: CampaignContext, evidence: CampaignView, run_dir: Path, cache: Path) -> float:
    """Seconds of a probe of the baseline in all, with a cache of its own."""
    (cache / "graphs").mkdir(parents=True, exist_ok=True)
    usual = make_job(parts, evidence, BASELINE, 0, "probe")
    env = {**usual.env, "AUTORESEARCH_CACHE": str(cache)}
    result = run_one(parts, replace(usual, run_dir=run_dir, env=env, writable=(cache / "graphs",)))
    if result.status != "ok":
        check_disk(parts, evidence.plan)
        raise Paused(f"the baseline cannot be probed: {result.reason}", where=result.log, next_step="run it again")
    return result.seconds


# --- after it ---------------------------------------------------------------------------------------------


def record_result(parts: CampaignContext, evidence: CampaignView, job: Job, result: Result) -> RunRecord:
    """Put a finished run in the ledger; nothing of it is believed before this."""
    result = _complete(evidence.corpus, job, result)
    if result.status != "ok":
        check_disk(parts, evidence.plan)
    record = _contended(evidence, _record(parts, evidence, job, result))
    fault_point("append-before")
    parts.ledger.append(record)
    fault_point("append-after")
    parts.emit(RunEnded(record))
    return record


def _record(parts: CampaignContext, evidence: CampaignView, job: Job, result: Result) -> RunRecord:
    campaign, steps = evidence.campaign, job.env.get("AUTORESEARCH_STEPS")
    return RunRecord(
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
        at=utc_now(),
        description=_description(evidence.plan, job.variant),
        sandbox=result.sandbox,
        usd=evidence.plan.resolved(job.variant).variant.usd,
        cpu_s=result.cpu_s,
    )


def _complete(corpus: Path | None, job: Job, result: Result) -> Result:
    """A run that leaves nothing to audit has no result: else it could choose which of its seeds is looked at."""
    made = (job.run_dir / "model.pt").is_file() and (job.run_dir / "losses.npz").is_file()
    if corpus is None or job.role == "probe" or result.status != "ok" or made:
        return result
    return replace(result, status="no_metric", reason="exit 0, and no model.pt or losses.npz to audit")


def _description(plan: Plan, name: str) -> str:
    one = plan.resolved(name)
    return " ".join([*(f"{key}={value}" for key, value in constants_set(plan, one).items()), one.variant.why]).strip()


def _contended(evidence: CampaignView, run: RunRecord) -> RunRecord:
    """On the wall clock, a run that others slowed down is kept in the ledger and left out of the gate."""
    speed, usual = run.metrics.get("tokens_per_second"), evidence.usual_speed(run)
    if evidence.plan.clock != "wall" or run.status != "ok" or speed is None or not verdict.contended(speed, usual):
        return run
    return replace(run, status="contended", reason=f"{speed:,.0f} tok/s, where this model usually has more")

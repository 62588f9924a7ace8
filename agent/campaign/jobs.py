"""One run of a campaign: what it is given, what it may see, how long it may take; and its result, recorded."""

import json
import os
import shutil
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

from agent.audit import integrity
from agent.campaign.context import CampaignContext
from agent.campaign.estimate import probe_seconds, run_seconds
from agent.campaign.evidence import CampaignView, constants_set
from agent.campaign.plan import Plan
from agent.core.errors import BadInput, Paused
from agent.core.experiment import BASELINE, Budget, Profile
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.protocols import Notice, RunEnded
from agent.core.records import RunRecord, utc_now
from agent.core.runs import Job, JobRole, Result
from agent.execution.folders import discard
from agent.gate import history

DAY_S = 24 * 3600.0
START_S = 240  # a run may take so long beside its training: a GPU that has compiled nothing yet may need minutes
COMPILE_FROM_S = 120  # of budget: a shape compiles in 50 s on two cores, and then a step takes a third less time
MIN_FREE_MB = 64  # free space without which no run begins, beside that of its checkpoint


def run_one(ctx: CampaignContext, job: Job) -> Result:
    """Run one job and return its result."""
    return next(result for _, result in ctx.executor.run([job]))


# --- the corpus -------------------------------------------------------------------------------------------


@frozen
class Corpus:
    """A prepared corpus: its fingerprint, and the folder it is in where the track's prepare.py has one."""

    fingerprint: str
    folder: Path | None


def prepare_corpus(ctx: CampaignContext, plan: Plan) -> Corpus:
    """Have the committed prepare.py prepare the corpus, before anything is trained; BadInput where it cannot."""
    if plan.track.prepare is None:
        return Corpus("none", None)
    job = Job(
        variant="prepare",
        commit=plan.base.commit,
        seed=0,
        role="prepare",
        argv=(ctx.python, plan.track.prepare, "--json", "--corpus", plan.corpus, "--profile", plan.profile),
        env={**ctx.env, **_network_env()},
        run_dir=ctx.repo.git_dir / "autoresearch" / "prepare",
        timeout_s=DAY_S,
        metric="",
        gpus=0,
        trusted=True,
    )
    ctx.emit(Notice(f"preparing corpus {plan.corpus} for profile {plan.profile}"))
    result = run_one(ctx, job)
    if result.status != "ok":
        raise BadInput(result.reason, next_step=f"the whole output: {result.log}")
    return _read_corpus(plan.track.prepare, Path(result.log))


def _read_corpus(script: str, log: Path) -> Corpus:
    """Return the corpus that the last line of JSON in prepare.py's log describes."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        printed = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
        kind, dash, digest = str(printed["fingerprint"]).rpartition("-")  # `standin-` before that of made-up data
        return Corpus(kind + dash + digest[:12], Path(printed["path"]) if "path" in printed else None)
    except (StopIteration, ValueError, KeyError):
        problem = f"{script} --json printed no line of JSON with a fingerprint"
        raise BadInput(problem, next_step=f"its whole output: {log}") from None


def _network_env() -> dict[str, str]:
    """Return what a download may need from our environment; runs that train get none of it."""
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
    return {name: os.environ[name] for name in names if name in os.environ}


def current_pins(ctx: CampaignContext, plan: Plan, commit: str, corpus: Path | None) -> dict[str, str]:
    """Return what a run of `commit` would find now of the files that no experiment may change."""
    places = {place: _contents(ctx, commit, place) for place in plan.track.fixed}
    pins = {place: integrity.fingerprint_text(text) for place, text in places.items()}
    return pins | integrity.corpus_fingerprints(corpus)


def _contents(ctx: CampaignContext, commit: str, place: str) -> str:
    """Return the text of a fixed file, or the listing of a fixed folder with git's name for each content."""
    if place.endswith("/"):
        return json.dumps(ctx.repo.files(commit, place), sort_keys=True)
    return ctx.repo.read(commit, place) or ""


def check_pins(ctx: CampaignContext, view: CampaignView, commit: str) -> None:
    """Raise BadInput where what is pinned has changed: before every run and audit."""
    campaign, plan = view.campaign, view.plan
    changed = integrity.changed(campaign.pins, current_pins(ctx, plan, commit, view.corpus))
    if changed:
        raise BadInput(
            f"{', '.join(changed)} changed since the campaign began: its results would not be comparable",
            where=str(view.corpus or ctx.repo.root),
            next_step="put it back as it was (remove the corpus's folder to have it prepared again), then go on",
        )


# --- before a run -----------------------------------------------------------------------------------------


def check_disk(ctx: CampaignContext, plan: Plan) -> None:
    """Raise Paused without room for a run: one that dies of a full disk would be taken for a variant that fails."""
    ctx.logs.mkdir(exist_ok=True)
    needed = MIN_FREE_MB + (4 * plan.most_params >> 20)
    free = shutil.disk_usage(ctx.logs).free >> 20
    if free < needed:
        raise Paused(
            f"{free} MB are free, and a run needs {needed}",
            where=str(ctx.logs),
            next_step="free some space and run the same command again: what was recorded is intact",
        )


def check_time_cap(view: CampaignView, name: str) -> None:
    """Raise Paused before a run that would go over the time that the issue's size label allows."""
    cap = view.plan.spec.cap_s
    if cap is not None and (spent := view.spent()) + (expected_seconds(view, name) or 0.0) > cap:
        raise Paused(
            f"the campaign has used {spent / 60:.0f} of the {cap / 60:.0f} minutes that its size label allows",
            where=view.plan.spec.issue.source,
            next_step="give the issue a larger size label and run the same command again: nothing is lost",
        )


def expected_seconds(view: CampaignView, name: str) -> float | None:
    """Return the seconds that the next run takes in all: by its budget, else by the runs before it."""
    return run_seconds(view.plan.budget, view.plan.profile) or view.usual_seconds(name)


def make_job(ctx: CampaignContext, view: CampaignView, name: str, seed: int, role: JobRole) -> Job:
    """Return a run of a variant or the baseline, in a folder of its own. Raises BadInput where a pin changed."""
    track, commit = view.plan.track, view.campaign.commits[name]
    check_pins(ctx, view, commit)
    home = free_run_folder(ctx, _home(ctx, view, name, seed, role))
    cache = _cache(ctx, view, name, home)
    return Job(
        variant=name,
        commit=commit,
        seed=seed,
        role=role,
        argv=(ctx.python, track.script),
        env=_env(ctx, view, name, role) | {"AUTORESEARCH_SEED": str(seed), "AUTORESEARCH_CACHE": str(cache)},
        run_dir=home,
        timeout_s=_limit(view, name, role),
        metric=track.metric,
        readable=integrity.visible_files(view.corpus),
        writable=() if cache == home / "cache" else (cache / "graphs",),
    )


def _home(ctx: CampaignContext, view: CampaignView, name: str, seed: int, role: JobRole) -> Path:
    """Return the folder of a run, or of the first of its repetitions."""
    kind = "probe" if role == "probe" else "seed"
    return ctx.logs / f"issue-{view.campaign.issue}" / name / f"{kind}-{seed}"


def shared_env(ctx: CampaignContext, plan: Plan, corpus: Path | None) -> dict[str, str]:
    """Return the environment of every run of a plan."""
    prepared = {"AUTORESEARCH_PREPARED": str(corpus)} if corpus else {}
    return {**ctx.env, "AUTORESEARCH_PROFILE": plan.profile, "AUTORESEARCH_CORPUS": plan.corpus, **prepared}


def _env(ctx: CampaignContext, view: CampaignView, name: str, role: JobRole) -> dict[str, str]:
    """Return the environment of a run, without its seed and its cache."""
    own = compile_env(view.plan.profile, view.plan.budget) | _budget_env(view, name, role)
    return shared_env(ctx, view.plan, view.corpus) | own


def _cache(ctx: CampaignContext, view: CampaignView, name: str, run_dir: Path) -> Path:
    """Return where a run keeps what it compiles: with the others where no model's code is in it, else for itself alone.

    Later runs load what is compiled, and could find there what an earlier one learned: nothing that a model wrote may
    leave anything behind, be it the variant's or the baseline's. It pays with a compilation each run.
    """
    shared = Path(ctx.env["AUTORESEARCH_CACHE"])
    if view.plan.has_model_code(name):
        return run_dir / "cache"
    (shared / "graphs").mkdir(parents=True, exist_ok=True)
    return shared


def compile_env(profile: Profile, budget: Budget) -> dict[str, str]:
    """Return whether to compile: on a CPU all runs and probes of a campaign do or none does, to stay comparable."""
    if profile != "mini":
        return {}
    return {"AUTORESEARCH_COMPILE": str(int(budget.kind == "seconds" and budget.amount >= COMPILE_FROM_S))}


def free_run_folder(ctx: CampaignContext, folder: Path) -> Path:
    """Return `folder`, or the first of `folder-2`, `folder-3`, ... that is not the home of a run in the ledger."""
    names = chain([folder.name], (f"{folder.name}-{number}" for number in count(2)))
    homes = (folder.with_name(name) for name in names)
    return next(home for home in homes if not ctx.ledger.has_run_in(home.relative_to(ctx.repo.root).as_posix()))


def _budget_env(view: CampaignView, name: str, role: JobRole) -> dict[str, str]:
    budget, clock = view.plan.budget, view.plan.clock
    if role == "probe":
        return {"AUTORESEARCH_PROBE": "1", "AUTORESEARCH_BUDGET": f"{probe_seconds(budget):g}"}
    if clock == "calibrated":
        return {"AUTORESEARCH_STEPS": str(view.steps(name)), "AUTORESEARCH_BUDGET": f"{budget.amount:g}"}
    variable = {"seconds": "BUDGET", "steps": "STEPS", "tokens": "TOKENS"}[budget.kind]
    return {f"AUTORESEARCH_{variable}": f"{budget.amount:.10g}"}


def _limit(view: CampaignView, name: str, role: JobRole) -> float:
    """Return the seconds after which a run is killed: twice what it should take, more where it ends after steps.

    How long a number of steps takes is known after the first run; that one may take what the issue may take in all.
    """
    plan = view.plan
    if plan.budget.kind == "seconds":
        seconds = probe_seconds(plan.budget) if role == "probe" else plan.budget.amount
        return max(2 * seconds, seconds + START_S) * (1 if plan.clock == "wall" else 2)
    usual = view.usual_seconds(name)
    return plan.spec.cap_s or DAY_S if usual is None else 4 * usual + START_S


def measure_compile_s(ctx: CampaignContext, view: CampaignView, home: Path) -> float:
    """Return the seconds that the baseline takes to compile, by our own clock: two probes from one cache, in `home`.

    The second finds what the first has compiled. Raises Paused where one fails: no winner is to be blamed for that.
    """
    plan = view.plan
    if compile_env(plan.profile, plan.budget).get("AUTORESEARCH_COMPILE") == "0":
        return 0.0
    discard(home)
    cold, warm = (_probed(ctx, view, home / name, home / "cache") for name in ("cold", "warm"))
    discard(home)
    return max(0.0, cold - warm)


def _probed(ctx: CampaignContext, view: CampaignView, run_dir: Path, cache: Path) -> float:
    """Return the seconds of a probe of the baseline in all, with a cache of its own."""
    (cache / "graphs").mkdir(parents=True, exist_ok=True)
    usual = make_job(ctx, view, BASELINE, 0, "probe")
    env = {**usual.env, "AUTORESEARCH_CACHE": str(cache)}
    result = run_one(ctx, replace(usual, run_dir=run_dir, env=env, writable=(cache / "graphs",)))
    if result.status != "ok":
        check_disk(ctx, view.plan)
        raise Paused(f"the baseline cannot be probed: {result.reason}", where=result.log, next_step="run it again")
    return result.seconds


# --- after it ---------------------------------------------------------------------------------------------


def record_result(ctx: CampaignContext, view: CampaignView, job: Job, result: Result) -> RunRecord:
    """Put a finished run in the ledger; nothing of it is believed before this."""
    result = complete(view.corpus, job, result)
    if result.status != "ok":
        check_disk(ctx, view.plan)
    record = _contended(view, _record(ctx, view, job, result))
    fault_point("append-before")
    ctx.ledger.append(record)
    fault_point("append-after")
    ctx.emit(RunEnded(record))
    return record


def _record(ctx: CampaignContext, view: CampaignView, job: Job, result: Result) -> RunRecord:
    campaign, steps = view.campaign, job.env.get("AUTORESEARCH_STEPS")
    return RunRecord(
        issue=campaign.issue,
        campaign_id=campaign.at,
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
        log=str(Path(result.log).relative_to(ctx.repo.root)),
        at=utc_now(),
        description=_description(view.plan, job.variant),
        sandbox=result.sandbox,
        usd=view.plan.resolved(job.variant).variant.usd,
        cpu_s=result.cpu_s,
        worker=result.worker,
    )


def complete(corpus: Path | None, job: Job, result: Result) -> Result:
    """Return a result, failed where it leaves nothing to audit: else a run could choose which seeds are looked at."""
    has_model = (job.run_dir / "model.pt").is_file() and (job.run_dir / "losses.npz").is_file()
    if corpus is None or job.role == "probe" or result.status != "ok" or has_model:
        return result
    return replace(result, status="no_metric", reason="exit 0, and no model.pt or losses.npz to audit")


def _description(plan: Plan, name: str) -> str:
    one = plan.resolved(name)
    return " ".join([*(f"{key}={value}" for key, value in constants_set(plan, one).items()), one.variant.why]).strip()


def _contended(view: CampaignView, run: RunRecord) -> RunRecord:
    """Return a run, on the wall clock marked where others slowed it: it is recorded and left out of the gate."""
    speed, usual = run.metrics.get("tokens_per_second"), view.usual_speed(run)
    if view.plan.clock != "wall" or run.status != "ok" or speed is None or not history.contended(speed, usual):
        return run
    return replace(run, status="contended", reason=f"{speed:,.0f} tok/s, where this model usually has more")

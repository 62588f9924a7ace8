"""Puts edits of the real script of a track on trial as the harness would: trained in the sandbox, recorded, audited.

One project, one baseline and one campaign serve every edit. Each is a variant that goes the way of a winner, by the
code that a campaign goes by; two run at a time, forked from a warm worker.
"""

import math
import os
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from agent.campaign import auditing, engine, jobs
from agent.campaign.base import read_base
from agent.campaign.context import CampaignContext
from agent.campaign.drafts import CheckResult, DraftChecker
from agent.campaign.evidence import CampaignView
from agent.campaign.jobs import make_job, record_result
from agent.campaign.plan import CampaignRequest, Plan
from agent.core.experiment import BASELINE, Budget, GateRules, Issue, Rewrite, Spec, Track, Variant
from agent.core.proposals import Draft, Idea
from agent.core.records import AuditRecord, RunRecord
from agent.core.runs import JobRole
from agent.execution import machine
from agent.execution.local import LocalExecutor
from agent.spec import policy
from agent.spec.commands import Selection
from agent.spec.parser import digest
from agent.spec.preflight import Resolved
from agent.store import tracks
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.store.rounds import Round
from agent.tracking.local import MarkdownTracker
from tests.cheats import CHECKS, Cheat, original, train_py
from tests.support import needs, zygotes
from tests.support.project import ROOT, commit, copy_fixed, git

SMALL = {"DEPTH": 2, "ASPECT_RATIO": 128}  # model_dim 32 on mini
ISSUE = "experiments/issues/0060-on-trial.md"
AT_ONCE = 2  # runs


def make(folder: Path, script: str, name: str = "main") -> Path:
    """A repository with the real fixed side of a track and `script` for its script."""
    track = tracks.load(ROOT, name)
    (folder / ISSUE).parent.mkdir(parents=True)
    (folder / "experiments" / name).mkdir(parents=True)
    (folder / ISSUE).write_text("---\nnumber: 60\ntitle: On trial\nlabels: [experiment]\n---\n")
    copy_fixed(folder)
    for path in (f"experiments/{name}/track.toml", str(track.prepare), ".gitignore"):
        (folder / path).write_bytes((ROOT / path).read_bytes())
    (folder / track.script).write_text(script, "utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The real thing, small")
    return folder


@dataclass(frozen=True)
class Court:
    """A campaign of edits by name."""

    ctx: CampaignContext
    view: CampaignView

    def train(self, names: Iterable[str], seed: int = 0) -> dict[str, RunRecord]:
        """Train the baseline or variants; what they left, recorded."""
        roles: dict[str, JobRole] = {BASELINE: "baseline"}
        jobs = [make_job(self.ctx, self.view, name, seed, roles.get(name, "screen")) for name in names]
        done = self.ctx.executor.run(jobs)
        return {job.variant: record_result(self.ctx, self.view, job, result) for job, result in done}

    def audits(self, names: Iterable[str]) -> Iterator[AuditRecord]:
        """The audits of variants that have run, as if the gate had kept each."""
        return (auditing.audit_winner(self.ctx, self.view, name) for name in names)


def text(cache: Path) -> str:
    """A corpus of the first files of the standard library, a twentieth, so that scoring takes no time to speak of."""
    path = cache / "trial" / "short.txt"
    if not path.exists():
        files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:25]
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")  # another worker may be at it
        draft.write_text("\n\n".join(file.read_text("utf-8") for file in files), "utf-8")
        draft.replace(path)
    return f"file:{path}"


def open_court(project: Path, cache: Path, scripts: Mapping[str, str], steps: int, name: str = "main") -> Court:
    """Begin the campaign. The scripts go past preflight, which would refuse some of them: the audit is on trial too."""
    corpus = text(cache) if name == "main" else f"{name}-standin"
    return open_campaign(project, cache, _plan(Repository(project), scripts, steps, corpus, tracks.load(project, name)))


def open_campaign(project: Path, cache: Path, plan: Plan) -> Court:
    """Begin the campaign of a plan, with the parts that the program would pick."""
    repo = Repository(project)
    ledger = ledger_of(repo)
    env = {"AUTORESEARCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    held = (repo, ledger, MarkdownTracker(project), partial(_executor, repo), machine.detect(), needs.SANDBOX)
    ctx = CampaignContext(*held, sys.executable, env, lambda _: None)
    return Court(ctx, engine.begin(ctx, plan))


def ledger_of(repo: Repository) -> Ledger:
    return Ledger(repo.root / "experiments" / "ledger.jsonl", repo.git_dir / "ledger.lock")


def _executor(repo: Repository) -> LocalExecutor:
    quiet = (lambda *_: None, lambda _: None)
    executor = LocalExecutor((), repo.git_dir / "locks", repo.export, *quiet, needs.SANDBOX, at_once=AT_ONCE)
    executor.workers.kind = zygotes.Kept
    return executor


def _unchecked(variant: Variant, baseline: Resolved) -> Resolved:
    files = {edit.path: edit.text for edit in variant.edits if isinstance(edit, Rewrite)}
    return replace(baseline, variant=variant, files=files)


def _plan(repo: Repository, scripts: Mapping[str, str], steps: int, corpus: str, track: Track) -> Plan:
    head = repo.resolve("HEAD")
    assert head is not None
    base, budget = read_base(repo, track, head, ledger_of(repo)), Budget("steps", steps)
    issue = Issue(60, "On trial", "", source=ISSUE)
    variants = tuple(Variant(name, (Rewrite(track.script, text),)) for name, text in scripts.items())
    spec = Spec(issue, track.name, "table", variants, budget, None, None, (), digest(""))
    return Plan(
        spec=spec,
        base=base,
        selection=Selection(variants),
        variants=tuple(_unchecked(one, base.baseline) for one in variants),
        clock="steps",
        budget=budget,
        rules=GateRules(seeds=(0, 1, 2), baseline_runs=1),
        request=CampaignRequest(60, "mini", corpus),
        round=Round(0, head),
    )


# --- the cheats -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of an edit: its last run, the baseline's after as many steps, and the audit of a run that ended."""

    run: RunRecord
    baseline: RunRecord
    audit: AuditRecord | None

    def caught(self, check: str) -> bool:
        """Whether the check that is named caught it; a wall did where it failed, or gained nothing."""
        if check == "seed":
            return self.run.status == "invalid"
        if check in ("sandbox", "budget"):
            gain = (self.baseline.metric or 0.0) - (self.run.metric or math.inf)
            return self.run.status != "ok" or gain < 0.2
        return self.audit is not None and check in self.audit.failed


def hold(
    edits: Sequence[Cheat], cache: Path, folder: Path, audited: Collection[str] | None = None
) -> dict[str, Outcome]:
    """Try every edit, in one campaign for each number of steps. Those of `audited` (all, if None) that ran well are."""
    outcomes: dict[str, Outcome] = {}
    for steps in sorted({one.steps for one in edits}):
        outcomes |= _tried([one for one in edits if one.steps == steps], cache, folder / f"steps-{steps}", audited)
    return outcomes


def _tried(edits: Sequence[Cheat], cache: Path, folder: Path, audited: Collection[str] | None) -> dict[str, Outcome]:
    scripts = {one.name: train_py(one, **SMALL) for one in edits}
    court = open_court(make(folder, original(**SMALL)), cache, scripts, edits[0].steps)
    done = court.train([*scripts, BASELINE])  # which is not the first: that one waits for the warm worker
    base = done.pop(BASELINE)
    done |= court.train([one.name for one in edits if one.runs > 1], seed=1)
    well = [name for name, run in done.items() if run.status == "ok" and (audited is None or name in audited)]
    audits = {audit.variant: audit for audit in court.audits(well)}
    return {name: Outcome(run, base, audits.get(name)) for name, run in done.items()}


def check_drafts(edits: Sequence[Cheat], cache: Path, folder: Path) -> dict[str, CheckResult]:
    """What is said of edits as drafts of an editor: of their text, their first steps, their model."""
    court = open_court(make(folder, original(**SMALL)), cache, {}, 3)
    corpus, results = jobs.Corpus("", court.view.corpus), dict[str, CheckResult]()
    for one in edits:
        checker = DraftChecker(court.ctx, court.view.plan, Idea(one.name, one.name, "", ""), corpus)
        results[one.name] = checker.check(Draft({"train.py": train_py(one, **SMALL)}), 1)
    return results


def table(edits: Sequence[Cheat], outcomes: Mapping[str, Outcome]) -> str:
    """What each check caught, as Markdown. `edit` is asked before anything runs."""
    lines = ["| check | cheats that it caught |", "| --- | --- |"]
    for check in CHECKS:
        tried = [one for one in edits if one.caught_by == check]
        caught = [one.name for one in tried if (check == "edit" and _refused(one)) or _caught(one, outcomes)]
        lines.append(f"| `{check}` | {len(caught)} of {len(tried)}: {', '.join(caught)} |".replace("_", " "))
    honest = [one.name for one in edits if one.caught_by is None]
    passed = [
        name for name in honest if (audit := outcomes[name].audit) and set(audit.failed) <= {"certain", "held-out"}
    ]
    lines.append(f"| none, and none should | {len(passed)} of {len(honest)}: {', '.join(passed)} |".replace("_", " "))
    return "\n".join(lines)


def _refused(one: Cheat) -> bool:
    return bool(policy.forbidden_uses(original(**SMALL), train_py(one, **SMALL)))


def _caught(one: Cheat, outcomes: Mapping[str, Outcome]) -> bool:
    return one.caught_by is not None and one.name in outcomes and outcomes[one.name].caught(one.caught_by)

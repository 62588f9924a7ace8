"""Puts edits of the real train.py on trial as the harness would: trained in the sandbox, recorded, audited.

One project, one baseline and one campaign serve every edit. Each is a variant that goes the way of a winner, by the
code that a campaign goes by; two go at a time.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from agent import audit, loop, machine, preflight, runs, sandbox, tracks
from agent.core import BASELINE, AuditRecord, Budget, GateRules, Issue, JobRole, Rewrite, RunRecord, Spec, Variant
from agent.evidence import Evidence
from agent.executors.local import LocalExecutor
from agent.ledger import Ledger
from agent.machine import Gpu
from agent.parts import Parts
from agent.planning import Plan
from agent.repo import Repository
from agent.trackers.markdown import MarkdownTracker
from tests.project import ROOT, commit, git

SLOTS = [Gpu(0, "slot", None, "slot-0"), Gpu(1, "slot", None, "slot-1")]  # no device is there: two runs at a time


def make(folder: Path, script: str) -> Path:
    """A repository with the real prepare.py and `script` for its train.py."""
    (folder / "experiments" / "main").mkdir(parents=True)
    (folder / "train.py").write_text(script, "utf-8")
    for path in ("prepare.py", "experiments/main/track.toml", ".gitignore"):
        (folder / path).write_bytes((ROOT / path).read_bytes())
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The real thing, small")
    return folder


@dataclass(frozen=True)
class Court:
    """A campaign of edits by name."""

    parts: Parts
    evidence: Evidence

    def train(self, names: Iterable[str], seed: int = 0) -> dict[str, RunRecord]:
        """Train the baseline or variants; what they left, recorded."""
        roles: dict[str, JobRole] = {BASELINE: "baseline"}
        jobs = [runs.job(self.parts, self.evidence, name, seed, roles.get(name, "screen")) for name in names]
        done = self.parts.executor.run(jobs)
        return {job.variant: runs.record_of(self.parts, self.evidence, job, result) for job, result in done}

    def audits(self, names: Iterable[str]) -> Iterator[AuditRecord]:
        """The audits of variants that have run, as if the gate had kept each."""
        with ThreadPoolExecutor(len(SLOTS)) as pool:
            yield from pool.map(self._audit, names)

    def _audit(self, name: str) -> AuditRecord:
        alone = replace(self.parts, executor=_executor(self.parts.repo, self.parts.walls))
        return audit.audited(alone, self.evidence, name)


def open_court(project: Path, cache: Path, scripts: Mapping[str, str], steps: int) -> Court:
    """Begin the campaign. Raises BadInput for the first script that preflight refuses."""
    repo, walls = Repository(project), sandbox.probe()
    ledger = Ledger(project / "experiments" / "ledger.jsonl", project / ".git" / "ledger.lock")
    env = {"AUTORESEARCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    told = (repo, ledger, MarkdownTracker(project), _executor(repo, walls), machine.detect(), walls)
    parts = Parts(*told, sys.executable, env, lambda _: None)
    return Court(parts, loop.begin(parts, _plan(repo, scripts, steps)))


def _executor(repo: Repository, walls: sandbox.Sandbox) -> LocalExecutor:
    return LocalExecutor(SLOTS, repo.git_dir / "locks", repo.export, lambda *_: None, lambda _: None, walls)


def _plan(repo: Repository, scripts: Mapping[str, str], steps: int) -> Plan:
    track, base = tracks.load(repo.root, "main"), repo.resolve("HEAD")
    assert base is not None
    read = {path: repo.read(base, path) or "" for path in ("train.py", "prepare.py")}
    sources = preflight.Sources({"train.py": read["train.py"]}, preflight.facts(read["prepare.py"], "prepare.py"))
    asked = tuple(Variant(name, (Rewrite("train.py", text),)) for name, text in scripts.items())
    budget = Budget("steps", steps)
    spec = Spec(Issue(60, "On trial", ""), "main", "table", asked, budget, None, None, (), "0" * 64)
    return Plan(
        spec=spec,
        track=track,
        base=base,
        baseline=preflight.baseline(track, sources),
        variants=tuple(preflight.variants(spec, track, sources, asked)),
        profile="mini",
        corpus="stdlib",
        clock="steps",
        budget=budget,
        rules=GateRules(seeds=(0, 1, 2)),
        estimate_s=None,
        notices=(),
        retry=False,
    )

"""Puts an edit of the real train.py on trial as the harness would: trained in the sandbox, recorded, audited.

One project and one baseline serve every trial; each edit is a variant of one campaign, so all of them go the way that
a winner goes, by the code that a campaign goes by.
"""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

from agent import audit, loop, machine, preflight, runs, sandbox, tracks
from agent.core import BASELINE, AuditRecord, Budget, GateRules, Issue, Rewrite, RunRecord, Spec, Variant
from agent.evidence import Evidence
from agent.executors.local import LocalExecutor
from agent.ledger import Ledger
from agent.parts import Parts
from agent.planning import Plan
from agent.repo import Repository
from agent.trackers.markdown import MarkdownTracker
from tests.project import ROOT, commit, git

SMALL = {"DEPTH": 2, "ASPECT_RATIO": 128}  # model_dim 32 on mini
STEPS = 8
ISSUE = Issue(60, "On trial", "")


def make(folder: Path, script: str) -> Path:
    """A repository with the real prepare.py and `script` for its train.py."""
    (folder / "experiments" / "main").mkdir(parents=True)
    (folder / "train.py").write_text(script, "utf-8")
    for path in ("prepare.py", "experiments/main/track.toml", ".gitignore"):
        (folder / path).write_bytes((ROOT / path).read_bytes())
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "The real thing, small")
    return folder


class Court:
    """A campaign in which every edit is a variant: `try_` trains one, `audit` audits it."""

    def __init__(self, project: Path, cache: Path, scripts: Mapping[str, str], steps: int = STEPS) -> None:
        self.repo = Repository(project)
        ledger = Ledger(project / "experiments" / "ledger.jsonl", project / ".git" / "ledger.lock")
        walls = sandbox.probe()
        executor = LocalExecutor(
            (), project / ".git" / "locks", self.repo.export, lambda *_: None, lambda _: None, walls
        )
        env = {"AUTORESEARCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        here, tracker = machine.detect(), MarkdownTracker(project)
        self.parts = Parts(self.repo, ledger, tracker, executor, here, walls, sys.executable, env, lambda _: None)
        self.evidence = loop.begin(self.parts, self._plan(project, scripts, steps))

    def _plan(self, project: Path, scripts: Mapping[str, str], steps: int) -> Plan:
        track, base = tracks.load(project, "main"), self.repo.resolve("HEAD") or ""
        read = {path: self.repo.read(base, path) or "" for path in ("train.py", "prepare.py")}
        sources = preflight.Sources({"train.py": read["train.py"]}, preflight.facts(read["prepare.py"], "prepare.py"))
        asked = tuple(Variant(name, (Rewrite("train.py", text),)) for name, text in scripts.items())
        budget = Budget("steps", steps)
        spec = Spec(ISSUE, "main", "table", asked, budget, None, None, (), "0" * 64)
        found = tuple(preflight.variants(spec, track, sources, asked))
        told = ("mini", "stdlib", "steps", budget, GateRules(seeds=(0, 1, 2)), None, (), False)
        return Plan(spec, track, base, preflight.baseline(track, sources), found, *told)  # type: ignore[arg-type]

    def try_(self, name: str, seed: int = 0) -> RunRecord:
        """Train one variant, or the baseline."""
        job = runs.job(self.parts, self.evidence, name, seed, "baseline" if name == BASELINE else "screen")
        return runs.record_of(self.parts, self.evidence, job, runs.only(self.parts, job))

    def audit(self, name: str) -> AuditRecord:
        """The audit of a variant that has run, as if the gate had kept it."""
        return audit.audited(self.parts, self.evidence, name)

    def forked(self) -> "Court":
        """The same court with an executor of its own, so that two trials can go on at once."""
        other = object.__new__(Court)
        other.__dict__.update(self.__dict__)
        other.parts = dataclasses.replace(self.parts)
        return other


def evidence_of(court: Court) -> Evidence:
    return court.evidence

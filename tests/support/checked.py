"""Trains and scores edits of the real train.py without a campaign: what a check of the audit says of each.

A run and a model's process are forks of a process that has torch, and nothing stands around them: who wants to see
what the sandbox holds, or what a campaign does with a finding, has trial.py.
"""

import functools
import json
import math
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from agent.audit import checks, timing
from agent.audit.reports import MODEL_SERVER, ScoreReport, ScoreRequest, read_report
from agent.audit.rules import OK, RULES, SCORING
from agent.audit.scorer.scorer import Scorer
from agent.core.experiment import Budget
from agent.core.records import RunRecord
from agent.core.runs import Result
from tests.store.test_ledger import RUN
from tests.support import forkserver
from tests.support.project import PIPES, ROOT, copy_fixed, environment, python
from tests.support.trial import text


@dataclass(frozen=True)
class Checked:
    """A run of an edit, and what the scorer reports of its checkpoint (nothing, where it failed)."""

    run: RunRecord
    report: ScoreReport


def check(script: str, folder: Path, cache: Path, steps: int, *, claims: bool = True) -> Checked:
    """Train a script for so many steps, and score what it left: as a winner, or without `claims` as the baseline."""
    env = {"AUTORESEARCH_PROFILE": "mini", "AUTORESEARCH_CORPUS": text(cache), "AUTORESEARCH_CACHE": str(cache)}
    corpus = _corpus(cache)
    copy_fixed(folder)
    (folder / "train.py").write_text(script, "utf-8")
    own = environment(folder, env)
    run = _train(folder, own, steps)
    return Checked(run, _score(run, folder, own, corpus, claims) if run.status == "ok" else ScoreReport())


def findings(winner: Checked, baseline: Checked) -> dict[str, str]:
    """Return what the audit's checks say of a winner: those of the scorer, of the second set, of time and of claim."""
    results = dict(winner.report.checks)
    if results.get("held-out") == OK:
        results["held-out"] = checks.check_holdout(winner.report, baseline.report)
    results["clock"] = timing.check_time(timing.Timing([winner.run], [baseline.run], has_model_code=True))
    numbers = [math.nan if one.run.metric is None else one.run.metric for one in (winner, baseline)]
    results["plausible"] = checks.check_claim(numbers[0], winner.report.val_metric, numbers[1])
    return results


@functools.cache
def _corpus(cache: Path) -> Path:
    """The corpus of all edits: whoever is first prepares it."""
    prepare = ROOT / "prepare.py"
    args = ("--profile", "mini", "--corpus", text(cache), "--json")
    done = python(prepare, *args, env=environment(ROOT, {"AUTORESEARCH_CACHE": str(cache)}))
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["path"])


def _train(folder: Path, env: dict[str, str], steps: int) -> RunRecord:
    """Run the script; return the record that a harness would make of it."""
    own = {"AUTORESEARCH_RUN_DIR": str(folder / "run"), "AUTORESEARCH_STEPS": str(steps), "AUTORESEARCH_SEED": "0"}
    began = time.monotonic()
    argv = [sys.executable, str(folder / "train.py")]
    with forkserver.popen(argv, env={**env, **own}, cwd=folder, **PIPES) as program:
        out, errors = program.communicate(timeout=300)
    seconds, result = time.monotonic() - began, folder / "run" / "result.json"
    reported = json.loads(result.read_text()) if result.exists() else {"metrics": {}, "phases": {}}
    ok = program.returncode == 0 and "val_bpb" in reported["metrics"]
    return replace(
        RUN,
        conditions=replace(RUN.conditions, profile="mini", clock="steps", budget=Budget("steps", steps)),
        steps=steps,
        status="ok" if ok else "crash",
        metric=reported["metrics"].get("val_bpb"),
        metrics=reported["metrics"],
        phases=reported["phases"],
        seconds=seconds,
        cpu_s=getattr(program, "cpu_s", 0.0),
        reason="" if ok else (out + errors)[-2000:],
    )


def _score(run: RunRecord, folder: Path, env: dict[str, str], corpus: Path, claims: bool) -> ScoreReport:
    saved, out = folder / "run" / "model.pt", folder / "score"
    out.mkdir()
    request = ScoreRequest(
        command=[sys.executable, str(MODEL_SERVER), str(saved), "cpu", "train.py"],
        corpus=str(corpus),
        checkpoint=str(saved),
        claimed=str(saved.with_name("losses.npz")) if claims else None,
        metric="val_bpb",
        claimed_metric=math.nan if run.metric is None else run.metric,
        out=str(out),
        batch_tokens=SCORING["mini"].batch_tokens,
        piece_bytes=RULES.piece_bytes,
        seed=1,
    )
    pipe = subprocess.PIPE
    models = [
        forkserver.popen(request.command, env=env, cwd=folder, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        for _ in range(2 if claims else 1)
    ]
    scorer = Scorer(request, models)
    try:
        scorer.run()
    finally:
        scorer.close()
    scorer.save(0.0)
    return read_report(Result("ok"), out)

"""Results for programs: the JSON of --status and --plan, results.tsv, git notes. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from agent.core.experiment import BASELINE, Shape
from agent.core.records import CampaignRecord, RunRecord
from agent.core.runs import Verdict
from agent.core.sanitize import one_line
from agent.store.codec import MEANS, to_json
from agent.tracking.board import Board


def verdict_json(verdict: Verdict | None) -> dict[str, object] | None:
    """Return a verdict as --status prints it; None while there is none. A mean that it does not have has no key."""
    if verdict is None:
        return None
    means = {name: getattr(verdict, name) for name in MEANS}
    return {
        "decision": verdict.decision,
        "variant": verdict.variant,
        "gain": verdict.gain,
        "interval": None if verdict.interval is None else list(verdict.interval),
        "n": verdict.n,
        "p": verdict.p,
        **{name: value for name, value in means.items() if value is not None},
        "reason": verdict.reason,
    }


def _run_json(run: RunRecord) -> dict[str, object]:
    return {
        "variant": run.variant,
        "seed": run.seed,
        "status": run.status,
        "val_bpb": run.metric,
        "tokens_per_second": run.metrics.get("tokens_per_second"),
        "seconds": round(run.seconds, 3),
        "commit": run.commit,
        "reason": run.reason,
        "log": run.log,
    }


def status_json(board: Board) -> dict[str, object]:
    """Return what --status --json prints. `model_dim` is that of the `full` profile, the one the issue speaks of."""
    shape = board.current_shape
    return {
        "issue": board.spec.issue.number,
        "verdict": verdict_json(board.verdict),
        "baseline": {"commit": board.current, "model_dim": None if shape is None else shape.model_dim},
        "runs": [_run_json(run) for row in board.rows for run in row.runs],
        "audits": [to_json(one) for one in board.audits],
        "steering": [to_json(one) for one in board.steering],
        "proposals": [{"id": one.name, "what": one.summary, "became": one.outcome} for one in board.proposals],
        "findings": None if board.findings is None else asdict(board.findings),
        "usd": board.usd,
        "skipped": dict(board.spec.skipped),
        "read_as": [asdict(read) for read in board.spec.read_as],
        "read_by": board.spec.read_by,
    }


def shape_json(shape: Shape | None) -> dict[str, object]:
    """Return a shape as --plan prints it."""
    if shape is None:
        return {}
    return {
        "DEPTH": shape.depth,
        "ASPECT_RATIO": shape.aspect_ratio,
        "model_dim": shape.model_dim,
        "n_head": shape.n_head,
        "params": shape.params,
        "flops_per_token": shape.flops_per_token,
        "memory_mb": shape.memory_mb,
    }


def results_tsv(campaigns: Sequence[tuple[Verdict, Sequence[RunRecord]]]) -> str:
    """Return results.tsv with the columns its readers know. A crash is 0.000000 here, and only here."""
    lines = ["commit\tval_bpb\tmemory_gb\tstatus\tdescription"]
    lines += [_tsv_line(run, verdict) for verdict, runs in campaigns for run in runs]
    return "\n".join(lines) + "\n"


def _tsv_line(run: RunRecord, verdict: Verdict) -> str:
    description = one_line(f"{run.variant} {run.description} (seed {run.seed}, {run.role})")
    if run.metric is None:
        reason = f", {one_line(run.reason)}" if run.reason else ""
        return f"{run.commit[:7]}\t0.000000\t0.0\tcrash\t{description}: {run.status}{reason}"
    kept = run.variant == BASELINE or (verdict.decision == "keep" and run.variant == verdict.variant)
    memory = run.metrics.get("peak_vram_mb", 0.0) / 1024
    return f"{run.commit[:7]}\t{run.metric:.6f}\t{memory:.1f}\t{'keep' if kept else 'discard'}\t{description}"


def note(campaign: CampaignRecord, name: str, verdict: Verdict | None, runs: Sequence[RunRecord], metric: str) -> str:
    """Return one campaign's section of a commit's git note: its runs, a line each, then the gate's verdict."""
    conditions, decision = campaign.conditions, verdict.decision if verdict else BASELINE
    lines = [f"{name}: {decision} (issue {campaign.issue}, {conditions.budget}, {conditions.profile})"]
    for run in runs:
        value = one_line(run.reason) if run.metric is None else f"{metric} {run.metric:.6f}"
        lines.append(f"seed {run.seed} ({run.role}): {run.status}, {value}")
    return "\n".join([*lines, *([json.dumps(verdict_json(verdict))] if verdict else [])])

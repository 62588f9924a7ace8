"""Which variants a track's own script cannot build: it is asked in the sandbox, before any of them is trained."""

import json
import os
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from agent.campaign.context import CampaignContext
from agent.campaign.plan import Plan
from agent.core.errors import BadInput
from agent.core.runs import Job
from agent.core.sanitize import one_line
from agent.execution.folders import discard
from agent.spec import preflight
from agent.spec.preflight import Resolved

AT_ONCE = 32  # variants of one job, whose edits go into a variable of the environment
ONE_STEP = {
    "AUTORESEARCH_STEPS": "1",
    "AUTORESEARCH_PROBE": "1",
}  # of an old fixed side that does not know the question
MOST_CHARS = 300  # of what a script says of one


def can_ask(plan: Plan) -> bool:
    """Return whether a track's script knows shapes that preflight does not: it has a make_config."""
    text = plan.base.sources.files[plan.track.script]
    return not plan.baseline.shapes and preflight.makes_config(text, plan.track.script)


def refused(ctx: CampaignContext, plan: Plan, variants: Sequence[Resolved]) -> dict[str, str]:
    """Return why variants cannot be built, by name, in the words of the script's make_config.

    None is where nobody can be asked (`can_ask`), of variants that do more than set constants, where the job fails, or
    where a model's code would run outside of a sandbox: there a run says it.
    """
    unsafe = plan.base_has_model_code and ctx.sandbox.level == "none"
    if unsafe or not can_ask(plan):
        return {}
    text = plan.base.sources.files[plan.track.script]
    ours = [one for one in variants if one.variant.only_sets_constants and plan.track.script in one.files]
    batches = [ours[first : first + AT_ONCE] for first in range(0, len(ours), AT_ONCE)]
    return {name: reason for some in batches for name, reason in _ask(ctx, plan, text, some).items()}


def check(ctx: CampaignContext, plan: Plan) -> None:
    """Raise BadInput where the track's script cannot build all variants of a plan; it has what is said of each."""
    reasons = refused(ctx, plan, plan.variants)
    if reasons:
        first = plan.resolved(next(iter(reasons))).variant
        raise BadInput(
            "; ".join(f"{name} cannot be built: {reason}" for name, reason in reasons.items()),
            where=first.where or plan.track.script,
            next_step=f"give them values of which {plan.track.script} can build a model",
        )


def _ask(ctx: CampaignContext, plan: Plan, text: str, variants: Sequence[Resolved]) -> dict[str, str]:
    from agent.campaign.jobs import START_S, run_one  # with the executors, which few commands need

    edits = {one.variant.name: _edit(text, one.files[plan.track.script]) for one in variants}
    facts = {**plan.base.sources.facts[plan.profile], "profile": plan.profile}
    job = Job(
        variant="check",
        commit=plan.base.commit,
        seed=0,
        role="check",
        argv=(ctx.python, plan.track.script),
        env={**ctx.env, **ONE_STEP, "AUTORESEARCH_CHECK": json.dumps({"facts": facts, "edits": edits})},
        run_dir=ctx.repo.git_dir / "autoresearch" / f"check-{os.getpid()}",  # --plan holds no lock
        timeout_s=float(START_S),
        metric="",
        gpus=0,
    )
    result = run_one(ctx, job)
    reasons = _read(job.run_dir / "result.json") if result.status == "ok" else {}
    discard(job.run_dir)
    return {name: reason for name, reason in reasons.items() if name in edits}


def _edit(before: str, after: str) -> list[tuple[int, int, list[str]]]:
    """Return the lines of a text that another has otherwise, as fixed/checking.py takes them."""
    old, new = (text.splitlines(keepends=True) for text in (before, after))
    changes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [(first, end, new[start:stop]) for kind, first, end, start, stop in changes if kind != "equal"]


def _read(path: Path) -> dict[str, str]:
    """Return what a script said of variants; it may have left anything there."""
    try:
        reasons = json.loads(path.read_bytes())["refused"]
        return {str(name): one_line(str(reason), limit=MOST_CHARS) for name, reason in reasons.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}

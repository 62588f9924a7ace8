"""What a draft must pass before it is a variant: what can be known from its text, then its first steps."""

import math
import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from agent.audit import integrity
from agent.audit.reports import DRAFT_MODEL
from agent.audit.rules import SCORING
from agent.campaign import jobs
from agent.campaign.base import check_device_memory
from agent.campaign.context import CampaignContext
from agent.campaign.plan import Plan, message
from agent.core.errors import BadInput, OffLimits
from agent.core.experiment import Profile, Rewrite, Variant
from agent.core.frozen import frozen
from agent.core.proposals import Draft, Idea
from agent.core.protocols import Notice
from agent.core.runs import Job, Result
from agent.core.sanitize import make_postable, one_line, secrets
from agent.core.sizes import ModelSize
from agent.spec import preflight
from agent.store import rounds

SMOKE_STEPS = 5  # of a draft, before it is a variant
# By which an answer may move that should stay, of the spread of its answers: what bfloat16, or float32, rounds away.
MAX_SHIFT: Mapping[Profile, float] = {"full": 2**-3, "mini": 2**-10}
LOG_TAIL = 3000  # characters of a failed run's log that its editor is shown
SUMMARY_CAP = 300  # characters of an editor's own words, in its record


@frozen
class CheckResult:
    """The result of a check of a draft: its failure, if any, and whether its editor may revise it.

    `commit` is the draft's, where it came so far as to be committed; `sizes` are its model's, where that was built.
    """

    failure: str = ""
    revisable: bool = True
    commit: str = ""
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)


def commit_draft(ctx: CampaignContext, plan: Plan, idea: Idea, draft: Draft) -> str:
    """Commit a draft on the plan's base and return the commit: its smoke run, proposal and campaign are of this one."""
    why = rounds.rationale(idea, one_line(draft.summary, limit=SUMMARY_CAP))
    return ctx.repo.commit(plan.base.commit, draft.files, message(plan, Variant(idea.name, (), why=why), {}))


class DraftChecker:
    """The checks of one idea's drafts: what can be known without running, then a run of a few steps, then its model."""

    def __init__(self, ctx: CampaignContext, plan: Plan, idea: Idea, corpus: jobs.Corpus) -> None:
        self._ctx, self._plan, self.idea, self._corpus = ctx, plan, idea, corpus

    def check(self, draft: Draft, attempt: int) -> CheckResult:
        """Return what keeps a draft from running. A draft that reaches what is off limits is not revisable."""
        try:
            self._resolve(draft.files, {})
        except BadInput as error:
            return CheckResult(str(error), revisable=not isinstance(error, OffLimits))
        commit = commit_draft(self._ctx, self._plan, self.idea, draft)
        known = rounds.duplicate_of(self._ctx.ledger, self._ctx.repo.tree(commit))
        if known:
            return CheckResult(f"it is {known} again, to the letter; try something else", commit=commit)
        trained = self._smoke(commit, attempt)
        if failure := _failure(trained):
            return CheckResult(failure, commit=commit)
        return self._check_model(draft, commit, trained)

    def _resolve(self, files: Mapping[str, str], sizes: Mapping[str, ModelSize]) -> None:
        """Raise BadInput for what can be known of a draft's text and, once its model was built, of its size."""
        edits = tuple(Rewrite(path, text) for path, text in files.items())
        variant = Variant(self.idea.name, edits, where=f"proposal {self.idea.name}", sizes=sizes)
        track, sources = self._plan.track, self._plan.base.sources
        [resolved] = preflight.variants(self._plan.spec, track, sources, [variant])
        preflight.contract(resolved, track, sources)
        check_device_memory([resolved], self._plan.profile, self._ctx.machine)

    def _smoke(self, commit: str, attempt: int) -> Result:
        self._ctx.emit(Notice(f"{self.idea.name}: draft {attempt} runs {SMOKE_STEPS} steps"))
        result = smoke(self._ctx, self._plan, self.idea.name, commit, attempt, self._corpus)
        if result.status != "ok":
            jobs.check_disk(self._ctx, self._plan)  # no revision helps against a full disk
        return result

    def _check_model(self, draft: Draft, commit: str, trained: Result) -> CheckResult:
        """Return what speaks against the model of a draft that has trained: its size, or answers that depend on others.

        A track whose scripts build no model by a function, or leave no checkpoint, has none to look at.
        """
        saved, path = Path(trained.log).with_name("model.pt"), self._plan.track.script
        text = draft.files.get(path, self._plan.base.sources.files[path])
        if self._corpus.folder is None or not saved.is_file() or not preflight.builds_model(text, path):
            saved.unlink(missing_ok=True)
            return CheckResult(commit=commit)
        built = build(self._ctx, self._plan, self.idea.name, commit, saved, self._corpus.folder)
        saved.unlink()  # nobody will ask it anything else
        if failure := _failure(built) or dependence(built.metrics, self._plan.profile):
            return CheckResult(failure, commit=commit)
        sizes: dict[str, ModelSize] = {self._plan.profile: _size(trained, built)}
        try:
            self._resolve(draft.files, sizes)
        except BadInput as error:
            return CheckResult(str(error), commit=commit)
        return CheckResult(commit=commit, sizes=sizes)


def _failure(result: Result) -> str:
    """Return how a run of a draft failed, with the end of its output; empty where it did not fail."""
    if result.status == "ok":
        return ""
    log = Path(result.log).read_bytes()[-4 * LOG_TAIL :].decode(errors="replace") if result.log else ""
    return f"{result.status}: {result.reason}\n\n{make_postable(log, secrets(os.environ))[-LOG_TAIL:]}"


def dependence(metrics: Mapping[str, float], profile: Profile) -> str:
    """Return what a model's answers depend on that the audit refuses, and what to change; empty where on nothing."""
    most = MAX_SHIFT[profile]
    order, causality = (metrics.get(name, 0.0) for name in ("order_shift", "causality_shift"))
    if order > most:  # one scale for a batch moves with later tokens too
        return (
            f"answers move by {order:.2g} of their spread (at most {most:.2g}) when other rows are in the batch: take "
            "every mean, scale or rounding from the weights or from one row or token, never from the batch"
        )
    if causality > most:
        return (
            f"answers move by {causality:.2g} of their spread (at most {most:.2g}) when other tokens follow: "
            "no place may see a later one; take every mean, scale or rounding over one token, or over those up to it"
        )
    return ""


def _size(trained: Result, built: Result) -> ModelSize:
    """Return the size of a model: counted as it was built, its memory as its first steps had it."""
    memory_mb = math.ceil(trained.metrics.get("peak_vram_mb", 0.0))
    return ModelSize(int(built.metrics["params"]), int(built.metrics.get("flops_per_token", 0)), memory_mb)


# --- what runs --------------------------------------------------------------------------------------------


def smoke(ctx: CampaignContext, plan: Plan, name: str, commit: str, attempt: int, corpus: jobs.Corpus) -> Result:
    """Run a draft's first steps, uncompiled, and its evaluation: does it run at all? It is in no ledger.

    What it compiles nobody loads again; it pays with seconds what a whole run would pay with minutes.
    """
    home = ctx.logs / f"issue-{plan.spec.issue.number}" / name / f"smoke-{attempt}"
    own = {"SEED": "0", "STEPS": str(SMOKE_STEPS), "COMPILE": "0", "CACHE": str(home / "cache")}
    job = Job(
        variant=name,
        commit=commit,
        seed=0,
        role="smoke",
        argv=(ctx.python, plan.track.script),
        env=jobs.shared_env(ctx, plan, corpus.folder) | {f"AUTORESEARCH_{key}": value for key, value in own.items()},
        run_dir=home,
        timeout_s=float(jobs.START_S),
        metric=plan.track.metric,
        readable=integrity.visible_files(corpus.folder),
    )
    return jobs.complete(corpus.folder, job, jobs.run_one(ctx, job))


def build(ctx: CampaignContext, plan: Plan, name: str, commit: str, saved: Path, corpus: Path) -> Result:
    """Build the model of a draft's checkpoint in a sandbox and return its size and how far its answers move."""
    home = saved.parent.with_name(saved.parent.name.replace("smoke", "model"))
    device, batch_tokens = "cuda" if plan.profile == "full" else "cpu", str(SCORING[plan.profile].batch_tokens)
    held_out = corpus / "val.npz"
    argv = (plan.track.script, str(saved), str(held_out), device, batch_tokens, str(home / "result.json"))
    job = Job(
        variant=name,
        commit=commit,
        seed=0,
        role="smoke",
        argv=(ctx.python, str(DRAFT_MODEL), *argv),
        env=jobs.shared_env(ctx, plan, corpus),
        run_dir=home,
        timeout_s=float(jobs.START_S),
        metric="params",
        readable=(DRAFT_MODEL, saved, held_out),
    )
    return jobs.run_one(ctx, job)

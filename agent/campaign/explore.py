"""What a campaign's strategy knows of it, what it asks for next, the candidates that it adds, what it concludes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agent.campaign import shapes
from agent.campaign.base import check_device_memory
from agent.campaign.commits import commit_variant
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import Plan
from agent.core.errors import BadInput
from agent.core.experiment import BASELINE
from agent.core.protocols import Notice
from agent.core.records import AddedCandidate, CampaignRecord, CandidatesRecord, RunRecord, utc_now
from agent.core.sanitize import one_line
from agent.core.trials import Candidate, Findings
from agent.spec import preflight
from agent.spec.preflight import Resolved
from agent.store.ledger import Ledger
from agent.strategies import axes, registry
from agent.strategies.question import variant_of
from agent.strategies.strategy import CampaignState, CampaignStep, Conclusion

POINTS_TRIED = 200  # of a space, to know whether any of it can run
MAX_SAMPLE = 600  # characters of what a model has made, in a report


def open_view(plan: Plan, campaign: CampaignRecord, ledger: Ledger) -> CampaignView:
    """Return the view of a campaign whose plan has the candidates that its strategy has added so far."""
    known = {BASELINE, *plan.order}
    added = [one.candidate for one in ledger.added(campaign) if one.commit and one.candidate.name not in known]
    resolved = [_resolve(plan, one) for one in added]
    return CampaignView(_extended(plan, resolved), ledger.current(campaign), ledger)


def check(plan: Plan) -> None:
    """Raise BadInput where a plan's strategy cannot run, or no shape of its space can: before any run is paid for."""
    plan.strategy.check(plan.question)
    if not plan.question.space or plan.spec.strategy not in registry.SEARCHING:
        return
    problems = list[BadInput]()
    for sets in axes.points(plan.question.space, POINTS_TRIED):
        try:
            _resolve(plan, Candidate(name="a-point", sets=sets))
            return
        except BadInput as error:
            problems.append(error)
    raise BadInput(
        f"no point of the space can run: {len(problems)} were tried, and the first gives {problems[0].problem}",
        where=plan.spec.issue.source,
        next_step=f"give space: other values. {problems[0].next_step}",
    )


def check_shapes(ctx: CampaignContext, plan: Plan) -> None:
    """Raise BadInput where the track's own script cannot build a plan's variants, or no point of its space."""
    shapes.check(ctx, plan)
    if not plan.question.space or plan.spec.strategy not in registry.SEARCHING:
        return
    points = list[Resolved]()
    for number, sets in enumerate(axes.points(plan.question.space, POINTS_TRIED)):
        with suppress(BadInput):
            points.append(_resolve(plan, Candidate(name=f"point-{number}", sets=sets)))
    reasons = shapes.refused(ctx, plan, points)
    if points and len(reasons) == len(points):
        first = next(iter(reasons.values()))
        raise BadInput(
            f"no point of the space can be built: {len(points)} were tried, and the first gives {first}",
            where=plan.spec.issue.source,
            next_step="give space: other values",
        )


def next_step(view: CampaignView) -> CampaignStep:
    """Return what the strategy asks for next; an empty step when it can conclude."""
    return view.plan.strategy.next_step(state_of(view))


def conclude(view: CampaignView) -> Conclusion:
    """Return the gate's result and the strategy's findings. Raises ValueError while runs are missing."""
    conclusion = view.plan.strategy.conclude(state_of(view))
    best = conclusion.result.verdict.variant
    if conclusion.findings is None or best is None:
        return conclusion
    return replace(conclusion, findings=_with_samples(view, conclusion.findings, best))


def _with_samples(view: CampaignView, findings: Findings, name: str) -> Findings:
    """Return findings with what the first run of a candidate wrote into samples.txt, where it wrote any."""
    runs = view.ok_runs(name)
    path = view.ledger.path.parents[1] / Path(runs[0].log).with_name("samples.txt") if runs else Path("/nonexistent")
    if not path.is_file():
        return findings
    lines = path.read_bytes()[:MAX_SAMPLE].decode(errors="replace").split("\n")
    sample = one_line(", ".join(line for line in lines if line.strip()), limit=MAX_SAMPLE)
    return replace(findings, notes=(*findings.notes, f"samples of {name} (seed {runs[0].seed}): {sample}"))


def findings_so_far(view: CampaignView) -> Findings | None:
    """Return what a strategy that explores would say now, while it still asks for runs."""
    return view.plan.strategy.findings(state_of(view))


def state_of(view: CampaignView) -> CampaignState:
    """Return what a strategy may know of a campaign."""
    added = view.ledger.added(view.campaign)
    return CampaignState(
        question=view.plan.question,
        rules=view.plan.rules,
        order=view.plan.order,
        measurements=view.measurements(),
        explored=view.explored() if view.plan.explores else (),
        candidates=[one.candidate for one in added],
        refused={one.candidate.name: one.failure for one in added if one.failure},
        metrics=_metrics(view) if view.plan.explores or view.plan.spec.claims else {},
        groups=view.replicate_groups(),
    )


def _metrics(view: CampaignView) -> dict[str, dict[str, float]]:
    """Return what the runs of each candidate report besides the metric itself, the mean over them."""
    metric = view.plan.track.metric
    means = {name: _means(view.ok_runs(name)) for name in view.campaign.trees}
    return {name: {key: value for key, value in one.items() if key != metric} for name, one in means.items()}


def _means(runs: list[RunRecord]) -> dict[str, float]:
    """Return the mean of each metric that all of some runs report."""
    shared = set.intersection(*(set(run.metrics) for run in runs)) if runs else set[str]()
    return {name: sum(run.metrics[name] for run in runs) / len(runs) for name in sorted(shared)}


# --- candidates -------------------------------------------------------------------------------------------


def add_candidates(ctx: CampaignContext, view: CampaignView, candidates: Sequence[Candidate]) -> CampaignView:
    """Check, commit and record what the strategy wants to try, and return the view that has it.

    What cannot run (a shape that does not fit, a model that is there already) is recorded with the reason.
    """
    plan, added = view.plan, list[AddedCandidate]()
    failures = _why_not(ctx, plan, [one for one in candidates if one.name != BASELINE])
    for candidate in candidates:
        if candidate.name == BASELINE:
            added.append(
                AddedCandidate(candidate=candidate, commit=plan.base.commit, tree=view.campaign.trees[BASELINE])
            )
            continue
        if failure := failures.get(candidate.name):
            ctx.emit(Notice(f"{candidate.name} cannot run: {failure}"))
            added.append(AddedCandidate(candidate=candidate, commit="", tree="", failure=failure))
            continue
        resolved = _resolve(plan, candidate)
        added.append(_commit(ctx, plan, resolved, candidate))
        plan = _extended(plan, [resolved])
    record = CandidatesRecord(issue=view.campaign.issue, campaign_id=view.campaign.at, added=tuple(added), at=utc_now())
    ctx.ledger.append(record)
    return replace(view, plan=plan, campaign=ctx.ledger.current(view.campaign))


def _why_not(ctx: CampaignContext, plan: Plan, candidates: Sequence[Candidate]) -> dict[str, str]:
    """Return why candidates cannot run, by name: what preflight knows, then what the track's script says."""
    failures, known = dict[str, str](), list[Resolved]()
    for candidate in candidates:
        try:
            resolved = _resolve(plan, candidate)
            check_device_memory([resolved], plan.profile, ctx.machine)
            known.append(resolved)
        except BadInput as error:
            failures[candidate.name] = error.problem
    return failures | shapes.refused(ctx, plan, known)


def _resolve(plan: Plan, candidate: Candidate) -> Resolved:
    """Return a candidate's script, resolved. Raises BadInput where it cannot run."""
    variant = variant_of(candidate, plan.track.script, plan.spec.base)
    [resolved] = preflight.variants(plan.spec, plan.track, plan.base.sources, [variant])
    return resolved


def _commit(ctx: CampaignContext, plan: Plan, resolved: Resolved, candidate: Candidate) -> AddedCandidate:
    commit = commit_variant(ctx, _extended(plan, [resolved]), candidate.name)
    return AddedCandidate(candidate=candidate, commit=commit, tree=ctx.repo.tree(commit))


def _extended(plan: Plan, resolved: Sequence[Resolved]) -> Plan:
    return replace(plan, variants=(*plan.variants, *resolved))

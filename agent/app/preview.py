"""What a plan looks like before it runs: lines for a person, JSON for a program. No effects."""

from collections.abc import Mapping
from dataclasses import asdict

from agent.campaign.plan import Plan
from agent.core.experiment import Constant, ReadAs, SetConstant
from agent.core.proposals import Brief
from agent.core.sanitize import one_line
from agent.editors import prompt
from agent.spec import preflight
from agent.spec.preflight import Resolved
from agent.strategies import registry
from agent.tracking.board import columns
from agent.tracking.exports import shape_json
from agent.tracking.terminal import shapes_table


def intent(plan: Plan) -> list[str]:
    """Return what will happen and how long it will take, before it starts."""
    return [
        f"issue {plan.spec.issue.number}: {plan.spec.issue.title}",
        f"baseline {plan.base.commit[:7]}, {_what_runs(plan)}",
        _size(plan),
        *(f"{name} does not run: {why}" for name, why in skipped(plan).items()),
        *_outranked(plan),
        *plan.notices,
    ]


def _what_runs(plan: Plan) -> str:
    if plan.spec.baseline_only:
        return f"nothing but it, on the seeds {', '.join(map(str, plan.rules.seeds))}"
    gates = {
        "lowest": "lowest single run wins",
        "fixed": "leader confirmed by three runs on fresh seeds",
        "report": "a report, and no baseline moves",
    }
    gate = gates.get(plan.rules.kind, "winner confirmed on fresh seeds, with a look after each")
    return f"then {_variants(plan)}; {gate}"


def _variants(plan: Plan) -> str:
    if not plan.complete:
        return f"up to {plan.variant_count} proposals of an editor"
    if not plan.explores:
        return ", ".join(plan.order)
    space = [f"what it finds in {', '.join(plan.spec.space)}"] if plan.spec.strategy in registry.SEARCHING else []
    return f"strategy {plan.spec.strategy}: {', '.join([*plan.order, *space])}"


def _size(plan: Plan) -> str:
    cap = "" if plan.spec.cap_s is None else f" (at most {plan.spec.cap_s / 60:.0f} min, as the issue says)"
    mean, most = plan.expected_runs
    expected = f"up to {plan.run_count} runs"
    if mean < plan.run_count:
        expected = f"about {mean:.0f} runs ({most:.0f} or fewer in 9 of 10 campaigns, {plan.run_count} at most)"
    kind = f"of {plan.budget}, {plan.clock} clock, profile {plan.profile}"
    return f"{expected} {kind}{_time(plan)}{cap}"


def _time(plan: Plan) -> str:
    mean, most = (plan.seconds_of(runs) for runs in plan.expected_runs)
    if mean is None or most is None:
        return ""
    tail = f" ({_minutes(most)} or less in 9 of 10)" if most > mean else ""
    return f", about {_minutes(mean)} min in all{tail}"


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


def _outranked(plan: Plan) -> list[str]:
    requested = plan.request.budget
    notice = f"--budget {requested} gives way to the /budget that a person gave"
    return [notice] if requested not in (None, plan.budget) else []


def skipped(plan: Plan) -> dict[str, str]:
    """Return the variants that do not run, each with why: as the issue says, then as people who steer it do."""
    return {**plan.spec.skipped, **dict.fromkeys(plan.selection.skipped, "/skip, in a comment")}


# --- for a person -----------------------------------------------------------------------------------------


def plan_text(plan: Plan, brief: Brief | None) -> str:
    """Return a plan for a person: what each variant sets, shapes on every profile, and how the issue was read.

    `brief` is that of an issue in prose.
    """
    sections = ["\n".join(intent(plan)), *_settings_table(plan)]
    for profile in preflight.PROFILES:
        rows = [(one.variant.name, one.shapes.get(profile)) for one in (plan.baseline, *plan.variants)]
        if any(shape is not None for _, shape in rows):
            sections.append(shapes_table(profile, rows))
    sections.append(reading_text(plan))
    if brief is not None:
        sections.append(f"the prompt:\n\n{prompt.preview(brief, plan.spec.proposals)}")
    return "\n\n".join(sections)


def _settings_table(plan: Plan) -> list[str]:
    """Return every value that a variant sets, under the constant's full name."""
    if not plan.constants:
        return []
    body = [[one.variant.name, *(_set_in(one, name) for name in plan.constants)] for one in plan.variants]
    base = ["baseline", *(str(plan.baseline.constants.get(name)) for name in plan.constants)]
    return [columns([["sets", *plan.constants], base, *body])]


def _set_in(one: Resolved, name: str) -> str:
    values = values_set(one)
    return str(values[name]) if name in values else "-"


def values_set(one: Resolved) -> dict[str, Constant]:
    """Return the constants that a variant sets, by their full names, in the types that they get."""
    edits = (edit for edit in one.variant.edits if isinstance(edit, SetConstant))
    return {edit.name: _constant(one.constants.get(edit.name, edit.value)) for edit in edits}


def _constant(value: object) -> Constant:
    assert value is None or isinstance(value, int | float | str | bool)
    return value


def reading_text(plan: Plan) -> str:
    """Return how the issue was read, a line each: the line in the issue, its words, and what they mean."""
    rows = [
        f"  {_place(read)}{one_line(read.text, limit=100)}  ->  {one_line(read.means)}" for read in plan.spec.read_as
    ]
    return "\n".join([f"read as ({plan.spec.read_by}):", *(rows or ["  nothing in it is a setting"])])


def _place(read: ReadAs) -> str:
    return f"{'':>5}  " if read.line is None else f"{read.line:>5}  "


# --- for a program ----------------------------------------------------------------------------------------


def plan_json(plan: Plan, brief: Brief | None) -> dict[str, object]:
    """Return a plan for a program: every value that will count, shapes on the profile that runs."""
    shown: dict[str, object] = {
        "issue": plan.spec.issue.number,
        "track": plan.track.name,
        "strategy": plan.spec.strategy,
        "profile": plan.profile,
        "corpus": plan.corpus,
        "clock": plan.clock,
        "budget": str(plan.budget),
        "seeds": list(plan.rules.seeds),
        "gate": {name: value for name, value in asdict(plan.rules).items() if name != "seeds"},
        "order": list(plan.order),
        "skipped": skipped(plan),
        "baseline": {"set": _baseline_values(plan), **_shape(plan, plan.baseline)},
        "variants": [_variant_json(plan, one) for one in plan.variants],
        "read_as": [asdict(read) for read in plan.spec.read_as],
        "read_by": plan.spec.read_by,
        "runs": dict(zip(("mean", "nine_of_ten"), plan.expected_runs, strict=True)) | {"most": plan.run_count},
        "estimate_s": plan.estimate_s,
        "notices": list(plan.notices),
    }
    return shown if brief is None else shown | {"prompt": prompt.preview(brief, plan.spec.proposals)}


def _baseline_values(plan: Plan) -> Mapping[str, object]:
    return {name: plan.baseline.constants.get(name) for name in plan.constants}


def _variant_json(plan: Plan, one: Resolved) -> dict[str, object]:
    return {"id": one.variant.name, "set": values_set(one), "why": one.variant.why, **_shape(plan, one)}


def _shape(plan: Plan, one: Resolved) -> dict[str, object]:
    return shape_json(one.shapes.get(plan.profile))

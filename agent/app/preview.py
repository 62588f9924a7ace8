"""What a plan looks like before it runs: lines for a person, JSON for a program. No effects."""

from agent.campaign.plan import Plan
from agent.core.experiment import Profile
from agent.core.proposals import Brief
from agent.editors import prompt
from agent.gate import schedule
from agent.spec import preflight
from agent.tracking.exports import shape_json
from agent.tracking.terminal import shapes_table


def intent(plan: Plan) -> list[str]:
    """Return what will happen and how long it will take, before it starts."""
    gate = "lowest single run wins" if plan.rules.kind == "lowest" else "winner confirmed on fresh seeds"
    variants = ", ".join(plan.order) if plan.complete else f"up to {plan.variant_count} proposals of an editor"
    return [
        f"issue {plan.spec.issue.number}: {plan.spec.issue.title}",
        f"baseline {plan.base.commit[:7]}, then {variants}; {gate}",
        _size(plan),
        *_outranked(plan),
        *plan.notices,
    ]


def _size(plan: Plan) -> str:
    runs = schedule.plan_size(plan.rules, plan.variant_count)
    time = "" if plan.estimate_s is None else f", about {max(1, round(plan.estimate_s / 60))} min in all"
    cap = "" if plan.spec.cap_s is None else f" (size label: at most {plan.spec.cap_s / 60:.0f} min)"
    return f"up to {runs} runs of {plan.budget}, {plan.clock} clock, profile {plan.profile}{time}{cap}"


def _outranked(plan: Plan) -> list[str]:
    requested = plan.request.budget
    notice = f"--budget {requested} gives way to the /budget that a person gave"
    return [notice] if requested not in (None, plan.budget) else []


def plan_text(plan: Plan, brief: Brief | None) -> str:
    """Return a plan for a person: every shape on every profile; `brief` is that of an issue in prose."""
    sections = ["\n".join(intent(plan))]
    for profile in preflight.PROFILES:
        rows = [(one.variant.name, one.shapes.get(profile)) for one in (plan.baseline, *plan.variants)]
        sections.append(shapes_table(profile, rows))
    if brief is not None:
        sections.append(f"the prompt:\n\n{prompt.preview(brief, plan.spec.proposals)}")
    return "\n\n".join(sections)


def plan_json(plan: Plan, profile: Profile, brief: Brief | None) -> dict[str, object]:
    """Return a plan for a program: shapes on one profile."""
    shapes = {one.variant.name: shape_json(one.shapes.get(profile)) for one in plan.variants}
    shown: dict[str, object] = {
        "order": plan.order,
        "baseline": shape_json(plan.baseline.shapes.get(profile)),
        "variants": [{"id": name, **shape} for name, shape in shapes.items()],
        "notices": plan.notices,
    }
    return shown if brief is None else shown | {"prompt": prompt.preview(brief, plan.spec.proposals)}

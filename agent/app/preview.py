"""What a plan looks like before it runs: lines for a person, JSON for a program. No effects."""

from agent.campaign.plan import Plan
from agent.core.experiment import Profile
from agent.core.proposals import Brief
from agent.editors import prompt
from agent.gate import verdict
from agent.spec import preflight
from agent.tracking import comment


def intent(plan: Plan) -> list[str]:
    """What will happen and how long it will take, before it starts."""
    gate_told = "lowest single run wins" if plan.rules.kind == "lowest" else "winner confirmed on fresh seeds"
    what = ", ".join(plan.order) if plan.complete else f"up to {plan.spec.proposals} proposals of an editor"
    return [
        f"issue {plan.spec.issue.number}: {plan.spec.issue.title}",
        f"baseline {plan.base.commit[:7]}, then {what}; {gate_told}",
        _size(plan),
        *_outranked(plan),
        *plan.notices,
    ]


def _size(plan: Plan) -> str:
    runs = verdict.plan_size(plan.rules, len(plan.variants) if plan.complete else plan.spec.proposals)
    time = "" if plan.estimate_s is None else f", about {max(1, round(plan.estimate_s / 60))} min in all"
    cap = "" if plan.spec.cap_s is None else f" (size label: at most {plan.spec.cap_s / 60:.0f} min)"
    return f"up to {runs} runs of {plan.budget}, {plan.clock} clock, profile {plan.profile}{time}{cap}"


def _outranked(plan: Plan) -> list[str]:
    asked = plan.request.budget
    told = f"--budget {asked} gives way to the /budget that a person gave"
    return [told] if asked not in (None, plan.budget) else []


def plan_text(plan: Plan, told: Brief | None) -> str:
    """A plan for a person: every shape on every profile; `told` is the prompt of an issue in prose."""
    parts = ["\n".join(intent(plan))]
    for profile in preflight.PROFILES:
        rows = [(one.variant.name, one.shapes.get(profile)) for one in (plan.baseline, *plan.variants)]
        parts.append(comment.shapes_table(profile, rows))
    if told is not None:
        parts.append(f"the prompt:\n\n{prompt.preview(told, plan.spec.proposals)}")
    return "\n\n".join(parts)


def plan_json(plan: Plan, profile: Profile, told: Brief | None) -> dict[str, object]:
    """A plan for a program: shapes on one profile."""
    shapes = {one.variant.name: comment.shape_json(one.shapes.get(profile)) for one in plan.variants}
    found: dict[str, object] = {
        "order": plan.order,
        "baseline": comment.shape_json(plan.baseline.shapes.get(profile)),
        "variants": [{"id": name, **shape} for name, shape in shapes.items()],
        "notices": plan.notices,
    }
    return found if told is None else found | {"prompt": prompt.preview(told, plan.spec.proposals)}

"""The clock and the gate of a campaign: as the user chooses, else as the issue, the track or the machine does. Pure."""

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Clock, GateKind, GateRules, Profile, Spec, Track

CONFIRMED = GateRules()
FIXED_RUNS = 3  # confirmations of the gate that looks once


def choose_clock(requested: Clock | None, profile: Profile, budget: Budget) -> Clock:
    """Steps and tokens are their own clock; seconds are the wall's on a GPU and calibrated where there is none."""
    if budget.kind != "seconds":
        if requested is not None:
            raise BadInput(
                f"--clock {requested} needs a budget in seconds, and the budget is {budget}",
                next_step="leave out --clock, or give seconds: --budget 300",
            )
        return "steps"
    return requested or ("wall" if profile == "full" else "calibrated")


def gate_rules(requested: GateKind | None, spec: Spec, track: Track, more: tuple[int, ...]) -> GateRules:
    """Return the decision gate of a campaign; `more` are the further runs that a person asked for."""
    kind, seeds = _gate(requested, spec), spec.seeds or track.seeds
    return GateRules(
        kind=kind,
        seeds=seeds,
        baseline_runs={"confirmed": CONFIRMED.baseline_runs, "lowest": 1, "report": 0}.get(kind, len(seeds)),
        confirm_runs=_confirm_runs(kind),
        more=more,
        min_gain=track.min_gain if spec.min_gain is None else spec.min_gain,
        goal=track.goal,
    )


def rules_of(kind: GateKind) -> GateRules:
    """Return a gate as it is where neither issue nor track says more: three seeds, no least gain."""
    runs = {"confirmed": CONFIRMED.baseline_runs, "lowest": 1}.get(kind, FIXED_RUNS)
    return GateRules(kind=kind, baseline_runs=runs, confirm_runs=_confirm_runs(kind))


def _confirm_runs(kind: GateKind) -> int:
    return {"confirmed": CONFIRMED.confirm_runs, "fixed": FIXED_RUNS}.get(kind, 0)


def _gate(requested: GateKind | None, spec: Spec) -> GateKind:
    """Return the gate: that of an issue which moves no baseline, else the user's, the issue's, the default."""
    if spec.baseline_only:
        return "baseline"
    return requested or spec.gate or "confirmed" if spec.promote else "report"

"""The strategy of an issue that lists its variants, and of the proposals of an editor: the gate's schedule. Pure."""

from dataclasses import replace

from agent.core.experiment import GateRules
from agent.core.trials import Findings, Picture, Question
from agent.gate.schedule import next_runs, plan_size
from agent.gate.verdict import judge
from agent.strategies.strategy import CampaignState, CampaignStep, Conclusion
from agent.strategies.trials import claims_tables


def check(_: Question) -> None:
    """Raise nothing: preflight has checked the variants."""


def next_step(state: CampaignState) -> CampaignStep:
    """Return the runs that the gate asks for."""
    return CampaignStep(runs=tuple(next_runs(state.rules, state.order, state.measurements, state.groups)))


def conclude(state: CampaignState) -> Conclusion:
    """Return the gate's result."""
    return Conclusion(judge(state.rules, state.order, state.measurements, state.groups), findings(state))


def findings(state: CampaignState) -> Findings | None:
    """Return what became of the issue's claims; None where it makes none: the gate's result is then all there is."""
    tables = claims_tables(replace(state, explored=state.measurements))
    return Findings("", tables=tables) if tables else None


def pictures(_: CampaignState) -> tuple[Picture, ...]:
    """Return none: the comment has a chart of the variants."""
    return ()


def size(_: Question, rules: GateRules, variants: int) -> int:
    """Return the most runs that the gate asks for."""
    return plan_size(rules, variants)

"""How long probes, runs and a campaign take: for estimates and limits, never for results."""

from agent.core.experiment import Budget, Clock, GateRules, Profile
from agent.gate.schedule import plan_size
from agent.gate.simulate import planned_runs

PROBE_ROUNDS = 3  # short runs of every variant, interleaved, before a calibrated campaign
_OVERHEAD_S = {"full": 40.0, "mini": 8.0}  # start-up, evaluation and checkpoint of one run


def probe_seconds(budget: Budget) -> float:
    """Return the length of one probe: a tenth of the budget, from one second to five."""
    return min(5.0, max(1.0, budget.amount / 10))


def run_seconds(budget: Budget, profile: Profile) -> float | None:
    """Return what one run takes in all; None where the budget says nothing about time."""
    return budget.amount + _OVERHEAD_S[profile] if budget.kind == "seconds" else None


def campaign_seconds(budget: Budget, clock: Clock, profile: Profile, runs: float, variants: int) -> float | None:
    """Return what so many runs take, with the probes of the variants; None where the budget says nothing of time."""
    one = run_seconds(budget, profile)
    if one is None:
        return None
    probes = PROBE_ROUNDS * (variants + 1) if clock == "calibrated" else 0
    return runs * one + probes * (probe_seconds(budget) + _OVERHEAD_S[profile] / 2)


def expected_runs(rules: GateRules, most: int, gated: int) -> tuple[float, float]:
    """Return how many of `most` runs a campaign takes, the mean and what nine of ten do not exceed.

    gated: the variants among which the gate decides; what goes before it runs in any case. With runs that the ledger
    has it takes fewer, and with runs that fail more.
    """
    if rules.kind != "confirmed" or rules.more or gated == 0:
        return most, most
    before, (mean, tail) = most - plan_size(rules, gated), planned_runs(rules, gated)
    return before + mean, before + tail

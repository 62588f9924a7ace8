"""How long probes, runs and a campaign take: for estimates and limits, never for results."""

from agent.core.experiment import Budget, Clock, Profile

PROBE_ROUNDS = 3  # short runs of every variant, interleaved, before a calibrated campaign
_OVERHEAD_S = {"full": 40.0, "mini": 8.0}  # start-up, evaluation and checkpoint of one run


def probe_seconds(budget: Budget) -> float:
    """Return the length of one probe: a tenth of the budget, from one second to five."""
    return min(5.0, max(1.0, budget.amount / 10))


def run_seconds(budget: Budget, profile: Profile) -> float | None:
    """Return what one run takes in all; None where the budget says nothing about time."""
    return budget.amount + _OVERHEAD_S[profile] if budget.kind == "seconds" else None


def campaign_seconds(budget: Budget, clock: Clock, profile: Profile, runs: int, variants: int) -> float | None:
    """Return what so many runs take, with the probes of the variants; None where the budget says nothing of time."""
    one = run_seconds(budget, profile)
    if one is None:
        return None
    probes = PROBE_ROUNDS * (variants + 1) if clock == "calibrated" else 0
    return runs * one + probes * (probe_seconds(budget) + _OVERHEAD_S[profile] / 2)

"""The gate on simulated noise: the real `next_runs` and `judge`, and how often they are wrong. Pure."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.core.experiment import GateRules
from agent.core.frozen import frozen
from agent.gate.history import Measurement
from agent.gate.schedule import next_runs
from agent.gate.verdict import judge

if TYPE_CHECKING:
    import numpy as np


@frozen
class Simulation:
    """Shares of simulated campaigns and runs per campaign, each with its standard error.

    `false_promotion` counts every promotion of a variant without a true gain. `right_promotion` is None where no
    variant has one.
    """

    false_promotion: float
    false_promotion_se: float
    right_promotion: float | None
    right_promotion_se: float | None
    runs_mean: float
    runs_mean_se: float


def simulate(
    rules: GateRules, variants: int, gain: float, campaigns: int, seed: int = 0, earlier_dof: int = 0
) -> Simulation:
    """Run this gate on normal noise of standard deviation 1 and count its errors. The same seed, the same answer.

    The first of `variants` has the true gain `gain` (in standard deviations), all others equal the baseline.
    `earlier_dof` degrees of freedom for sigma come from earlier replicates. `campaigns` is at least 1.
    """
    import numpy as np  # a fifth of a command's start, and only --simulate draws numbers

    random = np.random.default_rng(seed)
    order = [f"v{number}" for number in range(variants)]
    ended = [_simulated(rules, order, gain, random, earlier_dof) for _ in range(campaigns)]
    better = order[0] if order and gain > 0 else None
    false, false_se = _mean_and_error([promoted not in (None, better) for promoted, _ in ended])
    right, right_se = _mean_and_error([promoted == better for promoted, _ in ended]) if better else (None, None)
    return Simulation(false, false_se, right, right_se, *_mean_and_error([size for _, size in ended]))


def _simulated(
    rules: GateRules, order: Sequence[str], gain: float, random: "np.random.Generator", earlier_dof: int
) -> tuple[str | None, int]:
    """One simulated campaign: who was promoted, and after how many runs."""
    seen: list[Measurement] = []
    worse = 1 if rules.goal == "min" else -1
    while scheduled := next_runs(rules, order, seen):
        noise = random.standard_normal(len(scheduled)).tolist()
        for run, value in zip(scheduled, noise, strict=True):
            better = gain if run.variant == "v0" else 0.0
            seen.append(Measurement(run.variant, run.seed, run.role, worse * (value - better)))
    groups = [random.standard_normal(earlier_dof + 1).tolist()] if earlier_dof else []
    verdict = judge(rules, order, seen, groups).verdict
    return (verdict.variant if verdict.decision == "keep" else None), len(seen)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    import numpy as np

    return float(np.mean(values)), float(np.std(values) / math.sqrt(len(values)))

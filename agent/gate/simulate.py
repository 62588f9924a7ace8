"""The gate on simulated noise: the real `next_runs` and `judge`, and how often they are wrong. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from random import Random

from agent.core.experiment import BASELINE, GateRules
from agent.core.frozen import frozen
from agent.core.runs import Verdict
from agent.gate.history import Measurement, Replicates
from agent.gate.schedule import ScheduledRun, next_runs
from agent.gate.stats import mean
from agent.gate.verdict import judge

DRIFT_RUNS = 10  # over which the metric drifts by `drift`
OUTLIER = 5.0  # how much wider the noise of an outlier is
GROUPS = 2  # models whose replicates the ledger has
PLANNED_GAIN = 3.0  # sigmas; with no gain at all, what the length of a plan is told by
PLANNED = 60  # campaigns of each of the two


@frozen(kw_only=True)
class Scenario:
    """What is true of simulated campaigns; lengths are in standard deviations from run to run.

    gain: of the first variant. rho: correlation of two models on one seed. known: degrees of freedom that sigma has
    from replicates of other models. reused: runs of the baseline that the ledger had; shift: how much better the
    machine has become since then; drift: how much better it becomes in 10 runs. tail: degrees of freedom of Student's
    t, whose noise it is (0: normal); outliers: share of runs with five times the noise. spread: the first variant's
    noise, in that of the others. worse: by how much the other variants are worse than the baseline.
    """

    variants: int = 4
    gain: float = 0.0
    rho: float = 0.0
    known: int = 0
    reused: int = 0
    shift: float = 0.0
    drift: float = 0.0
    tail: int = 0
    outliers: float = 0.0
    spread: float = 1.0
    worse: float = 0.0


def nulls(base: Scenario) -> dict[str, Scenario]:
    """Return what may be otherwise where no variant is better, by name."""
    plain = replace(base, gain=0.0)
    reused = {"reused": plain.reused or 3, "known": plain.known or 10}
    return {
        "nothing known": replace(plain, known=0, reused=0),
        "sigma known": replace(plain, known=10, reused=0),
        "baseline reused": replace(plain, **reused),
        "seeds correlate, rho 0.8": replace(plain, known=10, rho=0.8),
        "seeds correlate, nothing known": replace(plain, known=0, reused=0, rho=0.8),
        "heavy tails (t, 4)": replace(plain, known=10, tail=4),
        "5 % outliers": replace(plain, known=10, outliers=0.05),
        "a variant with twice the noise": replace(plain, known=10, spread=2.0),
        "the other variants 3 sigma worse": replace(plain, known=10, worse=3.0),
        "drift of 1 sigma in 10 runs": replace(plain, known=10, drift=1.0),
        "machine 1 sigma better since": replace(plain, **reused, shift=1.0),
        "the same, seeds correlate": replace(plain, **reused, shift=1.0, rho=0.8),
        "the same, others 3 sigma worse": replace(plain, **reused, shift=1.0, worse=3.0),
    }


@frozen
class Simulation:
    """Shares of simulated campaigns and runs per campaign, each with its standard error.

    `false_promotion` counts every promotion of a variant without a true gain. `right_promotion` is None where no
    variant has one. `runs_90` is what nine of ten campaigns do not exceed. `coverage` is how often the published
    interval of a leader holds its true gain, `bias` how much too high the promoted ones' published gains are on
    average, in standard deviations; None where there is none.
    """

    false_promotion: float
    false_promotion_se: float
    right_promotion: float | None
    right_promotion_se: float | None
    runs_mean: float
    runs_mean_se: float
    runs_90: float
    coverage: float | None
    coverage_se: float | None
    bias: float | None
    bias_se: float | None


def simulate(rules: GateRules, scenario: Scenario, campaigns: int, seed: int = 0) -> Simulation:
    """Run this gate on noise of standard deviation 1 and count its errors. The same seed, the same answer.

    `campaigns` is at least 1.
    """
    ended = [_simulated(rules, scenario, Random(f"{seed}/{number}")) for number in range(campaigns)]
    better = "v0" if scenario.variants and scenario.gain > 0 else None
    promoted = [verdict.variant if verdict.decision == "keep" else None for verdict, _ in ended]
    sizes = [float(size) for _, size in ended]
    confirmed = [verdict for verdict, _ in ended if verdict.variant and verdict.interval and verdict.gain is not None]
    kept = [one for one in confirmed if one.decision == "keep"]
    false = _mean_and_error([float(one not in (None, better)) for one in promoted])
    right = _of_some([float(one == better) for one in promoted] if better else [])
    holds = _of_some([float(_holds(one, scenario)) for one in confirmed])
    bias = _of_some([(one.gain or 0.0) - _true_gain(one, scenario) for one in kept])
    return Simulation(
        false_promotion=false[0],
        false_promotion_se=false[1],
        right_promotion=right[0],
        right_promotion_se=right[1],
        runs_mean=mean(sizes),
        runs_mean_se=_mean_and_error(sizes)[1],
        runs_90=_nine_of_ten(sizes),
        coverage=holds[0],
        coverage_se=holds[1],
        bias=bias[0],
        bias_se=bias[1],
    )


@cache
def planned_runs(rules: GateRules, variants: int) -> tuple[float, float]:
    """Return how many runs a campaign takes, the mean and what nine of ten do not exceed, where the ledger has none.

    Half of the simulated campaigns have no gain to find, and half have one of PLANNED_GAIN.
    """
    scenarios = [Scenario(variants=variants, gain=gain) for gain in (0.0, PLANNED_GAIN)]
    sizes = [len(_history(rules, one, Random(number))[0]) for one in scenarios for number in range(PLANNED)]
    return mean(sizes), _nine_of_ten(sizes)


def _nine_of_ten(sizes: Sequence[float]) -> float:
    return float(sorted(sizes)[math.ceil(0.9 * len(sizes)) - 1])


def _simulated(rules: GateRules, scenario: Scenario, random: Random) -> tuple[Verdict, int]:
    """One simulated campaign: its verdict, and after how many runs."""
    seen, groups = _history(rules, scenario, random)
    return judge(rules, _order(scenario), seen, groups).verdict, len(seen) - scenario.reused


def _order(scenario: Scenario) -> list[str]:
    return [f"v{number}" for number in range(scenario.variants)]


def _history(rules: GateRules, scenario: Scenario, random: Random) -> tuple[list[Measurement], Sequence[Replicates]]:
    """One simulated campaign's measurements, those of the ledger first, and the ledger's other models."""
    noise, order = _Noise(scenario, random), _order(scenario)
    values = range(scenario.known // GROUPS + 1)
    groups = [{seed: noise.draw(seed) for seed in values} for _ in range(GROUPS if scenario.known else 0)]
    sign = 1 if rules.goal == "min" else -1
    seen = [
        Measurement(BASELINE, seed, "baseline", sign * (noise.draw(seed) + scenario.shift), own=False)
        for seed in range(scenario.reused)
    ]
    while scheduled := next_runs(rules, order, seen, groups):
        at = (len(seen) - scenario.reused) * scenario.drift / DRIFT_RUNS
        seen += [Measurement(one.variant, one.seed, one.role, sign * (noise.of(one) - at)) for one in scheduled]
    return seen, groups


class _Noise:
    """The noise of a campaign: what a seed shares over all models is drawn once."""

    def __init__(self, scenario: Scenario, random: Random) -> None:
        self.scenario, self.random, self.shared = scenario, random, dict[int, float]()
        self._one: Callable[[], float] = self._student if scenario.tail else lambda: random.gauss(0, 1)

    def draw(self, seed: int) -> float:
        """Return one run's noise; all runs on one seed have a share of it in common."""
        if seed not in self.shared:
            self.shared[seed] = self._single()
        rho = self.scenario.rho
        return math.sqrt(rho) * self.shared[seed] + math.sqrt(1 - rho) * self._single()

    def of(self, run: ScheduledRun) -> float:
        """Return the value of a run; lower is better."""
        value = self.draw(run.seed)
        if run.variant == "v0":
            return value * self.scenario.spread - self.scenario.gain
        return value if run.variant == BASELINE else value + self.scenario.worse

    def _single(self) -> float:
        wide = OUTLIER if self.scenario.outliers and self.random.random() < self.scenario.outliers else 1.0
        return wide * self._one()

    def _student(self) -> float:
        """Return Student's t, scaled to a standard deviation of 1; `tail` is above 2."""
        dof = self.scenario.tail
        chi2 = self.random.gammavariate(dof / 2, 2)
        return self.random.gauss(0, 1) / math.sqrt(chi2 / dof) * math.sqrt((dof - 2) / dof)


def _true_gain(verdict: Verdict, scenario: Scenario) -> float:
    return scenario.gain if verdict.variant == "v0" else -scenario.worse


def _holds(verdict: Verdict, scenario: Scenario) -> bool:
    assert verdict.interval is not None
    return verdict.interval[0] <= _true_gain(verdict, scenario) <= verdict.interval[1]


def _of_some(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    return _mean_and_error(values) if values else (None, None)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    middle = mean(values)
    return middle, math.sqrt(mean([(value - middle) ** 2 for value in values]) / len(values))


def table(rows: Mapping[str, Simulation]) -> list[list[str]]:
    """Return simulations by name as rows of a table, its head first."""
    head = ["", "false promotion", "right promotion", "runs, mean", "nine of ten", "interval holds"]
    return [head, *([name, *_cells(one)] for name, one in rows.items())]


def _cells(one: Simulation) -> list[str]:
    return [
        _with_error(one.false_promotion, one.false_promotion_se),
        _with_error(one.right_promotion, one.right_promotion_se),
        f"{one.runs_mean:.2f} ± {one.runs_mean_se:.2f}",
        f"{one.runs_90:g}",
        _with_error(one.coverage, one.coverage_se),
    ]


def _with_error(value: float | None, error: float | None) -> str:
    return "" if value is None or error is None else f"{value:.4f} ± {error:.4f}"

"""Whether the work of a winner's runs was inside their budget, by the harness's own clock. Pure.

Each check returns `ok` or one line of what speaks against the winner. docs/audit.md has one formula for each clock.
"""

import math
from collections.abc import Sequence

from agent.audit.rules import OK, RULES
from agent.core.experiment import Budget
from agent.core.frozen import frozen
from agent.core.records import RunRecord
from agent.gate.stats import median


@frozen
class Timing:
    """The runs of a winner and of the baseline that count, under the same conditions.

    token_ratio: work a token over the baseline's: FLOPs, as the winner's constants claim, or `seconds_ratio` where the
    script's shape is not known. has_model_code: a model wrote some of the winner. compile_s: seconds that one
    compilation of the baseline takes; 0 until somebody has measured it.
    """

    winner: Sequence[RunRecord]
    baseline: Sequence[RunRecord]
    token_ratio: float = 1.0
    has_model_code: bool = False
    compile_s: float = 0.0

    @property
    def typical(self) -> RunRecord:
        """The winner's run of median seconds (the lower of two): one slow start is no pattern."""
        return sorted(self.winner, key=lambda run: run.seconds)[(len(self.winner) - 1) // 2]

    @property
    def clock(self) -> str:
        """The clock that all the runs had."""
        return self.typical.conditions.clock

    @property
    def budget(self) -> Budget:
        """The budget that all the runs had."""
        return self.typical.conditions.budget

    def work_ratio(self, claimed: float) -> float:
        """Return how many times the baseline's work the winner may have had: a claim, where a model wrote its code."""
        return max(1.0, min(claimed, RULES.claimed_work_ratio) if self.has_model_code else claimed)


# --- checks -----------------------------------------------------------------------------------------------


def check_time(timing: Timing) -> str:
    """Return ok where all the work of the winner's runs was inside their budget.

    Then the typical run's whole process took no more seconds than docs/audit.md promises, whatever it says of itself:
    what it calls training is one part of them, the rest is the other, and either has its bound.
    """
    if (finding := _check_amount(timing)) != OK:
        return finding
    finding = next((one for check in (check_overhead, _check_training) if (one := check(timing)) != OK), OK)
    return OK if finding != OK and _is_machine_busy(timing) else finding


def check_pace(timing: Timing) -> str:
    """Return ok unless the probes of a calibrated winner understated its step time: its training takes too long.

    The winner's quickest run counts against the baseline's median, for others may have had the machine meanwhile; and
    as they may have had it all the time, a person decides. What `training_s` leaves out, `check_overhead` sees.
    """
    if timing.clock != "calibrated":
        return OK
    usual = max(timing.budget.amount, median(map(training_s, timing.baseline)))
    quickest = min(map(training_s, timing.winner))
    if quickest <= RULES.pace_ratio * usual:
        return OK
    return f"its quickest run trains for {quickest:.1f} s, where {usual:.1f} s are usual: its probes promised less"


def check_overhead(timing: Timing) -> str:
    """Return ok where a run takes as much beside its training (start, compilation, evaluation) as the baseline's."""
    overhead, usual = _overhead_s(timing.typical), median(map(_overhead_s, timing.baseline))
    if overhead <= max_overhead_s(timing):
        return OK
    compiling = f" and {timing.compile_s:.1f} s to compile" if timing.compile_s else ""
    return f"its runs take {overhead:.1f} s beside their training, the baseline's {usual:.1f} s{compiling}"


def _check_training(timing: Timing) -> str:
    training, most = training_s(timing.typical), max_training_s(timing)
    if training <= most:
        return OK
    return f"its training takes {training:.1f} s, where {most:.1f} s are the most that it could"


def _check_amount(timing: Timing) -> str:
    """Return ok where no run was charged many more steps than it was given, and each the tokens."""
    return next((finding for run in timing.winner if (finding := _check_charge(run)) != OK), OK)


def _check_charge(run: RunRecord) -> str:
    """Return ok unless a run took more than it was given and than its last step explains, or fewer tokens.

    Where the fixed side counts backward passes, they are what is charged, and the last step may take several.
    """
    steps, tokens = run.metrics.get("num_steps", run.steps), run.metrics.get("total_tokens_M")
    charged, more = steps, 1.0
    if "charged_steps" in run.metrics:
        charged, more = run.metrics["charged_steps"], RULES.overcharged_steps
    if run.steps and charged is not None and charged * (1 + 1e-6) >= run.steps + more:
        return f"it was given {run.steps} steps and took {charged:g}"
    given = _budget_tokens_m(run)
    if not (given and tokens and steps and charged):
        return OK
    step = tokens / steps
    if given <= charged * step * (1 + 1e-6) <= given + 1.1 * more * step:
        return OK
    return f"it was given {given:g} million tokens and took {charged * step:g}"


def _is_machine_busy(timing: Timing) -> bool:
    """Return whether the winner took more seconds because others had the processors: it used no more of them itself.

    By medians, and by what both had to do: the FLOPs of a token over the baseline's where steps or tokens are the
    budget. Where nobody counted processor seconds, or a GPU did the work, it cannot be known.
    """
    run, runs = timing.typical, (*timing.winner, *timing.baseline)
    if run.conditions.profile != "mini" or not all(one.cpu_s for one in runs):
        return False
    if run.seconds > RULES.forgiven_ratio * median(one.seconds for one in timing.baseline) * _work(timing):
        return False
    used, usual = (median(one.cpu_s for one in several) for several in (timing.winner, timing.baseline))
    return used <= RULES.cpu_ratio * usual * _work(timing) + RULES.overhead_slack_s


def _work(timing: Timing) -> float:
    """Return how many times the baseline's work the winner has to do: as much, where time is the budget."""
    return timing.work_ratio(timing.token_ratio) if timing.clock == "steps" else 1.0


# --- bounds -----------------------------------------------------------------------------------------------


def max_overhead_s(timing: Timing) -> float:
    """Return the most seconds that the typical run may take beside its training."""
    usual = median(map(_overhead_s, timing.baseline)) + timing.compile_s
    slack = RULES.overhead_slack_s + RULES.overhead_slack_ratio * timing.typical.seconds
    return RULES.overhead_ratio * usual * timing.work_ratio(timing.token_ratio) + slack


def max_training_s(timing: Timing) -> float:
    """Return the most seconds of training; infinite on the wall's clock, where `training_s` has the bound in it."""
    usual = median(map(training_s, timing.baseline))
    if timing.clock == "wall":
        return math.inf
    if timing.clock == "calibrated":
        budget = timing.budget.amount
        return RULES.calibrated_ratio * budget * min(RULES.calibrated_ratio, max(1.0, usual / budget))
    same_tokens = timing.budget.kind == "tokens"
    batch_ratio = 1.0 if same_tokens else _tokens_m([timing.typical]) / _tokens_m(timing.baseline)
    return RULES.unprobed_ratio * usual * timing.work_ratio(timing.token_ratio * batch_ratio)


def training_s(run: RunRecord) -> float:
    """Return the seconds that a run calls training: on the wall's clock no more than its budget allows."""
    claimed = run.metrics.get("training_seconds", 0.0)
    if run.conditions.clock != "wall":
        return claimed
    return min(claimed, RULES.wall_overtime_ratio * run.conditions.budget.amount + RULES.wall_overtime_s)


def seconds_ratio(winner: Sequence[RunRecord], baseline: Sequence[RunRecord]) -> float:
    """Return the seconds a token over the baseline's (medians), as runs report their speed; 1 where they do not."""
    speeds = [[run.metrics.get("tokens_per_second", 0.0) for run in runs] for runs in (winner, baseline)]
    if not all(all(speed > 0 for speed in one) for one in speeds):
        return 1.0
    mine, usual = map(median, speeds)
    return usual / mine


def _overhead_s(run: RunRecord) -> float:
    """Return all other seconds of a run's process."""
    return run.seconds - training_s(run)


def _budget_tokens_m(run: RunRecord) -> float:
    """Return the millions of tokens that a run was given; 0 where its budget is in something else."""
    budget = run.conditions.budget
    return budget.amount / 1e6 if budget.kind == "tokens" else 0.0


def _tokens_m(runs: Sequence[RunRecord]) -> float:
    """Return the median of the millions of tokens that runs say they were trained on; 1 where they say nothing."""
    return max(1e-9, median(run.metrics.get("total_tokens_M", 1.0) for run in runs))

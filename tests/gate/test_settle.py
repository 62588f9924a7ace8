"""What the sequential gate says: the gain corrected for the stop, how it was measured, what would settle it."""

import math
import re
from dataclasses import replace

import pytest

from agent.core.experiment import BASELINE
from agent.gate.history import Measurement
from agent.gate.schedule import next_runs
from agent.gate.verdict import judge
from tests.gate.test_sequential import ALIKE, LOOSE, ORDER, RULES, base, confirms, screens

OPEN = base(1.0, 1.1, 1.05, 0.95, 1.0) + screens(0.8, 1.2, 1.2, 1.3)
OPEN += confirms("a", s1=0.95, s2=0.9, s3=0.97, s4=0.95, s5=0.9)


def test_a_gain_after_several_looks_is_corrected_and_the_reason_has_both() -> None:
    seen = base(1.0, 1.1, 1.05) + screens(0.8, 1.2, 1.2, 1.3) + confirms("a", s1=0.95, s2=0.8, s3=0.72)
    verdict = judge(RULES, ORDER, seen, LOOSE).verdict
    measured = 1.05 - (0.95 + 0.8 + 0.72) / 3
    assert verdict.gain is not None
    assert verdict.interval is not None
    assert 0 < verdict.gain < measured
    assert verdict.interval[0] < verdict.gain < verdict.interval[1]
    assert f"measured {measured:.3g}, corrected for the stop at this look" in verdict.reason
    assert "unpaired, each look at level 0.0" in verdict.reason
    assert (verdict.n, verdict.baseline_n) == (3, 3)


def test_the_reason_tells_rho_where_pairs_decided() -> None:
    seen = base(1.0, 1.3, 0.8) + screens(0.95, 1.0, 1.2, 1.3) + confirms("a", s1=1.25, s2=0.75)
    reason = judge(RULES, ORDER, seen, ALIKE).verdict.reason
    assert re.search(r"paired by seed, 2 pairs \(rho (0\.9\d|1\.00)\)", reason)


def test_inconclusive_says_what_would_settle_it_with_the_command() -> None:
    verdict = judge(RULES, ORDER, OPEN, LOOSE).verdict
    assert verdict.decision == "inconclusive"
    assert re.search(r"about \d+ further runs? of each \(--more \d+\) would settle it at this gain", verdict.reason)


def test_the_further_runs_would_indeed_settle_it() -> None:
    named = re.search(r"--more (\d+)", judge(RULES, ORDER, OPEN, LOOSE).verdict.reason)
    assert named is not None
    rules, seen = replace(RULES, more=(int(named[1]),)), [replace(one, own=False) for one in OPEN]
    values = {BASELINE: 1.02, "a": 0.934}
    while runs := next_runs(rules, ORDER, seen, LOOSE):
        seen += [Measurement(one.variant, one.seed, one.role, values[one.variant]) for one in runs]
    assert judge(rules, ORDER, seen, LOOSE).verdict.decision == "keep"


def test_every_variant_has_an_estimate_and_the_leader_alone_a_p() -> None:
    result = judge(RULES, ORDER, OPEN, LOOSE)
    assert [one.variant for one in result.variants] == list(ORDER)
    assert [one.p is not None for one in result.variants] == [True, False, False, False]
    assert all(one.gain is not None and math.isfinite(one.gain) for one in result.variants)


@pytest.mark.parametrize("goal", ["min", "max"])
def test_more_of_a_metric_may_be_better(goal: str) -> None:
    sign, rules = 1 if goal == "min" else -1, replace(RULES, goal=goal)  # type: ignore[arg-type]
    seen = [replace(one, value=one.value and sign * one.value) for one in OPEN]
    plain, other = judge(RULES, ORDER, OPEN, LOOSE).verdict, judge(rules, ORDER, seen, LOOSE).verdict
    assert (plain.gain, plain.decision, plain.mean) == (other.gain, other.decision, sign * (other.mean or 0))

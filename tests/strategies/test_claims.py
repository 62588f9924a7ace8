"""Claims: held where the whole interval agrees, not held where none of it does, undecided else."""

import math
import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.claims import BetterClaim, Claim, ClaimResult, FlatClaim, OrderClaim, ParametersClaim, ValueClaim
from agent.core.experiment import BASELINE, Constant
from agent.core.trials import Candidate, Question, Trial
from agent.strategies.claims import claims_table, judge_claims, outcome

SETS: Mapping[str, Mapping[str, Constant]] = {
    "D2": {"DEPTH": 2}, "D12": {"DEPTH": 12}, "D16": {"DEPTH": 16}, "W128": {"WIDTH": 128}, "H8": {"HEADS": 8},
}  # fmt: skip
CANDIDATES = tuple(Candidate(name=name, sets=sets) for name, sets in SETS.items())
QUESTION = Question(issue=1, seeds=(0, 1, 2), base={"DEPTH": 8, "WIDTH": 256, "HEADS": 4}, variants=CANDIDATES)
MEANS = {BASELINE: 2.0, "D2": 2.12, "D12": 1.99, "D16": 1.985, "W128": 2.4, "H8": 2.001}


def trials(off: float = 0.001, without: str = "", **means: float) -> list[Trial]:
    """Three runs of each candidate about its mean, `off` apart."""
    every = (Candidate(name=BASELINE, sets={}), *CANDIDATES)
    values = {**MEANS, **means}
    return [
        Trial(
            candidate=one,
            values={} if one.name == without else {at: values[one.name] + (at - 1) * off for at in range(3)},
            failure="out of memory" if one.name == without else "",
            metrics={"num_params_M": 0.002908},
        )
        for one in every
    ]


def judged(claim: Claim, given: list[Trial]) -> ClaimResult:
    [result] = judge_claims([claim], QUESTION, given)
    return result


def better(by: float = 0.0) -> BetterClaim:
    return BetterClaim(text="deep is better", better=BASELINE, than="D2", by=by)


ORDER = OrderClaim(text="width, depth, heads", factors=("WIDTH", "DEPTH", "HEADS"))


@pytest.mark.parametrize(("by", "expected"), [(0, "held"), (0.1, "held"), (0.12, "undecided"), (0.2, "not held")])
def test_better_by_so_much_or_more(by: float, expected: str) -> None:
    result = judged(better(by), trials())
    assert result.outcome == expected
    assert result.figures == "gain +0.1200"
    assert result.interval is not None
    assert result.interval[0] < 0.12 < result.interval[1]


def test_more_noise_decides_less() -> None:
    assert judged(better(), trials(off=0.3)).outcome == "undecided"
    assert judged(better(), trials(off=0.0)).outcome == "held"
    assert judged(better(), trials(off=0.0, D2=2.0)).outcome == "not held"  # exactly as good is not better


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [((1.91, 2.1), "held"), ((1.99, 2.0004), "undecided"), ((1.5, 1.9), "not held"), ((2.1, 2.2), "not held")],
)
def test_a_value_within_bounds(bounds: tuple[float, float], expected: str) -> None:
    claim = ValueClaim(text="", name=BASELINE, low=bounds[0], high=bounds[1])
    assert judged(claim, trials()).outcome == expected


def test_a_value_is_claimed_in_the_sign_of_the_metric() -> None:
    claim = ValueClaim(text="", name=BASELINE, low=-2.1, high=-1.9)
    [result] = judge_claims([claim], QUESTION, trials(), "max")
    assert (result.outcome, result.figures) == ("held", "-2.0000")


def test_the_order_of_spreads() -> None:
    assert judged(ORDER, trials()).outcome == "held"
    assert judged(ORDER, trials()).figures.startswith("WIDTH 0.4000, DEPTH 0.1350, HEADS 0.0010")
    assert judged(ORDER, trials(W128=2.01)).outcome == "not held"
    assert judged(ORDER, trials(W128=2.137)).outcome == "undecided"
    assert judged(ORDER, trials(H8=2.3)).outcome == "not held"
    assert judged(ORDER, trials(without="H8")).figures == "fewer than two levels of HEADS have a value"


@pytest.mark.parametrize(
    ("after", "within", "expected"),
    [(8, 0.02, "held"), (8, 0.012, "not held"), (8, 0.0151, "undecided"), (2, 0.02, "not held"), (16, 1, "undecided")],
)
def test_flat_after_a_level(after: float, within: float, expected: str) -> None:
    """From 8 to 12 the trials gain 0.01 and to 16 they gain 0.015: the largest gain above the level counts."""
    assert judged(FlatClaim(text="", factor="DEPTH", after=after, within=within), trials()).outcome == expected


def test_flat_is_undecided_where_a_level_above_failed_and_not_held_where_another_gains_too_much() -> None:
    claim = FlatClaim(text="", factor="DEPTH", after=8, within=0.02)
    assert judged(claim, trials(without="D16")).outcome == "undecided"
    assert judged(claim, trials(without="D16", D12=1.9)).outcome == "not held"


def test_parameters_are_exact_and_need_no_noise() -> None:
    one = [Trial(candidate=CANDIDATES[0], values={0: 2.0}, metrics={"num_params_M": 0.002908})]
    assert judged(ParametersClaim(text="", name="D2", count=2908), one).outcome == "held"
    assert judged(ParametersClaim(text="", name="D2", count=2909), one).outcome == "not held"
    assert judged(ParametersClaim(text="", name="D12", count=2908), one).outcome == "undecided"


@pytest.mark.parametrize(
    "claim",
    [
        better(),
        ORDER,
        ValueClaim(text="", name="D2", low=0, high=9),
        FlatClaim(text="", factor="DEPTH", after=8, within=9),
    ],
)
def test_with_one_run_each_the_noise_is_unknown_and_nothing_is_decided(claim: Claim) -> None:
    single = [Trial(candidate=one.candidate, values={0: one.values[0]}) for one in trials()]
    assert judged(claim, single).outcome == "undecided"
    assert judged(claim, []).outcome == "undecided"


def test_a_failure_is_named() -> None:
    result = judged(better(), trials(without="D2"))
    assert (result.outcome, result.figures) == ("undecided", "D2 failed: out of memory")


BOUND = st.floats(-5, 5)


@given(low=BOUND, high=BOUND, ends=st.lists(BOUND, min_size=4, max_size=4))
def test_a_narrower_interval_decides_more_and_never_the_other_way(low: float, high: float, ends: list[float]) -> None:
    wide_low, narrow_low, narrow_high, wide_high = sorted(ends)
    wide = outcome((wide_low, wide_high), low, high)
    assert wide in ("undecided", outcome((narrow_low, narrow_high), low, high))


def test_a_claim_that_is_false_is_held_one_time_of_twenty_at_most() -> None:
    """The two are equal: `better` is wrong, and held only where the noise looks like a gain."""
    rng, held = random.Random(5), 0
    for _ in range(300):
        equal = [
            Trial(candidate=one.candidate, values={seed: rng.gauss(2, 0.01) for seed in range(3)}) for one in trials()
        ]
        held += judged(better(), equal).outcome == "held"
    assert 0.02 < held / 300 < 0.08


def test_the_table_has_a_source_where_somebody_is_named() -> None:
    plain = judge_claims([Claim(text="deeper is nicer")], QUESTION, trials())
    assert claims_table(plain).rows == (("deeper is nicer", "not checkable", "–", "–"),)
    named = judge_claims([BetterClaim(text="a", source="notes", better=BASELINE, than="D2")], QUESTION, trials())
    table = claims_table([*plain, *named])
    assert table.head[-1] == "source"
    assert [row[-1] for row in table.rows] == ["–", "notes"]
    assert table.rows[1][1:3] == ("held", "gain +0.1200")
    assert math.isfinite(float(table.rows[1][3].split(" to ")[0]))

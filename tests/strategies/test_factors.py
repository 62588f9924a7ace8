"""The design of a sweep: levels, the reference, the base that is shared, deviations from the sum."""

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.experiment import BASELINE, Constant
from agent.core.trials import Candidate, Question, Trial
from agent.strategies.factors import Design, design_of, per_million

SEEDS = (1, 2, 3)
BASE: Mapping[str, Constant] = {"DEPTH": 8, "WIDTH": 256, "ACT": "relu"}
SWEEP: Mapping[str, Mapping[str, Constant]] = {
    "D12": {"DEPTH": 12}, "D2": {"DEPTH": 2}, "W128": {"WIDTH": 128, "DEPTH": 8}, "gelu": {"ACT": "gelu"},
}  # fmt: skip


def question(variants: Mapping[str, Mapping[str, Constant]]) -> Question:
    listed = tuple(Candidate(name=name, sets=sets) for name, sets in variants.items())
    return Question(issue=1, seeds=SEEDS, base=BASE, variants=listed)


def trial(name: str, sets: Mapping[str, Constant], *values: float, **metrics: float) -> Trial:
    return Trial(
        candidate=Candidate(name=name, sets=sets), values=dict(zip(SEEDS, values, strict=False)), metrics=metrics
    )


def grid(*means: float, off: float = 0.01) -> Design:
    """A grid of DEPTH 8 and 12 by WIDTH 128 and 256, each with runs about its mean."""
    cells = [(8, 128), (8, 256), (12, 128), (12, 256)]
    variants = {f"G{at}": {"DEPTH": depth, "WIDTH": width} for at, (depth, width) in enumerate(cells)}
    trials = [
        trial(name, sets, mean - off, mean, mean + off)
        for (name, sets), mean in zip(variants.items(), means, strict=True)
    ]
    return design_of(question(variants), trials)


def test_a_factor_has_the_base_as_a_level_and_numbers_in_their_order() -> None:
    trials = [trial(BASELINE, {}, 2.0), *(trial(name, sets, 2.1) for name, sets in SWEEP.items())]
    design = design_of(question(SWEEP), trials)
    levels = {factor.name: [(level, one.name) for level, one in factor.levels] for factor in design.factors}
    assert levels == {
        "DEPTH": [(2, "D2"), (8, BASELINE), (12, "D12")],
        "WIDTH": [(128, "W128"), (256, BASELINE)],
        "ACT": [("gelu", "gelu"), ("relu", BASELINE)],
    }


def test_a_variant_that_has_the_values_of_the_base_is_the_base_and_is_shared() -> None:
    """D8 and W256 are one combination: one of them is the level of every factor, and the other is no second one."""
    design = design_of(question({**SWEEP, "D8": {"DEPTH": 8}, "W256": {"WIDTH": 256}}), [])
    assert not design.needs_base
    assert design.reference_trial is not None
    assert design.reference_trial.name == "D8"
    assert "W256" not in [one.name for one in design.trials]


def test_a_sweep_of_one_factor_needs_the_base_and_a_grid_without_its_values_does_not() -> None:
    assert design_of(question({"D2": {"DEPTH": 2}, "D12": {"DEPTH": 12}}), []).needs_base
    off_base = {
        f"G{depth}-{width}": {"DEPTH": depth, "WIDTH": width} for depth in (2, 12) for width in (128, 512)
    }  # fmt: skip
    design = design_of(question(off_base), [])
    assert not design.needs_base
    assert design.reference == (2, 128)
    assert [len(factor.levels) for factor in design.factors] == [2, 2]


def test_the_interaction_is_what_a_pair_has_beyond_the_sum_of_its_factors() -> None:
    """From 2.0 depth alone gains 0.1 and width alone loses 0.2: 2.1 would be the sum."""
    [(name, effect)] = grid(2.2, 2.0, 2.05, 1.9).interactions().items()
    assert name == "G2"
    assert effect.gain == pytest.approx(0.05)
    low, high = effect.interval or (0, 0)
    assert high - low == pytest.approx(2 * 1.8595 * 0.01 * (4 / 3) ** 0.5, rel=1e-3)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_what_is_additive_has_no_interaction(values: list[float]) -> None:
    at, depth, width = values
    [effect] = grid(at + width, at, at + depth + width, at + depth).interactions().values()
    assert effect.gain == pytest.approx(0, abs=1e-9)


def test_nine_intervals_of_ten_hold_no_interaction_where_there_is_none() -> None:
    rng, held = random.Random(11), 0
    for _ in range(300):
        design = grid(0, 0, 0, 0)
        noisy = {
            values: Trial(candidate=one.candidate, values={seed: rng.gauss(2, 0.01) for seed in SEEDS})
            for values, one in design.cells.items()
        }
        [effect] = Design(design.base, design.names, noisy, design.reference).interactions().values()
        low, high = effect.interval or (1, 1)
        held += low <= 0 <= high
    assert 0.86 < held / 300 < 0.94


def test_a_pair_without_one_of_its_corners_has_no_interaction() -> None:
    whole = grid(2.2, 2.0, 2.05, 1.9)
    failed = {
        values: Trial(candidate=one.candidate, failure="oom") if one.name == "G0" else one
        for values, one in whole.cells.items()
    }
    assert Design(whole.base, whole.names, failed, whole.reference).interactions() == {}


def test_spreads_come_by_size_and_without_failed_levels() -> None:
    trials = [
        trial(BASELINE, {}, 2.0, 2.0),
        trial("D2", {"DEPTH": 2}, 2.3, 2.3),
        trial("W128", {"WIDTH": 128}, 2.5, 2.5),
    ]
    design = design_of(question(SWEEP), trials)
    spreads = [(one.factor.name, one.effect and round(one.effect.gain, 6)) for one in design.spreads()]
    assert spreads == [("WIDTH", 0.5), ("DEPTH", 0.3), ("ACT", None)]


def test_the_gain_a_million_parameters_needs_more_parameters() -> None:
    small, large = trial("a", {}, 2.0, 2.2, num_params_M=1.0), trial("b", {}, 1.0, 1.2, num_params_M=3.0)
    design = design_of(question(SWEEP), [])
    effect = per_million(small, large, design.noise)
    assert effect is not None
    assert effect.gain == pytest.approx(0.5)
    assert per_million(large, small, design.noise) is None
    assert per_million(small, trial("c", {}, 1.0), design.noise) is None


def test_three_factors_at_once_are_no_pair() -> None:
    variants = {**SWEEP, "all": {"DEPTH": 2, "WIDTH": 128, "ACT": "gelu"}}
    trials = [trial(BASELINE, {}, 2.0), *(trial(name, sets, 2.1) for name, sets in variants.items())]
    assert design_of(question(variants), trials).interactions() == {}

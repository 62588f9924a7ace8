"""The audit's judgement: the second held-out set, what is too good to be true, runs that are not of one kind."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audit import checks
from agent.audit.checks import ScoredRun
from agent.audit.reports import Losses, ScoreReport
from agent.audit.rules import OK, RULES
from tests.store.test_ledger import RUN

SIZES = np.full(100, 1000)


def losses(metric: float, noise: float = 0.01, seed: int = 0) -> Losses:
    """What 100 documents cost at `metric`, with noise of its own."""
    rng = np.random.default_rng(seed)
    nats = SIZES * (metric + noise * rng.standard_normal(100))
    return Losses(nats.tolist(), SIZES.tolist())


def scored(val: float, held: float, noise: float = 0.01, seed: int = 0) -> ScoreReport:
    """A checkpoint that costs so much on either set."""
    return ScoreReport(val=losses(val, noise, seed), held=losses(held, noise, seed + 100))


@pytest.mark.parametrize("gain", [0.001, 0.02, 0.2])
def test_a_gain_that_the_second_set_shows_is_confirmed(gain: float) -> None:
    assert checks.check_holdout(scored(2.0 - gain, 2.1 - gain), scored(2.0, 2.1)) == OK


@pytest.mark.parametrize(("gain", "reads", "holds"), [(0.002, 1, False), (0.004, 1, True), (0.004, 99, False)])
def test_a_gain_is_certain_where_the_second_set_tells_it_from_none_and_must_be_larger_the_oftener_it_is_read(
    gain: float, reads: int, holds: bool
) -> None:
    mine, theirs = scored(1.9, 2.1 - gain), scored(2.0, 2.1, seed=1)  # the error of the difference is 0.0014
    assert (checks.check_significance(mine, theirs, reads) == OK) == holds


@pytest.mark.parametrize("forged", [0.0, 0.01, 0.04])
def test_no_gain_passes_for_one_in_more_than_its_share_of_cases(forged: float) -> None:
    """Whatever is forged on the validation set: with a second set that errs by 0.01, four errors of it as well."""
    passed = 0
    for seed in range(2000):
        mine = scored(2.0 - forged, 2.0, noise=0.1, seed=2 * seed)
        passed += checks.check_significance(mine, scored(2.0, 2.0, noise=0.1, seed=2 * seed + 1), 1) == OK
    assert passed <= 1.4 * RULES.holdout_alpha * 2000


def test_of_a_single_piece_nothing_is_certain() -> None:
    mine, theirs = (ScoreReport(held=Losses([nats], [9.0])) for nats in (1.0, 2.0))
    assert "cannot tell" in checks.check_significance(mine, theirs, 1)


@pytest.mark.parametrize("on_second", [0.0, -0.02, 0.01])
def test_a_gain_that_the_second_set_does_not_show_is_refused(on_second: float) -> None:
    finding = checks.check_holdout(scored(1.8, 2.0 - on_second, noise=0.001), scored(2.0, 2.0, noise=0.001, seed=1))
    assert " on the validation set is " in finding


def test_the_gain_to_confirm_is_the_audited_one_of_the_same_documents() -> None:
    """Both claims are left out of it: a winner that claims little has as much to confirm as was found."""
    mine, theirs = replace(scored(1.8, 2.0), metrics={"val": 1.999}), scored(2.0, 2.0)
    assert checks.check_holdout(mine, theirs).startswith("a gain of 0.2000")


def test_one_document_known_by_heart_does_not_excuse_the_second_set() -> None:
    """It makes the first set's gain as uncertain as it is large; only the second set's error counts."""
    val = losses(2.0, noise=0.0)
    mine = ScoreReport(val=Losses([0.0, *val.nats[1:]], val.sizes), held=losses(1.9999, noise=0.0))
    assert "on the validation set is 0.0001" in checks.check_holdout(mine, scored(2.0, 2.0, noise=0.0))


def test_checkpoints_that_scored_other_documents_are_not_compared() -> None:
    fewer, mine, theirs = Losses([1.0] * 3, [1.0] * 3), scored(1.9, 1.9), scored(2.0, 2.0)
    for other in (ScoreReport(), replace(mine, val=fewer), replace(mine, held=fewer)):
        assert "could not be compared" in checks.check_holdout(other, theirs)


@given(value=st.floats(1.0, 3.0), baseline=st.floats(1.0, 3.0))
def test_only_a_finite_positive_number_that_is_no_miracle_is_plausible(value: float, baseline: float) -> None:
    finding = checks.check_claim(value, value, baseline)
    assert (finding == OK) == (value >= (1 - RULES.implausible_gain_ratio) * baseline)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_number_of_bits_is_not_plausible(value: float) -> None:
    assert checks.check_claim(value, None, 2.0) != OK
    assert checks.check_claim(2.0, value, 2.0) != OK


def test_where_there_is_no_gain_there_is_none_to_confirm() -> None:
    assert "there is no gain to confirm" in checks.check_holdout(scored(2.01, 1.9), scored(2.0, 2.0))


def several(*metrics: float) -> list[ScoredRun]:
    return checks.scored_runs([replace(RUN, seed=seed, metric=metric) for seed, metric in enumerate(metrics)])


def test_any_run_of_a_winners_may_be_drawn_and_meets_the_baselines_of_its_own_rank() -> None:
    winner, base = several(1.3, 1.1, 1.2), several(2.2, 2.4, 2.3)
    pairs = [checks.draw_run(winner, base, f"lot {number}") for number in range(300)]
    drawn = Counter((mine.metric, usual.metric) for mine, usual in pairs)
    assert set(drawn) == {(1.1, 2.2), (1.2, 2.3), (1.3, 2.4)}
    assert min(drawn.values()) > 60
    assert checks.draw_run(winner, base, "lot") == checks.draw_run(
        winner[::-1], base[::-1], "lot"
    )  # the same after a crash


@pytest.mark.parametrize(("base", "expected"), [((2.5,), 2.5), ((2.5, 2.4), 2.4), ((2.2, 2.4, 2.3), 2.3)])
def test_a_single_run_meets_the_baselines_median(base: tuple[float, ...], expected: float) -> None:
    assert checks.draw_run(several(1.5), several(*base), "lot")[1].metric == expected


USUAL = [[2.50, 2.51, 2.49, 2.505, 2.495], [2.40, 2.41, 2.39, 2.405, 2.395]]  # a sigma of 0.008, of 8 degrees


@pytest.mark.parametrize(
    ("audited", "others", "groups", "holds"),
    [
        (2.30, (2.30, 2.31), USUAL, True),
        (2.33, (2.30, 2.31), USUAL, True),
        (2.36, (2.30, 2.31), USUAL, False),  # the audited one is honest, the others are not
        (2.24, (2.30, 2.31), USUAL, True),  # they claim less: nothing to gain by that
        (2.36, (2.30,), USUAL, False),
        (2.36, (2.30, 2.31), [[2.50, 2.51]], True),  # sigma itself is hardly known
        (2.36, (), USUAL, True),
        (2.36, (2.30,), [], True),
    ],
)
def test_a_winner_whose_other_runs_claim_far_more_than_the_audited_one_is_noticed(
    audited: float, others: tuple[float, ...], groups: list[list[float]], holds: bool
) -> None:
    finding = checks.check_consistency(several(audited)[0], several(*others), groups)
    assert (finding == OK) == holds, finding


def test_one_forged_run_of_three_is_scored_as_well_where_it_pays_and_an_honest_winners_seldom() -> None:
    rng = np.random.default_rng(0)
    looks = {0.0: 0, 0.04: 0, 0.08: 0}
    for gain in looks:
        for _ in range(2000):
            values = rng.normal(2.3, 0.01, 3)
            mine, base = several(values[0], values[1] - gain, values[2]), rng.normal(2.5, 0.01, 3).tolist()
            second = checks.outlier_run(mine[0], mine[1:], [base, *USUAL])
            assert second in (None, min(mine[1:], key=lambda one: one.metric))
            looks[gain] += second is not None
    assert looks[0.0] <= 0.25 * 2000
    assert looks[0.04] >= 0.8 * 2000
    assert looks[0.08] >= 0.98 * 2000


def test_runs_that_differ_by_noise_alone_are_held_for_a_person_hardly_ever() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        mine, base = several(*rng.normal(2.3, 0.01, 3)), rng.normal(2.5, 0.01, 3).tolist()
        held += checks.check_consistency(mine[0], mine[1:], [base]) != OK
    assert held <= 0.006 * 2000


def test_doubts_alone_are_for_a_person_and_anything_else_fails() -> None:
    held = dict.fromkeys(checks.CHECKS, OK)
    assert checks.status(held) == ("passed", ())
    for doubts in (("plausible",), ("certain",), ("pace",), ("certain", "pace", "plausible")):
        assert checks.status(held | dict.fromkeys(doubts, "doubted")) == ("quarantined", doubts)
    assert checks.status({**held, "order": "moved", "plausible": "40 %"}) == ("failed", ("order", "plausible"))


@pytest.mark.parametrize("left_out", checks.CHECKS)
def test_a_check_that_was_not_made_has_not_held(left_out: str) -> None:
    held = {name: OK for name in checks.CHECKS if name != left_out}
    assert checks.status(held)[1] == (left_out,)


def test_a_run_without_a_number_is_not_among_the_scored_and_believed_by_no_check() -> None:
    failed = replace(RUN, status="crash", metric=None)
    assert checks.scored_runs([failed]) == []
    assert checks.check_claim(checks.scored_run(failed).metric, None, 2.0) == "nan is no number above zero"


def test_what_the_record_keeps_are_finite_numbers_alone() -> None:
    report = ScoreReport(metrics={"val": 1.9, "held": float("inf")})
    winner, base = several(1.8, 2.0)
    kept = checks.numbers(winner, base, report, ScoreReport(metrics={"val": 2.1}))
    assert kept == {"claimed": 1.8, "baseline": 2.0, "audited": 1.9, "baseline_audited": 2.1}


def test_the_same_number_of_two_seeds_is_a_seed_of_the_scripts_own() -> None:
    runs = [
        ScoredRun(replace(RUN, seed=seed, metric=metric), metric) for seed, metric in ((0, 1.0), (1, 1.1), (2, 1.0))
    ]
    assert checks.check_seeds(runs) == "seeds 0 and 2 have the same 1.000000"
    assert checks.check_seeds(runs[:2]) == OK
    assert checks.check_seeds([runs[0], runs[0]]) == OK  # one seed, run again

"""The audit's judgement: the second held-out set, the clock, what is too good to be true."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audit import checks
from agent.core.records import RunRecord
from agent.core.runs import Result
from tests.store.test_ledger import RUN

SIZES = np.full(100, 1000)
BUDGETS = {"wall": "20s", "calibrated": "20s", "steps": "100steps", "tokens": "2Mtok"}


def losses(bpb: float, noise: float = 0.01, seed: int = 0) -> checks.Losses:
    """What 100 documents cost at `bpb`, with noise of its own."""
    rng = np.random.default_rng(seed)
    return checks.Losses(np.log(2) * SIZES * (bpb + noise * rng.standard_normal(100)), SIZES)


def scored(val: float, held: float, noise: float = 0.01, seed: int = 0) -> checks.ScoreReport:
    """A checkpoint that costs so much on either set."""
    return checks.ScoreReport(val=losses(val, noise, seed), held=losses(held, noise, seed + 100))


def run(
    *, training: float = 20.0, seconds: float = 25.0, steps: int = 100, clock: str = "calibrated", tokens: float = 2.0
) -> RunRecord:
    """A run on a clock of BUDGETS; on those in seconds or steps the harness gave it its steps or its end."""
    told = {"training_seconds": training, "num_steps": float(steps), "total_tokens_M": tokens}
    named = "steps" if clock == "tokens" else clock
    conditions = replace(RUN.conditions, clock=named, budget=BUDGETS[clock])  # type: ignore[arg-type]
    given = steps if clock in ("calibrated", "steps") else None
    return replace(RUN, metrics=told, seconds=seconds, conditions=conditions, steps=given)


@pytest.mark.parametrize("gain", [0.001, 0.02, 0.2])
def test_a_gain_that_the_second_set_shows_is_confirmed(gain: float) -> None:
    assert checks.check_holdout(scored(2.0 - gain, 2.1 - gain), scored(2.0, 2.1)) == checks.OK


@pytest.mark.parametrize(("gain", "reads", "holds"), [(0.002, 1, False), (0.004, 1, True), (0.004, 99, False)])
def test_a_gain_is_certain_where_the_second_set_tells_it_from_none_and_must_be_larger_the_oftener_it_is_read(
    gain: float, reads: int, holds: bool
) -> None:
    mine, theirs = scored(1.9, 2.1 - gain), scored(2.0, 2.1, seed=1)  # the error of the difference is 0.0014
    assert (checks.check_significance(mine, theirs, reads) == checks.OK) == holds


@pytest.mark.parametrize("forged", [0.0, 0.01, 0.04])
def test_no_gain_passes_for_one_in_more_than_its_share_of_cases(forged: float) -> None:
    """Whatever is forged on the validation set: with a second set that errs by 0.01, four errors of it as well."""
    passed = 0
    for seed in range(2000):
        mine = scored(2.0 - forged, 2.0, noise=0.1, seed=2 * seed)
        passed += checks.check_significance(mine, scored(2.0, 2.0, noise=0.1, seed=2 * seed + 1), 1) == checks.OK
    assert passed <= 1.4 * checks.HOLDOUT_ALPHA * 2000


def test_of_a_single_piece_nothing_is_certain() -> None:
    mine, theirs = (checks.ScoreReport(held=checks.Losses(np.array([nats]), np.array([9.0]))) for nats in (1.0, 2.0))
    assert "cannot tell" in checks.check_significance(mine, theirs, 1)


@pytest.mark.parametrize("on_second", [0.0, -0.02, 0.01])
def test_a_gain_that_the_second_set_does_not_show_is_refused(on_second: float) -> None:
    found = checks.check_holdout(scored(1.8, 2.0 - on_second, noise=0.001), scored(2.0, 2.0, noise=0.001, seed=1))
    assert " on the validation set is " in found


def test_the_gain_to_confirm_is_the_audited_one_of_the_same_documents() -> None:
    """Both claims are left out of it: a winner that claims little has as much to confirm as was found."""
    mine, theirs = replace(scored(1.8, 2.0), metrics={"val_bpb": 1.999}), scored(2.0, 2.0)
    assert checks.check_holdout(mine, theirs).startswith("a gain of 0.2000")


def test_one_document_known_by_heart_does_not_excuse_the_second_set() -> None:
    """It makes the first set's gain as uncertain as it is large; only the second set's error counts."""
    val = losses(2.0, noise=0.0)
    val.nats[0] = 0.0
    mine = checks.ScoreReport(val=val, held=losses(1.9999, noise=0.0))
    assert "on the validation set is 0.0001" in checks.check_holdout(mine, scored(2.0, 2.0, noise=0.0))


def test_checkpoints_that_scored_other_documents_are_not_compared() -> None:
    fewer, mine, theirs = checks.Losses(np.ones(3), np.ones(3)), scored(1.9, 1.9), scored(2.0, 2.0)
    for other in (checks.ScoreReport(), replace(mine, val=fewer), replace(mine, held=fewer)):
        assert "could not be compared" in checks.check_holdout(other, theirs)


@given(value=st.floats(1.0, 3.0), baseline=st.floats(1.0, 3.0))
def test_only_a_finite_positive_number_that_is_no_miracle_is_plausible(value: float, baseline: float) -> None:
    told = checks.check_claim(value, value, baseline)
    assert (told == checks.OK) == (value >= (1 - checks.IMPLAUSIBLE) * baseline)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_number_of_bits_is_not_plausible(value: float) -> None:
    assert checks.check_claim(value, None, 2.0) != checks.OK
    assert checks.check_claim(2.0, value, 2.0) != checks.OK


# --- the clock --------------------------------------------------------------------------------------------

CLOCKS = sorted(BUDGETS)


def timing(*winner: RunRecord, base: Sequence[RunRecord] = (), **more: object) -> checks.Timing:
    told = winner[0].conditions
    clock = "tokens" if told.budget == BUDGETS["tokens"] else told.clock
    return checks.Timing(winner, base or [run(clock=clock)], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("clock", CLOCKS)
def test_runs_like_the_baselines_keep_the_clock(clock: str) -> None:
    usual = [run(clock=clock), run(training=21.0, seconds=26.5, clock=clock)]
    assert checks.check_time(timing(*usual, base=usual)) == checks.OK


def counted(cpu_s: float, profile: str = "mini", **told: float) -> RunRecord:
    one = run(clock="steps", **told)  # type: ignore[arg-type]
    return replace(one, cpu_s=cpu_s, conditions=replace(one.conditions, profile=profile))  # type: ignore[arg-type]


def test_a_run_that_others_slowed_down_did_no_more_work_by_the_processors_seconds() -> None:
    slow = {"training": 90.0, "seconds": 150.0}
    base = [counted(50.0)]
    assert checks.check_time(timing(counted(60.0, **slow), base=base)) == checks.OK
    for more in (counted(80.0, **slow), counted(0.0, **slow), counted(60.0, profile="full", **slow)):
        like = [replace(base[0], conditions=more.conditions)]
        assert "its runs take 60.0 s beside their training" in checks.check_time(timing(more, base=like))
    assert "its runs take" in checks.check_time(timing(counted(60.0, **slow), base=[run(clock="steps")]))


def test_fewer_processor_seconds_do_not_excuse_steps_that_were_not_given() -> None:
    assert "it was given 100 steps" in checks.check_time(
        timing(replace(counted(50.0), metrics={**counted(50.0).metrics, "num_steps": 200.0}), base=[counted(50.0)])
    )


@pytest.mark.parametrize("clock", CLOCKS)
def test_work_beside_the_training_is_told_by_the_harness_own_clock(clock: str) -> None:
    base = [run(clock=clock)]
    warm = [run(seconds=45.0, clock=clock), run(seconds=46.0, clock=clock)]
    assert "25.0 s beside their training, the baseline's 5.0 s" in checks.check_time(timing(*warm, base=base))
    assert checks.check_time(timing(run(seconds=45.0, clock=clock), *base, base=base)) == checks.OK  # no pattern


def test_one_slow_run_of_the_baselines_gives_nobody_room() -> None:
    base = [run(), run(seconds=80.0), run()]
    assert "the baseline's 5.0 s" in checks.check_time(timing(run(seconds=45.0), base=base))


def test_a_compilation_in_each_run_is_given_room_once_its_seconds_are_known() -> None:
    cold = timing(run(seconds=70.0), base=[run()])
    assert checks.check_overhead(cold) != checks.OK
    assert checks.check_time(replace(cold, compilation=45.0)) == checks.OK
    assert "the baseline's 5.0 s and 20.0 s to compile" in checks.check_time(replace(cold, compilation=20.0))


@pytest.mark.parametrize("clock", ["steps", "tokens"])
def test_without_a_budget_in_seconds_training_may_take_what_its_flops_take(clock: str) -> None:
    long = run(training=100.0, seconds=105.0, clock=clock)
    assert "its training takes 100.0 s, where 60.0 s are the most" in checks.check_time(timing(long))
    assert checks.check_time(timing(long, flops=2.0)) == checks.OK
    assert checks.check_time(timing(long, flops=2.0, written=True)) == checks.OK
    longer = run(training=130.0, seconds=135.0, clock=clock)
    assert checks.check_time(timing(longer, flops=4.0)) == checks.OK
    assert "where 120.0 s are" in checks.check_time(timing(longer, flops=4.0, written=True))  # its word for it


def test_a_larger_batch_may_take_longer_for_a_step_and_not_for_a_token() -> None:
    large = run(training=80.0, seconds=85.0, clock="steps", tokens=8.0)
    assert checks.check_time(timing(large)) == checks.OK
    more = run(training=80.0, seconds=85.0, clock="tokens", tokens=2.0, steps=25)
    assert "where 60.0 s are the most" in checks.check_time(timing(more))


@pytest.mark.parametrize("told", [1.9, 2.1, 8.0])
def test_tokens_that_were_not_given_are_told(told: float) -> None:
    found = checks.check_time(timing(run(clock="tokens", tokens=told)))
    assert found == f"it was given 2 million tokens and tells of {told:g}"
    assert checks.check_time(timing(run(clock="tokens", tokens=2.019))) == checks.OK  # the last step goes beyond


def test_steps_that_were_not_given_are_told() -> None:
    slow = replace(run(), metrics={"training_seconds": 20.0, "num_steps": 33.0})
    assert checks.check_time(timing(slow)) == "it was given 100 steps and tells of 33"


def limit(timed: checks.Timing) -> float:
    """What the docstring of checks.clock promises, for runs of 20 seconds like the baseline's: seconds of a process."""
    base, typical = timed.baseline[0], timed.typical
    budget = {"wall": 22.0, "calibrated": 2 * 20.0 * min(2.0, max(1.0, base.metrics["training_seconds"] / 20.0))}
    ratio = min(timed.flops, 2.0) if timed.written else timed.flops
    unprobed = 3 * base.metrics["training_seconds"] * max(1.0, ratio)
    rest = base.seconds - base.metrics["training_seconds"]
    room = 1.5 * (rest + timed.compilation) * max(1.0, ratio) + 2.0 + 0.02 * typical.seconds
    return budget.get(typical.conditions.clock, unprobed) + room


@pytest.mark.parametrize("clock", CLOCKS)
@given(
    claims=st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(1.0, 1e3)), min_size=1, max_size=4),
    training=st.floats(10.0, 100.0),
    rest=st.floats(0.0, 60.0),
    flops=st.floats(0.5, 8.0),
    written=st.booleans(),
    compilation=st.floats(0.0, 60.0),
)
def test_whatever_a_run_says_of_itself_its_process_took_no_longer_than_is_promised(
    clock: str,
    claims: list[tuple[float, float]],
    training: float,
    rest: float,
    flops: float,
    written: bool,
    compilation: float,
) -> None:
    training = min(training, 21.0) if clock == "wall" else training  # there the baseline's claim has a bound as well
    base = [run(training=training, seconds=training + rest, clock=clock)]
    winner = [run(training=told, seconds=took, clock=clock) for told, took in claims]
    timed = checks.Timing(winner, base, flops, written, compilation)
    if checks.check_time(timed) == checks.OK:
        assert timed.typical.seconds <= limit(timed) + 1e-6
        assert sum(one.seconds <= limit(timed) + 1e-6 for one in winner) >= len(winner) / 2
    honest = [run(training=training, seconds=training + rest, clock=clock)] * len(claims)
    assert clock == "calibrated" or checks.check_time(checks.Timing(honest, base, flops, written)) == checks.OK


@pytest.mark.parametrize(("usual", "most"), [(15.0, 40.0), (20.0, 40.0), (30.0, 60.0), (500.0, 80.0)])
def test_a_calibrated_run_takes_its_budget_twice_at_most_and_what_disturbed_the_baseline_as_well(
    usual: float, most: float
) -> None:
    base = [run(training=usual, seconds=usual + 5.0)]
    for training, holds in ((most - 0.1, True), (most + 0.1, False)):
        found = checks.check_time(timing(run(training=training, seconds=training + 5.0), base=base))
        assert (found == checks.OK) == holds, found


@pytest.mark.parametrize(
    ("winner", "usual", "holds"),
    [
        ((21.0, 20.0, 22.0), (20.0,), True),
        ((38.0, 38.5, 39.0), (20.0,), False),  # its probes lied by 1.9
        ((39.0, 24.0, 39.0), (20.0,), True),  # others had the machine, but not all the time
        ((38.0, 39.0, 40.0), (31.0, 33.0, 20.0), True),  # and of the baseline's runs as well
        ((24.0, 24.0, 24.0), (10.0,), True),  # the budget is never too long
    ],
)
def test_on_the_calibrated_clock_a_winners_quickest_run_keeps_the_baselines_pace(
    winner: tuple[float, ...], usual: tuple[float, ...], holds: bool
) -> None:
    timed = [[run(training=told, seconds=told + 5.0) for told in group] for group in (winner, usual)]
    found = checks.check_pace(timing(*timed[0], base=timed[1]))
    assert (found == checks.OK) == holds, found
    assert checks.check_time(timing(*timed[0], base=timed[1])) == checks.OK


@pytest.mark.parametrize("clock", ["wall", "steps", "tokens"])
def test_other_clocks_know_no_pace(clock: str) -> None:
    assert checks.check_pace(timing(run(training=90.0, clock=clock))) == checks.OK


def test_where_there_is_no_gain_there_is_none_to_confirm() -> None:
    assert "there is no gain to confirm" in checks.check_holdout(scored(2.01, 1.9), scored(2.0, 2.0))


def several(*metrics: float) -> list[RunRecord]:
    return [replace(RUN, seed=seed, metric=metric) for seed, metric in enumerate(metrics)]


def test_any_run_of_a_winners_may_be_drawn_and_meets_the_baselines_of_its_own_rank() -> None:
    winner, base = several(1.3, 1.1, 1.2), several(2.2, 2.4, 2.3)
    pairs = [checks.draw_run(winner, base, f"lot {number}") for number in range(300)]
    found = Counter((mine.metric, usual.metric) for mine, usual in pairs)
    assert set(found) == {(1.1, 2.2), (1.2, 2.3), (1.3, 2.4)}
    assert min(found.values()) > 60
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
    found = checks.check_consistency(several(audited)[0], several(*others), groups)
    assert (found == checks.OK) == holds, found


def test_one_forged_run_of_three_is_scored_as_well_where_it_pays_and_an_honest_winners_seldom() -> None:
    rng = np.random.default_rng(0)
    looks = {0.0: 0, 0.04: 0, 0.08: 0}
    for gain in looks:
        for _ in range(2000):
            values = rng.normal(2.3, 0.01, 3)
            mine, base = several(values[0], values[1] - gain, values[2]), rng.normal(2.5, 0.01, 3).tolist()
            second = checks.outlier_run(mine[0], mine[1:], [base, *USUAL])
            assert second in (None, min(mine[1:], key=lambda one: one.metric or 0.0))
            looks[gain] += second is not None
    assert looks[0.0] <= 0.25 * 2000
    assert looks[0.04] >= 0.8 * 2000
    assert looks[0.08] >= 0.98 * 2000


def test_runs_that_differ_by_noise_alone_are_held_for_a_person_hardly_ever() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        mine, base = several(*rng.normal(2.3, 0.01, 3)), rng.normal(2.5, 0.01, 3).tolist()
        held += checks.check_consistency(mine[0], mine[1:], [base]) != checks.OK
    assert held <= 0.006 * 2000


def test_doubts_alone_are_for_a_person_and_anything_else_fails() -> None:
    held = dict.fromkeys(checks.CHECKS, checks.OK)
    assert checks.status(held) == ("passed", ())
    for doubts in (("plausible",), ("certain",), ("pace",), ("certain", "pace", "plausible")):
        assert checks.status(held | dict.fromkeys(doubts, "doubted")) == ("quarantined", doubts)
    assert checks.status({**held, "order": "moved", "plausible": "40 %"}) == ("failed", ("order", "plausible"))


@pytest.mark.parametrize("left_out", checks.CHECKS)
def test_a_check_that_was_not_made_has_not_held(left_out: str) -> None:
    held = {name: checks.OK for name in checks.CHECKS if name != left_out}
    assert checks.status(held)[1] == (left_out,)


def test_an_audit_that_crashed_fails_its_checkpoint(tmp_path: Path) -> None:
    found = checks.read_report(Result("timeout", reason="killed after 60 s"), tmp_path)
    assert found.checks == {"checkpoint": "the audit ended with timeout: killed after 60 s"}

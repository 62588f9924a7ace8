"""The audit's judgement: the second held-out set, the clock, what is too good to be true."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import checks
from agent.core import Result, RunRecord
from tests.test_ledger import RUN

SIZES = np.full(100, 1000)


def losses(bpb: float, noise: float = 0.01, seed: int = 0) -> checks.Losses:
    """What 100 documents cost at `bpb`, with noise of its own."""
    rng = np.random.default_rng(seed)
    return checks.Losses(np.log(2) * SIZES * (bpb + noise * rng.standard_normal(100)), SIZES)


def scored(val: float, held: float, noise: float = 0.01, seed: int = 0) -> checks.Scored:
    """A checkpoint that costs so much on either set."""
    return checks.Scored(val=losses(val, noise, seed), held=losses(held, noise, seed + 100))


def run(*, training: float = 20.0, seconds: float = 25.0, steps: int = 100, clock: str = "calibrated") -> RunRecord:
    told = {"training_seconds": training, "num_steps": float(steps), "total_tokens_M": 2.0}
    conditions = replace(RUN.conditions, clock=clock, budget="20s")  # type: ignore[arg-type]
    return replace(RUN, metrics=told, seconds=seconds, conditions=conditions, steps=steps)


@pytest.mark.parametrize("gain", [0.001, 0.02, 0.2])
def test_a_gain_that_the_second_set_shows_is_confirmed(gain: float) -> None:
    assert checks.held_out(scored(2.0 - gain, 2.1 - gain), scored(2.0, 2.1)) == checks.OK


@pytest.mark.parametrize("on_second", [0.0, -0.02, 0.01])
def test_a_gain_that_the_second_set_does_not_show_is_refused(on_second: float) -> None:
    found = checks.held_out(scored(1.8, 2.0 - on_second, noise=0.001), scored(2.0, 2.0, noise=0.001, seed=1))
    assert " on the validation set is " in found


def test_the_gain_to_confirm_is_the_audited_one_of_the_same_documents() -> None:
    """Both claims are left out of it: a winner that claims little has as much to confirm as was found."""
    mine, theirs = replace(scored(1.8, 2.0), metrics={"val_bpb": 1.999}), scored(2.0, 2.0)
    assert checks.held_out(mine, theirs).startswith("a gain of 0.2000")


def test_one_document_known_by_heart_does_not_excuse_the_second_set() -> None:
    """It makes the first set's gain as uncertain as it is large; only the second set's error counts."""
    val = losses(2.0, noise=0.0)
    val.nats[0] = 0.0
    mine = checks.Scored(val=val, held=losses(1.9999, noise=0.0))
    assert "on the validation set is 0.0001" in checks.held_out(mine, scored(2.0, 2.0, noise=0.0))


def test_checkpoints_that_scored_other_documents_are_not_compared() -> None:
    fewer, mine, theirs = checks.Losses(np.ones(3), np.ones(3)), scored(1.9, 1.9), scored(2.0, 2.0)
    for other in (checks.Scored(), replace(mine, val=fewer), replace(mine, held=fewer)):
        assert "could not be compared" in checks.held_out(other, theirs)


@given(value=st.floats(1.0, 3.0), baseline=st.floats(1.0, 3.0))
def test_only_a_finite_positive_number_that_is_no_miracle_is_plausible(value: float, baseline: float) -> None:
    told = checks.plausible(value, value, baseline)
    assert (told == checks.OK) == (value >= (1 - checks.IMPLAUSIBLE) * baseline)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_number_of_bits_is_not_plausible(value: float) -> None:
    assert checks.plausible(value, None, 2.0) != checks.OK
    assert checks.plausible(2.0, value, 2.0) != checks.OK


def test_runs_like_the_baselines_keep_the_clock() -> None:
    usual = [run(), run(training=21.0, seconds=26.5)]
    assert checks.clock(usual, usual, {"winner": 0.2, "baseline": 0.2}, 1.0) == checks.OK
    assert checks.clock(usual, usual, {}, 1.0) == checks.OK


def test_work_beside_the_training_is_told_by_the_harness_own_clock() -> None:
    warm = [run(seconds=45.0), run(seconds=46.0)]
    assert "beside their training" in checks.clock(warm, [run()], {}, 1.0)
    assert checks.clock([run(seconds=45.0), run()], [run()], {}, 1.0) == checks.OK  # one slow start is no pattern


def test_a_run_cannot_call_its_own_overtime_training() -> None:
    long = run(training=60.0, seconds=65.0, clock="wall")
    assert "beside their training" in checks.clock([long], [run(clock="wall")], {}, 1.0)


def test_steps_that_do_more_than_was_probed_are_told() -> None:
    busy = [run(training=60.0, seconds=65.0)]
    assert "a step takes 0.6 s" in checks.clock(busy, [run()], {"winner": 0.2, "baseline": 0.2}, 1.0)
    assert checks.clock(busy, busy, {"winner": 0.2, "baseline": 0.2}, 1.0) == checks.OK  # so did the baseline's


def test_without_probes_a_step_may_take_what_its_flops_take() -> None:
    steps = [run(training=80.0, seconds=85.0, clock="steps")]
    base = [run(clock="steps")]
    assert "a million tokens takes 40 s" in checks.clock(steps, base, {}, 1.0)
    assert checks.clock(steps, base, {}, 2.0) == checks.OK


def test_a_larger_batch_may_take_longer_for_a_step() -> None:
    told = {"training_seconds": 80.0, "num_steps": 100.0, "total_tokens_M": 8.0}
    large = replace(run(seconds=85.0, clock="steps"), metrics=told)
    assert checks.clock([large], [run(clock="steps")], {}, 1.0) == checks.OK


def test_where_there_is_no_gain_there_is_none_to_confirm() -> None:
    assert "there is no gain to confirm" in checks.held_out(scored(2.01, 1.9), scored(2.0, 2.0))


def test_the_middle_run_stands_for_all() -> None:
    runs = [replace(RUN, metric=value) for value in (2.3, 2.1, 2.2, 2.4)]
    assert checks.middle(runs).metric == 2.2
    assert checks.middle(runs[:1]).metric == 2.3


def test_an_implausible_number_alone_is_for_a_person_and_anything_else_fails() -> None:
    held = dict.fromkeys(checks.CHECKS, checks.OK)
    assert checks.status(held) == ("passed", ())
    assert checks.status({**held, "plausible": "40 %"}) == ("quarantined", ("plausible",))
    assert checks.status({**held, "order": "moved", "plausible": "40 %"}) == ("failed", ("order", "plausible"))


@pytest.mark.parametrize("left_out", checks.CHECKS)
def test_a_check_that_was_not_made_has_not_held(left_out: str) -> None:
    held = {name: checks.OK for name in checks.CHECKS if name != left_out}
    assert checks.status(held)[1] == (left_out,)


def test_an_audit_that_crashed_fails_its_checkpoint(tmp_path: Path) -> None:
    found = checks.read(Result("timeout", reason="killed after 60 s"), tmp_path)
    assert found.checks == {"checkpoint": "the audit ended with timeout: killed after 60 s"}


def test_steps_that_were_not_given_are_told() -> None:
    slow = replace(run(), metrics={"training_seconds": 20.0, "num_steps": 33.0})
    assert checks.clock([slow], [run()], {}, 1.0) == "it was given 100 steps and tells of 33"

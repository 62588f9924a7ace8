"""The audit's clock: all the work of a winner was inside its budget, whatever it says of itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audit.rules import OK
from agent.audit.timing import Timing, check_overhead, check_pace, check_time, seconds_ratio
from agent.core.experiment import Budget, Profile
from agent.core.records import RunRecord
from tests.store.test_ledger import RUN

SECONDS = Budget("seconds", 20)
BUDGETS = {"wall": SECONDS, "calibrated": SECONDS, "steps": Budget("steps", 100), "tokens": Budget("tokens", 2e6)}


def run(
    *, training: float = 20.0, seconds: float = 25.0, steps: int = 100, clock: str = "calibrated", tokens: float = 2.0
) -> RunRecord:
    """A run on a clock of BUDGETS; on those in seconds or steps the harness gave it its steps or its end."""
    metrics = {"training_seconds": training, "num_steps": float(steps), "total_tokens_M": tokens}
    named = "steps" if clock == "tokens" else clock
    conditions = replace(RUN.conditions, clock=named, budget=BUDGETS[clock])  # type: ignore[arg-type]
    given = steps if clock in ("calibrated", "steps") else None
    return replace(RUN, metrics=metrics, seconds=seconds, conditions=conditions, steps=given)


# --- the clock --------------------------------------------------------------------------------------------

CLOCKS = sorted(BUDGETS)


def timing(*winner: RunRecord, base: Sequence[RunRecord] = (), **more: object) -> Timing:
    conditions = winner[0].conditions
    clock = "tokens" if conditions.budget == BUDGETS["tokens"] else conditions.clock
    return Timing(winner, base or [run(clock=clock)], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("clock", CLOCKS)
def test_runs_like_the_baselines_keep_the_clock(clock: str) -> None:
    usual = [run(clock=clock), run(training=21.0, seconds=26.5, clock=clock)]
    assert check_time(timing(*usual, base=usual)) == OK


def counted(cpu_s: float, profile: Profile = "mini", *, training: float = 20.0, seconds: float = 25.0) -> RunRecord:
    one = run(clock="steps", training=training, seconds=seconds)
    return replace(one, cpu_s=cpu_s, conditions=replace(one.conditions, profile=profile))


def test_a_run_that_others_slowed_down_did_no_more_work_by_the_processors_seconds() -> None:
    slow: Any = {"training": 90.0, "seconds": 150.0}
    base = [counted(50.0)]
    assert check_time(timing(counted(60.0, **slow), base=base)) == OK
    for more in (counted(80.0, **slow), counted(0.0, **slow), counted(60.0, profile="full", **slow)):
        like = [replace(base[0], conditions=more.conditions)]
        assert "its runs take 60.0 s beside their training" in check_time(timing(more, base=like))
    assert "its runs take" in check_time(timing(counted(60.0, **slow), base=[run(clock="steps")]))


def test_fewer_processor_seconds_do_not_excuse_steps_that_were_not_given() -> None:
    assert "it was given 100 steps" in check_time(
        timing(replace(counted(50.0), metrics={**counted(50.0).metrics, "num_steps": 200.0}), base=[counted(50.0)])
    )


@pytest.mark.parametrize("clock", CLOCKS)
def test_work_beside_the_training_is_measured_by_the_harness_own_clock(clock: str) -> None:
    base = [run(clock=clock)]
    warm = [run(seconds=45.0, clock=clock), run(seconds=46.0, clock=clock)]
    assert "25.0 s beside their training, the baseline's 5.0 s" in check_time(timing(*warm, base=base))
    assert check_time(timing(run(seconds=45.0, clock=clock), *base, base=base)) == OK  # no pattern


def test_one_slow_run_of_the_baselines_gives_nobody_room() -> None:
    base = [run(), run(seconds=80.0), run()]
    assert "the baseline's 5.0 s" in check_time(timing(run(seconds=45.0), base=base))


def test_a_compilation_in_each_run_is_given_room_once_its_seconds_are_known() -> None:
    cold = timing(run(seconds=70.0), base=[run()])
    assert check_overhead(cold) != OK
    assert check_time(replace(cold, compile_s=45.0)) == OK
    assert "the baseline's 5.0 s and 20.0 s to compile" in check_time(replace(cold, compile_s=20.0))


@pytest.mark.parametrize("clock", ["steps", "tokens"])
def test_without_a_budget_in_seconds_training_may_take_what_its_flops_take(clock: str) -> None:
    long = run(training=100.0, seconds=105.0, clock=clock)
    assert "its training takes 100.0 s, where 60.0 s are the most" in check_time(timing(long))
    assert check_time(timing(long, token_ratio=2.0)) == OK
    assert check_time(timing(long, token_ratio=2.0, has_model_code=True)) == OK
    longer = run(training=130.0, seconds=135.0, clock=clock)
    assert check_time(timing(longer, token_ratio=4.0)) == OK
    assert "where 120.0 s are" in check_time(timing(longer, token_ratio=4.0, has_model_code=True))  # its word for it


def test_a_larger_batch_may_take_longer_for_a_step_and_not_for_a_token() -> None:
    large = run(training=80.0, seconds=85.0, clock="steps", tokens=8.0)
    assert check_time(timing(large)) == OK
    more = run(training=80.0, seconds=85.0, clock="tokens", tokens=2.0, steps=25)
    assert "where 60.0 s are the most" in check_time(timing(more))


@pytest.mark.parametrize("trained", [1.9, 2.1, 8.0])
def test_tokens_that_were_not_given_are_noticed(trained: float) -> None:
    finding = check_time(timing(run(clock="tokens", tokens=trained)))
    assert finding == f"it was given 2 million tokens and took {trained:g}"
    assert check_time(timing(run(clock="tokens", tokens=2.019))) == OK  # the last step goes beyond


def test_steps_that_were_not_given_are_noticed_and_a_script_may_end_before_them() -> None:
    more, fewer = (replace(run(), metrics={"training_seconds": 20.0, "num_steps": steps}) for steps in (133.0, 33.0))
    assert check_time(timing(more)) == "it was given 100 steps and took 133"
    assert check_time(timing(fewer)) == OK


def test_where_no_shape_is_known_the_work_is_what_the_runs_say_that_a_token_takes() -> None:
    slow, quick = (replace(run(), metrics={"tokens_per_second": speed}) for speed in (100.0, 400.0))
    assert seconds_ratio([slow], [quick, quick]) == 4.0
    assert seconds_ratio([run()], [quick]) == 1.0


def limit(timed: Timing) -> float:
    """What docs/audit.md promises, for budgets of 20 seconds like the baseline's: seconds of a process."""
    base, typical = timed.baseline[0], timed.typical
    budget = {"wall": 22.0, "calibrated": 2 * 20.0 * min(2.0, max(1.0, base.metrics["training_seconds"] / 20.0))}
    ratio = min(timed.token_ratio, 2.0) if timed.has_model_code else timed.token_ratio
    unprobed = 3 * base.metrics["training_seconds"] * max(1.0, ratio)
    rest = base.seconds - base.metrics["training_seconds"]
    room = 1.5 * (rest + timed.compile_s) * max(1.0, ratio) + 2.0 + 0.02 * typical.seconds
    return budget.get(typical.conditions.clock, unprobed) + room


@pytest.mark.parametrize("clock", CLOCKS)
@given(
    claims=st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(1.0, 1e3)), min_size=1, max_size=4),
    training=st.floats(10.0, 100.0),
    rest=st.floats(0.0, 60.0),
    flops=st.floats(0.5, 8.0),
    has_model_code=st.booleans(),
    compile_s=st.floats(0.0, 60.0),
)
def test_whatever_a_run_says_of_itself_its_process_took_no_longer_than_is_promised(
    clock: str,
    claims: list[tuple[float, float]],
    training: float,
    rest: float,
    flops: float,
    has_model_code: bool,
    compile_s: float,
) -> None:
    training = min(training, 21.0) if clock == "wall" else training  # there the baseline's claim has a bound as well
    base = [run(training=training, seconds=training + rest, clock=clock)]
    winner = [run(training=training, seconds=seconds, clock=clock) for training, seconds in claims]
    timed = Timing(winner, base, flops, has_model_code, compile_s)
    if check_time(timed) == OK:
        assert timed.typical.seconds <= limit(timed) + 1e-6
        assert sum(one.seconds <= limit(timed) + 1e-6 for one in winner) >= len(winner) / 2
    honest = [run(training=training, seconds=training + rest, clock=clock)] * len(claims)
    assert clock == "calibrated" or check_time(Timing(honest, base, flops, has_model_code)) == OK


@pytest.mark.parametrize(("usual", "most"), [(15.0, 40.0), (20.0, 40.0), (30.0, 60.0), (500.0, 80.0)])
def test_a_calibrated_run_takes_its_budget_twice_at_most_and_what_disturbed_the_baseline_as_well(
    usual: float, most: float
) -> None:
    base = [run(training=usual, seconds=usual + 5.0)]
    for training, holds in ((most - 0.1, True), (most + 0.1, False)):
        finding = check_time(timing(run(training=training, seconds=training + 5.0), base=base))
        assert (finding == OK) == holds, finding


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
    timed = [[run(training=training, seconds=training + 5.0) for training in group] for group in (winner, usual)]
    finding = check_pace(timing(*timed[0], base=timed[1]))
    assert (finding == OK) == holds, finding
    assert check_time(timing(*timed[0], base=timed[1])) == OK


@pytest.mark.parametrize("clock", ["wall", "steps", "tokens"])
def test_other_clocks_know_no_pace(clock: str) -> None:
    assert check_pace(timing(run(training=90.0, clock=clock))) == OK


@pytest.mark.parametrize(
    ("charged", "held"), [(100.0, True), (101.0, True), (115.0, True), (40.0, True), (116.0, False), (180.0, False)]
)
def test_backward_passes_are_what_a_budget_in_steps_is_charged_for(charged: float, held: bool) -> None:
    """Two passes for each step make half as many steps; a run that has taken more than it was given is refused."""
    metrics = {"training_seconds": 20.0, "num_steps": 50.0, "total_tokens_M": 1.0, "charged_steps": charged}
    assert (check_time(timing(replace(run(clock="steps"), metrics=metrics))) == OK) is held


def test_what_others_excuse_has_a_bound() -> None:
    far: Any = {"training": 200.0, "seconds": 300.0}
    assert check_time(timing(counted(50.0, **far), base=[counted(50.0)])) != OK

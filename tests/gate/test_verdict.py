"""The gate asks for what it needs, says what the numbers say, and promotes noise no more often than it promises."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from statistics import mean

import pytest
import scipy  # which loads what is used, where it is used
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.core.experiment import BASELINE, GateRules
from agent.core.runs import Role, Verdict
from agent.gate.history import Measurement, contended
from agent.gate.results import GateResult
from agent.gate.schedule import ScheduledRun, next_runs, plan_size
from agent.gate.stats import pool, spread
from agent.gate.verdict import alpha_now, judge

RULES = GateRules(kind="fixed", baseline_runs=3, confirm_runs=3)
LOWEST = GateRules(kind="lowest")
ORDER = ("1D", "1C", "1A", "1B")

Measure = Callable[[ScheduledRun], Measurement]


def saw(request: ScheduledRun, value: float | None, slow: bool = False) -> Measurement:
    """The request, run."""
    return Measurement(request.variant, request.seed, request.role, value, slow)


def base(*values: float | None, role: Role = "baseline", start: int = 0) -> list[Measurement]:
    """Baseline runs on consecutive seeds."""
    return [Measurement(BASELINE, start + i, role, value) for i, value in enumerate(values)]


def screens(**values: float | None) -> list[Measurement]:
    """Screening runs on seed 0; 'A1' stands for 1A."""
    return [Measurement(name[::-1], 0, "screen", value) for name, value in values.items()]


def confirms(name: str, *values: float | None, start: int = 3) -> list[Measurement]:
    """Confirmations on consecutive seeds."""
    return [Measurement(name, start + i, "confirm", value) for i, value in enumerate(values)]


def asked(seen: Sequence[Measurement], rules: GateRules = RULES, order: Sequence[str] = ORDER) -> list[tuple[str, int]]:
    """What the gate asks for, as variant and seed."""
    return [(request.variant, request.seed) for request in next_runs(rules, order, seen)]


def campaign(rules: GateRules, order: Sequence[str], measure: Measure, at_once: int | None = None) -> list[Measurement]:
    """Do what the gate asks for, `at_once` runs at a time (all when None), until it asks for nothing."""
    seen: list[Measurement] = []
    while wanted := next_runs(rules, order, seen):
        seen += [measure(request) for request in wanted[:at_once]]
        assert len(seen) < 1000, "the gate does not come to an end"
    return seen


def noisy(seed: int, failing: float = 0.0, slow: float = 0.0) -> Measure:
    """Normal noise that depends on the run alone, and runs that fail or are contended now and then."""
    contended_already: set[tuple[str, int]] = set()

    def measure(request: ScheduledRun) -> Measurement:
        key = (request.variant, request.seed)
        chance = random.Random(f"{seed} {key} {key in contended_already}")
        disturbed, value = chance.random() < slow, None if chance.random() < failing else chance.gauss(1.0, 0.1)
        if disturbed:
            contended_already.add(key)
        return saw(request, value, disturbed)

    return measure


def judged(rules: GateRules, values: Sequence[float], confirmations: Sequence[float], screen: float = -1e6) -> Verdict:
    """The verdict on one variant that led the screening."""
    screen = screen if rules.goal == "min" else -screen
    seen = [*base(*values), Measurement("1A", 0, "screen", screen), *confirms("1A", *confirmations, start=len(values))]
    return judge(rules, ["1A"], seen).verdict


def verdicts(judgement: GateResult) -> Iterator[Verdict]:
    yield judgement.verdict
    yield from judgement.variants


RUNS = st.lists(st.integers(-200, 200).map(lambda n: n / 64), min_size=2, max_size=5)
SCREENED = base(1.0, 1.1, 1.2) + screens(D1=0.9, C1=0.95, A1=1.3, B1=1.0)


# --- what to run next -------------------------------------------------------------------------------------


def test_a_campaign_goes_baseline_then_screens_on_its_first_seed_then_confirmations_on_fresh_seeds() -> None:
    assert asked([]) == [(BASELINE, 0), (BASELINE, 1), (BASELINE, 2)]
    assert asked(base(1.0, 1.1)) == [(BASELINE, 2)]
    assert asked(base(1.0, 1.1, 1.2)) == [(name, 0) for name in ORDER]
    assert asked(SCREENED) == [("1D", 3), ("1D", 4), ("1D", 5)]
    assert asked(SCREENED + confirms("1D", 0.9)) == [("1D", 4), ("1D", 5)]
    assert asked(SCREENED + confirms("1D", 0.9, 0.9, 0.9)) == []


def test_every_request_carries_its_role() -> None:
    roles = [{request.role for request in next_runs(RULES, ORDER, s)} for s in ([], base(1.0, 1.1, 1.2), SCREENED)]
    assert roles == [{"baseline"}, {"screen"}, {"confirm"}]


def test_where_more_is_better_the_highest_screen_leads() -> None:
    assert asked(SCREENED, replace(RULES, goal="max")) == [("1A", 3), ("1A", 4), ("1A", 5)]


def test_nothing_is_confirmed_when_nothing_beats_the_mean_of_the_baseline() -> None:
    assert asked(base(1.0, 1.1, 1.2) + screens(D1=1.1, C1=1.2, A1=1.3, B1=1.4)) == []


def test_confirmation_seeds_are_used_by_nobody_else() -> None:
    assert asked([*SCREENED, Measurement("1B", 4, "confirm", 1.0)]) == [("1D", 3), ("1D", 5), ("1D", 6)]


def test_the_screening_run_of_a_promoted_variant_is_no_evidence_for_the_next_baseline() -> None:
    promoted = [Measurement(BASELINE, 0, "screen", -9.0), *base(1.0, 1.1, 1.2, role="confirm", start=3)]
    assert asked(promoted) == [(name, 3) for name in ORDER]
    seen = promoted + [Measurement(name, 3, "screen", 0.0) for name in ORDER]
    assert asked(seen) == [("1D", 1), ("1D", 2), ("1D", 6)]
    settled = seen + [Measurement("1D", seed, "confirm", seed / 100) for seed in (1, 2, 6)]
    assert judge(RULES, ORDER, settled).verdict.gain == pytest.approx(1.1 - 0.03)


def test_a_baseline_that_was_only_screened_is_measured_on_other_seeds() -> None:
    assert asked(base(1.0, role="screen")) == [(BASELINE, 1), (BASELINE, 2), (BASELINE, 3)]


def test_a_variants_earlier_screening_run_on_another_seed_is_no_confirmation() -> None:
    earlier = [Measurement("1D", 7, "screen", -9.0)]
    assert asked(earlier + SCREENED) == [("1D", 3), ("1D", 4), ("1D", 5)]


def test_a_later_and_smaller_baseline_seed_does_not_move_the_screening_seed() -> None:
    seen = base(1.0, 1.1, 1.2, start=3) + [Measurement("1D", 3, "screen", 2.0), *base(1.0, start=0)]
    assert asked(seen) == [("1C", 3), ("1A", 3), ("1B", 3)]


def test_the_baseline_is_measured_again_after_every_ten_other_runs() -> None:
    order = [f"v{i}" for i in range(20)]
    told = asked(base(1.0, 1.1, 1.2), order=order)
    assert told == [(name, 0) for name in order[:10]] + [(BASELINE, 3)] + [(name, 0) for name in order[10:]]
    screened = [Measurement(name, 0, "screen", 0.5) for name in order]
    before = base(1.0, 1.1, 1.2) + screened[:10] + base(1.0, start=3) + screened[10:]
    assert asked(before, order=order) == [(BASELINE, 4)]
    assert asked(before + base(1.0, start=4), order=order) == [("v0", 5), ("v0", 6), ("v0", 7)]
    assert asked(before, replace(RULES, remeasure_every=0), order) == [("v0", 4), ("v0", 5), ("v0", 6)]


def test_lowest_runs_everything_once() -> None:
    assert asked([], LOWEST) == [(BASELINE, 0)]
    assert asked(base(1.0), LOWEST) == [(name, 0) for name in ORDER]
    assert asked(base(1.0) + screens(D1=0.9, C1=0.95, A1=1.3, B1=1.0), LOWEST) == []


def test_a_failed_baseline_run_ends_the_campaign() -> None:
    seen = base(1.0, None, 1.1)
    assert asked(seen) == []
    told = judge(RULES, ORDER, seen)
    assert (told.verdict.decision, told.verdict.variant) == ("failed", None)
    assert "seed 1 failed" in told.verdict.reason
    assert [verdict.decision for verdict in told.variants] == ["failed"] * 4


def test_a_variant_whose_screen_failed_is_out() -> None:
    seen = base(1.0, 1.1, 1.2) + screens(D1=None, C1=0.95, A1=1.3, B1=1.0)
    assert asked(seen) == [("1C", 3), ("1C", 4), ("1C", 5)]
    told = judge(RULES, ORDER, seen + confirms("1C", 0.9, 0.91, 0.92))
    assert (told.variants[0].decision, told.verdict.variant) == ("failed", "1C")


def test_after_a_failed_confirmation_the_next_best_is_confirmed() -> None:
    seen = SCREENED + confirms("1D", 0.9, None)
    assert asked(seen) == [("1C", 5), ("1C", 6), ("1C", 7)]
    told = judge(RULES, ORDER, seen + confirms("1C", 0.9, 0.91, 0.92, start=5))
    assert (told.verdict.decision, told.verdict.variant) == ("keep", "1C")
    assert told.variants[0].decision == "failed"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, -1.7e308])
def test_what_is_no_usable_number_is_a_failure(value: float | None) -> None:
    seen = base(1.0, 1.1, 1.2) + screens(D1=value, C1=value, A1=value, B1=value)
    verdict = judge(RULES, ORDER, seen).verdict
    assert (verdict.decision, verdict.variant) == ("failed", None)
    assert "every variant failed" in verdict.reason


def test_a_failed_probe_that_came_first_keeps_the_variant_from_running() -> None:
    seen = [Measurement("1D", 0, "screen", None), *base(1.0, 1.1, 1.2, role="confirm", start=4)]
    assert asked(seen) == [("1C", 4), ("1A", 4), ("1B", 4)]


def test_a_contended_run_is_asked_for_once_more_and_is_no_evidence() -> None:
    slow = [saw(ScheduledRun("1D", 0, "screen"), -9.0, slow=True)]
    assert asked(base(1.0, 1.1, 1.2) + slow) == [(name, 0) for name in ORDER]
    assert asked([saw(ScheduledRun(BASELINE, 1, "baseline"), 1.0, slow=True)]) == [
        (BASELINE, 1),
        (BASELINE, 0),
        (BASELINE, 2),
    ]
    slow_confirm = [saw(ScheduledRun("1D", 3, "confirm"), -9.0, slow=True)]
    assert asked(SCREENED + slow_confirm) == [("1D", 3), ("1D", 4), ("1D", 5)]


def test_contended_twice_counts_as_failed() -> None:
    slow = [saw(ScheduledRun("1D", 0, "screen"), 0.1, slow=True)] * 2
    seen = base(1.0, 1.1, 1.2) + slow + screens(C1=2.0, A1=2.0, B1=2.0)
    assert asked(seen) == []
    estimate = judge(RULES, ORDER, seen).variants[0]
    assert (estimate.decision, estimate.reason) == ("failed", "1D: the run on seed 0 was contended twice")
    again = [saw(ScheduledRun(BASELINE, 0, "baseline"), 0.1, slow=True)] * 2
    assert judge(RULES, ORDER, again).verdict.decision == "failed"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 25), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.2, 0.6]))
def test_every_campaign_ends_and_never_asks_for_a_run_that_it_has(
    seed: int, variants: int, failing: float, slow: float
) -> None:
    def measure(request: ScheduledRun) -> Measurement:
        before = [one for one in done if (one.variant, one.seed) == (request.variant, request.seed)]
        assert len(before) <= 1
        assert all(one.contended for one in before)
        done.append(inner(request))
        return done[-1]

    for kind in (RULES, LOWEST):
        done: list[Measurement] = []
        inner = noisy(seed, failing, slow)
        order = [f"v{i}" for i in range(variants)]
        assert campaign(kind, order, measure) == done
        assert len(judge(kind, order, done).variants) == variants


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 25), st.integers(1, 5))
def test_one_at_a_time_or_many_at_once_is_the_same_campaign(seed: int, variants: int, at_once: int) -> None:
    order = [f"v{i}" for i in range(variants)]
    assert campaign(RULES, order, noisy(seed), at_once) == campaign(RULES, order, noisy(seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 15), st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 0.3]))
def test_a_campaign_taken_up_at_any_point_asks_for_what_the_uninterrupted_one_did(
    seed: int, variants: int, failing: float, slow: float
) -> None:
    order = [f"v{i}" for i in range(variants)]
    whole = campaign(RULES, order, noisy(seed, failing, slow), at_once=1)
    for stop in range(len(whole)):
        request = next_runs(RULES, order, list(whole[:stop]))[0]
        assert (request.variant, request.seed, request.role) == (
            whole[stop].variant,
            whole[stop].seed,
            whole[stop].role,
        )


@pytest.mark.parametrize("variants", [1, 4, 9, 10, 11, 20, 35])
@pytest.mark.parametrize("rules", [RULES, LOWEST, replace(RULES, remeasure_every=3), replace(RULES, remeasure_every=0)])
def test_the_plan_counts_the_runs_of_a_campaign_in_which_all_goes_well(rules: GateRules, variants: int) -> None:
    order = [f"v{i}" for i in range(variants)]
    seen = campaign(rules, order, lambda r: saw(r, 1.0 if r.variant == BASELINE else 0.5))
    assert len(seen) == plan_size(rules, variants)


# --- what the numbers say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "values", "confirmations", "decision"),
    [
        (RULES, [1.00, 1.01, 1.02], [0.90, 0.91, 0.92], "keep"),
        (RULES, [1.00, 1.01, 1.02], [1.10, 1.11, 1.12], "discard"),
        (RULES, [1.00, 1.10, 1.20], [1.00, 1.05, 1.10], "inconclusive"),
        (replace(RULES, min_gain=0.2), [1.00, 1.01, 1.02], [0.90, 0.91, 0.92], "discard"),
        (replace(RULES, min_gain=0.11), [1.00, 1.01, 1.02], [0.90, 0.91, 0.92], "inconclusive"),
        (replace(RULES, min_gain=-1.0), [1.00, 1.01, 1.02], [1.01, 1.02, 1.03], "discard"),
        (replace(RULES, goal="max"), [1.00, 1.01, 1.02], [1.10, 1.11, 1.12], "keep"),
        (replace(RULES, goal="max"), [1.00, 1.01, 1.02], [0.90, 0.91, 0.92], "discard"),
        (replace(RULES, alpha=1e-6), [1.00, 1.01, 1.02], [0.90, 0.91, 0.92], "inconclusive"),
        (replace(RULES, alpha=0.9, min_gain=-1.0), [1.00, 1.01, 1.02], [1.01, 1.02, 1.03], "discard"),
        (RULES, [0.1, 0.1, 0.1], [0.1, 0.1, 0.1], "discard"),
        (RULES, [0.1, 0.1, 0.1], [0.0999, 0.0999, 0.0999], "keep"),
        (RULES, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], "discard"),
        (RULES, [1e300, -1e300, 1e300], [-1e300, -1e300, 1e300], "inconclusive"),
        (RULES, [3e-320, 3e-320, 2e-320], [1e-320, 1e-320, 0.0], "keep"),
    ],
)
def test_keep_discard_or_inconclusive(
    rules: GateRules, values: list[float], confirmations: list[float], decision: str
) -> None:
    assert judged(rules, values, confirmations, -math.nextafter(1e300, 0)).decision == decision


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e300, 1e300), st.integers(2, 9), st.integers(2, 9))
def test_a_script_that_always_gives_one_value_has_no_gain_at_all(value: float, runs: int, confirm_runs: int) -> None:
    rules = replace(RULES, baseline_runs=runs, confirm_runs=confirm_runs)
    verdict = judged(rules, [value] * runs, [value] * confirm_runs, -1e300)
    assert verdict.decision == "discard"
    assert verdict.gain in (None, 0.0)


def test_without_replicates_nothing_is_promoted_and_nothing_is_claimed() -> None:
    verdict = judged(replace(RULES, baseline_runs=1, confirm_runs=1), [1.0], [0.1])
    assert (verdict.decision, verdict.interval, verdict.p) == ("inconclusive", None, None)
    assert "replicates" in verdict.reason


@settings(max_examples=100, deadline=None)
@given(RUNS, RUNS)
def test_the_test_is_students_two_sample_t(values: list[float], confirmations: list[float]) -> None:
    assume(len({*values}) > 1 and len({*confirmations}) > 1)  # scipy warns of constant samples
    rules = replace(RULES, baseline_runs=len(values), confirm_runs=len(confirmations))
    verdict = judged(rules, values, confirmations)
    told = scipy.stats.ttest_ind(values, confirmations, equal_var=True, alternative="greater")
    assert verdict.p == pytest.approx(told.pvalue, rel=1e-9)
    both = scipy.stats.ttest_ind(values, confirmations, equal_var=True).confidence_interval(0.9)
    assert verdict.interval == pytest.approx((both.low, both.high), rel=1e-9, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(RUNS, RUNS)
def test_the_interval_is_above_zero_exactly_when_p_is_below_five_per_cent(
    values: list[float], confirmations: list[float]
) -> None:
    rules = replace(RULES, baseline_runs=len(values), confirm_runs=len(confirmations))
    verdict = judged(rules, values, confirmations)
    assert verdict.interval is not None
    assert verdict.p is not None
    assert (verdict.interval[0] > 0) == (verdict.p < 0.05)


def test_earlier_replicates_sharpen_sigma_by_the_pooled_variance() -> None:
    values, confirmations, groups = [1.0, 1.1, 1.3], [0.8, 0.9, 0.7], [[5.0, 5.3], [7.0, 7.1, 7.1, 7.3]]
    seen = [*base(*values), Measurement("1A", 0, "screen", 0.0), *confirms("1A", *confirmations)]
    squares = sum((v - mean(group)) ** 2 for group in (values, confirmations, *groups) for v in group)
    gain, error = mean(values) - mean(confirmations), math.sqrt(squares / 8 * (1 / 3 + 1 / 3))
    verdict = judge(RULES, ["1A"], seen, [dict(enumerate(one)) for one in (*groups, [4.0], [])]).verdict
    assert verdict.p == pytest.approx(scipy.stats.t(8).sf(gain / error))
    assert verdict.interval == pytest.approx(scipy.stats.t.interval(0.9, 8, gain, error))


def test_the_screening_run_has_no_part_in_the_verdict() -> None:
    values, confirmations = [1.0, 1.1, 1.2], [0.8, 0.9, 0.7]
    assert judged(RULES, values, confirmations, 0.9) == judged(RULES, values, confirmations, -9.0)


def test_every_variant_has_an_estimate_with_its_interval_and_n() -> None:
    told = judge(RULES, ORDER, SCREENED + confirms("1D", 0.8, 0.9, 1.0))
    assert [verdict.variant for verdict in told.variants] == list(ORDER)
    assert [verdict.n for verdict in told.variants] == [3, 1, 1, 1]
    assert [verdict.decision for verdict in told.variants] == ["keep", "inconclusive", "discard", "inconclusive"]
    assert [verdict.p is None for verdict in told.variants] == [False, True, True, True]
    assert told.variants[1].gain == pytest.approx(0.15)
    assert told.variants[1].interval == pytest.approx(scipy.stats.t.interval(0.9, 4, 0.15, 0.1 * math.sqrt(1 / 3 + 1)))
    assert told.verdict == told.variants[0]


def test_the_reason_publishes_the_mean_of_the_confirmations_and_never_the_screening_run() -> None:
    told = judge(
        RULES,
        ORDER,
        base(1.25, 1.26, 1.27) + screens(D1=1.1111) + screens(C1=2, A1=2, B1=2) + confirms("1D", 1.2, 1.21, 1.22),
    )
    assert told.verdict.reason == (
        "1D: mean of 3 confirmations 1.21 against baseline 1.26 (n=3): "
        "gain 0.05, 90 % interval 0.0326 to 0.0674, p=0.0018"
    )


def test_a_maximised_metric_is_shown_with_its_own_sign() -> None:
    verdict = judged(replace(RULES, goal="max"), [0.90, 0.91, 0.92], [0.95, 0.96, 0.97])
    assert "mean of 3 confirmations 0.96 against baseline 0.91" in verdict.reason
    assert verdict.gain == pytest.approx(0.05)


@pytest.mark.parametrize("gain", [0.14, 0.12, 0.1, 0.08])
def test_inconclusive_names_the_further_runs_that_would_settle_it(gain: float) -> None:
    values = [1.0, 1.1, 1.2]
    p = [scipy.stats.t(4 + 2 * more).sf(gain / (0.1 * math.sqrt(2 / (3 + more)))) for more in range(50)]
    later = alpha_now(replace(RULES, more=(1,)))
    expected = next((more for more in range(50) if p[more] <= later), 0)
    told = judged(RULES, values, [value - gain for value in values]).reason
    assert f"about {expected} further runs of each (--more {expected}) would settle it at this gain" in told


def test_all_looks_together_spend_no_more_than_alpha() -> None:
    levels = [alpha_now(replace(RULES, more=(1,) * looks)) for looks in range(60)]
    assert sum(levels) <= RULES.alpha
    assert levels == sorted(levels, reverse=True)


def settled(draw: random.Random, rules: GateRules, looks: int) -> bool:
    """Whether noise alone is promoted, where somebody asks for further runs as often as he may."""
    seen: list[Measurement] = []
    for more in range(looks + 1):
        now = replace(rules, more=(2,) * more)
        while wanted_runs := next_runs(now, ("A1",), seen):
            seen += [saw(one, draw.gauss(1, 0.1)) for one in wanted_runs]
        verdict = judge(now, ("A1",), seen).verdict
        if verdict.decision != "inconclusive":
            return verdict.decision == "keep"
    return False


def test_whoever_asks_for_further_runs_again_and_again_promotes_noise_no_more_often() -> None:
    draw, campaigns = random.Random(0), 1500
    promoted = sum(settled(draw, RULES, 3) for _ in range(campaigns))
    assert promoted / campaigns <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / campaigns)


def test_further_runs_are_of_the_leader_and_of_the_baseline_on_seeds_that_nobody_had() -> None:
    seen = base(1.0, 1.1, 1.2) + screens(D1=0.9, C1=1.2, A1=1.3, B1=1.4)
    seen += [Measurement("1D", seed, "confirm", value) for seed, value in ((3, 0.9), (4, 1.1), (5, 1.2))]
    assert next_runs(RULES, ORDER, seen) == []
    more = next_runs(replace(RULES, more=(2,)), ORDER, seen)
    assert [(one.variant, one.role) for one in more] == [("1D", "confirm")] * 2 + [("baseline", "baseline")] * 2
    assert {one.seed for one in more} == {6, 7, 8, 9}


def test_a_baseline_that_is_only_measured_runs_on_its_own_seeds_and_has_mean_interval_and_sigma() -> None:
    rules = GateRules(kind="baseline", seeds=(42, 43, 44), baseline_runs=3)
    assert [one.seed for one in next_runs(rules, (), base(1.0, 1.1))] == [42, 43, 44]
    assert plan_size(rules, 0) == 3
    seen = [Measurement(BASELINE, seed, "baseline", value) for seed, value in ((42, 1.0), (43, 1.1), (44, 1.2))]
    verdict = judge(rules, (), seen).verdict
    half = float(scipy.stats.t(2).ppf(0.95)) * 0.1 / math.sqrt(3)
    assert (verdict.decision, verdict.variant, verdict.n) == ("measured", None, 3)
    assert verdict.interval == pytest.approx((1.1 - half, 1.1 + half))
    assert "sigma 0.1 with 2 degrees of freedom" in verdict.reason


def test_inconclusive_says_so_when_no_reasonable_number_of_runs_would_settle_it() -> None:
    values = [1.0, 1.1, 1.2]
    assert "more than 50 further runs" in judged(RULES, values, [value - 0.001 for value in values]).reason


@pytest.mark.parametrize("rules", [RULES, LOWEST])
def test_when_nothing_beats_the_baseline_nobody_is_named(rules: GateRules) -> None:
    seen = base(1.0, 1.1, 1.2) + screens(D1=None, C1=1.2, A1=1.3, B1=1.4)
    verdict = judge(rules, ORDER, seen).verdict
    assert (verdict.variant, verdict.decision, verdict.gain, verdict.p) == (None, "discard", None, None)
    assert "1D failed" in verdict.reason


def test_lowest_names_its_winner_and_the_chance_that_it_is_none() -> None:
    result = judge(LOWEST, ORDER, base(1.0) + screens(D1=0.9, C1=0.95, A1=1.3, B1=1.0))
    assert result.verdict == result.variants[0]
    expected = Verdict("1D", "keep", pytest.approx(0.1), None, 1, None, "", 0.9, 1.0, 1)
    assert replace(result.verdict, reason="") == expected
    assert "were all 4 equal to the baseline, one would still win 80% of the time" in result.verdict.reason
    assert [verdict.decision for verdict in result.variants] == ["keep", "discard", "discard", "discard"]


@pytest.mark.parametrize("goal", ["min", "max"])
def test_a_verdict_has_the_means_that_it_rests_on_in_the_metrics_own_sign(goal: str) -> None:
    rules, sign = replace(RULES, goal=goal), 1 if goal == "min" else -1  # type: ignore[arg-type]
    seen = base(1.0, 1.1, 1.2) + screens(D1=0.5, C1=1.2, A1=None, B1=1.4) + confirms("1D", 0.7, 0.8, 0.9)
    result = judge(rules, ORDER, [replace(one, value=one.value and sign * one.value) for one in seen])
    means = {one.variant: (one.mean and pytest.approx(sign * one.mean), one.n) for one in result.variants}
    assert means == {"1D": (0.8, 3), "1C": (1.2, 1), "1A": (None, 0), "1B": (1.4, 1)}
    assert {one.baseline_mean for one in result.variants} == {result.verdict.baseline_mean}
    assert (result.verdict.baseline_mean, result.verdict.baseline_n) == (pytest.approx(sign * 1.1), 3)
    assert result.verdict.gain == pytest.approx(0.3)
    assert f"mean of 3 confirmations {sign * 0.8:.6g} against baseline {sign * 1.1:.6g}" in result.verdict.reason


def test_where_nobody_leads_the_verdict_has_the_baselines_mean_alone() -> None:
    verdict = judge(RULES, ("1D",), base(1.0, 1.1, 1.2) + screens(D1=1.3)).verdict
    assert (verdict.mean, verdict.baseline_mean, verdict.baseline_n) == (None, pytest.approx(1.1), 3)
    assert judge(RULES, ("1D",), base(1.0, None, 1.2)).verdict.mean is None


def test_to_judge_an_unfinished_campaign_is_an_error() -> None:
    with pytest.raises(ValueError, match="still needs 3 runs"):
        judge(RULES, ORDER, SCREENED)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=6, max_size=6),
    st.lists(st.floats(-1e300, 1e300), min_size=3, max_size=3),
    st.floats(-1.0, 1e3),
    st.sampled_from([1.0, 1e-300, 1e-150]),
    st.lists(st.lists(st.floats(-1e300, 1e300), max_size=4), max_size=3),
)
def test_a_verdict_is_finite_and_keep_means_significant_and_large_enough(
    own: list[float], screen: list[float], min_gain: float, scale: float, groups: list[list[float]]
) -> None:
    rules, values = replace(RULES, min_gain=min_gain), [value * scale for value in own]
    seen = base(*values[:3]) + [Measurement(f"v{i}", 0, "screen", value * scale) for i, value in enumerate(screen)]
    confirmed = iter(values[3:])
    seen += [saw(request, next(confirmed)) for request in next_runs(rules, ["v0", "v1", "v2"], seen)]
    for verdict in verdicts(judge(rules, ["v0", "v1", "v2"], seen, [dict(enumerate(one)) for one in groups])):
        numbers = [verdict.gain, verdict.p, *(verdict.interval or ()), verdict.mean, verdict.baseline_mean]
        assert all(number is None or math.isfinite(number) for number in numbers)
        assert "nan" not in verdict.reason
        if verdict.decision == "keep":
            assert verdict.p is not None
            assert verdict.gain is not None
            assert verdict.p <= rules.alpha
            assert verdict.gain >= rules.min_gain


GRID = st.integers(-200, 200).map(lambda n: n / 64)
FOURS = replace(RULES, baseline_runs=4, confirm_runs=4)  # means of four dyadic numbers are exact in binary


def four(
    values: Sequence[float], change: Callable[[float], float], rules: GateRules, order: Sequence[str]
) -> GateResult:
    """Judge twelve values (baseline, screens of 'a' to 'd', confirmations), each changed."""
    changed = [change(value) for value in values]
    seen = base(*changed[:4]) + [
        Measurement(name, 0, "screen", value) for name, value in zip("abcd", changed[4:8], strict=True)
    ]
    seen += [saw(request, value) for request, value in zip(next_runs(rules, order, seen), changed[8:], strict=False)]
    return judge(rules, order, seen)


def compared(judgement: GateResult) -> list[Verdict]:
    """The verdicts as far as they rest on differences alone."""
    return [replace(verdict, reason="", mean=None, baseline_mean=None) for verdict in verdicts(judgement)]


def means(judgement: GateResult, change: Callable[[float], float] = float) -> list[float | None]:
    values = [one for verdict in verdicts(judgement) for one in (verdict.mean, verdict.baseline_mean)]
    return [None if value is None else change(value) for value in values]


@settings(max_examples=100, deadline=None)
@given(st.lists(GRID, min_size=12, max_size=12, unique=True), st.integers(-5, 5), st.integers(-3, 3))
def test_the_judgement_is_that_of_shifted_scaled_and_sign_turned_values(
    values: list[float], shift: int, power: int
) -> None:
    plain, scale = four(values, float, FOURS, "abcd"), 2.0**power
    changes: list[tuple[Callable[[float], float], GateRules]]
    changes = [(lambda v: v + shift, FOURS), (lambda v: -v, replace(FOURS, goal="max"))]
    for change, rules in changes:
        assert compared(four(values, change, rules, "abcd")) == compared(plain)
        assert means(four(values, change, rules, "abcd")) == means(plain, change)
    scaled = compared(four(values, lambda v: v * scale, FOURS, "abcd"))
    assert [(v.decision, v.p, v.gain) for v in scaled] == [
        (v.decision, v.p, None if v.gain is None else v.gain * scale) for v in compared(plain)
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(GRID, min_size=12, max_size=12, unique=True), st.permutations("abcd"))
def test_the_judgement_does_not_depend_on_the_order_of_the_variants(values: list[float], order: list[str]) -> None:
    plain, turned = four(values, float, FOURS, "abcd"), four(values, float, FOURS, order)
    assert turned.verdict == plain.verdict
    assert {v.variant: v for v in turned.variants} == {v.variant: v for v in plain.variants}


# --- speed and spread -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speed", "comparable", "expected"),
    [
        (1.0, [], False),
        (1.0, [100.0, 100.0], False),
        (89.0, [100.0, 100.0, 100.0], True),
        (90.0, [100.0, 100.0, 100.0], False),
        (150.0, [100.0, 100.0, 100.0], False),
        (80.0, [90.0, 100.0, 110.0], False),  # the deviation is 10: 80 is 2 of them below
        (69.0, [90.0, 100.0, 110.0], True),
        (69.0, [90.0, 100.0, 110.0, 100.0, 1e6], True),  # one odd run does not move median or deviation far
    ],
)
def test_contended_is_slower_by_a_tenth_and_by_three_deviations(
    speed: float, comparable: list[float], expected: bool
) -> None:
    assert contended(speed, comparable) is expected


def test_spread_is_half_the_interval_of_a_mean() -> None:
    noise = pool([[1.0, 1.1, 1.2], [1.0]])
    assert spread(noise, 3) == pytest.approx(scipy.stats.t(2).ppf(0.95) * 0.1 / math.sqrt(3))
    assert spread(noise, 1) == pytest.approx(scipy.stats.t(2).ppf(0.95) * 0.1)
    assert spread(noise, 3, 0.025) == pytest.approx(scipy.stats.t(2).ppf(0.975) * 0.1 / math.sqrt(3))
    assert spread(pool([[1.0]]), 1) is None
    assert spread(noise, 0) is None


def test_the_rules_own_seeds_come_first_and_in_their_order() -> None:
    rules = replace(RULES, seeds=(7, 5, 9))
    seen: list[Measurement] = []
    asked = []
    while wanted := next_runs(rules, ["1A"], seen):
        asked += [(run.variant, run.seed) for run in wanted]
        seen += [Measurement(run.variant, run.seed, run.role, 1.0 if run.variant == "1A" else 2.0) for run in wanted]
    assert asked == [(BASELINE, 7), (BASELINE, 5), (BASELINE, 9), ("1A", 7), ("1A", 0), ("1A", 1), ("1A", 2)]


def test_how_a_run_failed_is_in_the_reason() -> None:
    seen = [Measurement(BASELINE, 0, "baseline", None, failure="oom")]
    assert "the run on seed 0 failed (oom)" in judge(RULES, ["1A"], seen).verdict.reason

"""The gate that looks after every run: who is a candidate, what comes next, and that no order of records counts."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.experiment import BASELINE, GateRules
from agent.gate import sequential
from agent.gate.history import Measurement, Replicates, read_history
from agent.gate.schedule import ScheduledRun, next_runs, plan_size
from agent.gate.sequential import level_now, look
from agent.gate.verdict import judge

RULES = GateRules(seeds=(0, 1, 2))
ORDER = ("a", "b", "c", "d")
ALIKE = [{seed: 5.0 + seed / 10 + shift for seed in range(6)} for shift in (0.0, 0.011)]  # all but the same by seed
LOOSE = [{seed: Random(f"{seed}/{model}").gauss(0, 0.1) for seed in range(6)} for model in range(2)]


def base(*values: float, own: bool = True, start: int = 0) -> list[Measurement]:
    return [Measurement(BASELINE, start + at, "baseline", value, own=own) for at, value in enumerate(values)]


def screens(*values: float) -> list[Measurement]:
    return [Measurement(name, 0, "screen", value) for name, value in zip(ORDER, values, strict=False)]


def confirms(name: str, **values: float) -> list[Measurement]:
    return [Measurement(name, int(seed[1:]), "confirm", value) for seed, value in values.items()]


def upcoming(
    seen: Sequence[Measurement], groups: Sequence[Replicates] = LOOSE, rules: GateRules = RULES
) -> list[tuple[str, int]]:
    return [(run.variant, run.seed) for run in next_runs(rules, ORDER, seen, groups)]


def noisy(draw: Random, gain: float = 0.0) -> list[Measurement]:
    """A campaign that ran to its end on noise of 0.1."""
    seen = list[Measurement]()
    while runs := next_runs(RULES, ORDER, seen, LOOSE):
        seen += [measure(run, draw, gain) for run in runs]
    return seen


def measure(run: ScheduledRun, draw: Random, gain: float) -> Measurement:
    return Measurement(run.variant, run.seed, run.role, draw.gauss(1, 0.1) - gain * (run.variant == "a"))


SCREENED = base(1.0, 1.1) + screens(0.8, 0.85, 1.2, 1.3)


def test_the_baseline_runs_twice_then_every_variant_once_then_the_best_on_the_baselines_other_seed() -> None:
    assert upcoming([]) == [(BASELINE, 0), (BASELINE, 1)]
    assert upcoming(base(1.0, 1.1)) == [(name, 0) for name in ORDER]
    assert upcoming(SCREENED) == [("a", 1)]


def test_runs_of_the_baseline_that_the_ledger_has_are_run_by_nobody() -> None:
    assert upcoming(base(1.0, 1.1, 1.2, own=False)) == [(name, 0) for name in ORDER]


def test_one_clear_confirmation_is_enough_and_a_bad_one_hands_over_to_the_second_best() -> None:
    assert upcoming([*SCREENED[:2], *screens(0.2, 0.85, 1.2, 1.3), *confirms("a", s1=0.2)]) == []
    assert upcoming(SCREENED + confirms("a", s1=1.3)) == [("b", 1)]


def test_screens_that_are_no_better_than_the_baseline_end_it() -> None:
    seen = base(1.0, 1.1) + screens(1.05, 1.1, 1.2, 1.3)
    assert upcoming(seen) == []
    verdict = judge(RULES, ORDER, seen, LOOSE).verdict
    assert (verdict.variant, verdict.decision) == (None, "discard")


def test_the_baseline_runs_again_where_it_has_fewer_runs_than_the_candidate() -> None:
    seen = SCREENED + confirms("a", s1=0.95, s2=0.8, s3=0.9)
    assert upcoming(seen) == [(BASELINE, 2)], "on a seed of the candidate's"


def test_where_seeds_correlate_every_confirmation_gets_the_baselines_run_on_its_seed() -> None:
    seen = SCREENED + confirms("a", s1=1.05, s2=1.05)
    assert upcoming(seen, ALIKE) == [(BASELINE, 2)]


def test_pairs_decide_what_two_means_cannot() -> None:
    seen = base(1.0, 1.3, 0.8) + screens(0.95, 1.0, 1.2, 1.3) + confirms("a", s1=1.25, s2=0.75)
    assert judge(RULES, ORDER, seen, ALIKE).verdict.decision == "keep"
    [alone] = [one for one in look(read_history(RULES, ORDER, seen), LOOSE).standings if one.name == "a"]
    assert not alone.passes


def test_a_ledgers_baseline_is_measured_once_more_before_a_promotion_unless_the_other_variants_vouch_for_it() -> None:
    had = base(1.0, 1.1, 1.05, own=False)
    alone = [*had, Measurement("a", 0, "screen", 0.6), *confirms("a", s1=0.6)]
    assert [(run.variant, run.seed) for run in next_runs(RULES, ("a",), alone, LOOSE)] == [(BASELINE, 3)]
    beside = had + screens(0.6, 1.0, 1.05, 1.1) + confirms("a", s1=0.6)
    assert upcoming(beside) == []
    worse = had + screens(0.6, 2.0, 2.1, 2.2) + confirms("a", s1=0.6)
    assert upcoming(worse) == [(BASELINE, 3)], "a variant that is far worse tells nothing of the machine"
    changed = had + screens(0.6, 0.62, 0.65, 0.7) + confirms("a", s1=0.6)
    assert upcoming(changed) != [], "all variants are better by as much: the machine may be"


def test_all_looks_together_spend_no_more_than_alpha_and_two_candidates_share_it() -> None:
    further = [level_now(replace(RULES, more=(1,) * looks), 1) for looks in range(1, 60)]
    assert sum(further) <= (1 - sequential.FIRST_SHARE) * RULES.alpha
    assert level_now(RULES, 4) == level_now(RULES, 20) < level_now(RULES, 1) < RULES.alpha


def test_further_runs_are_as_many_of_the_open_leader_as_of_the_baseline_and_then_the_gate_speaks() -> None:
    earlier = [
        replace(one, own=False)
        for one in (*base(1.0, 1.1, 1.2), *screens(0.8, 0.85, 1.2, 1.3), *confirms("b", s1=0.9, s2=1.05))
    ]
    rules, seen = replace(RULES, more=(2,)), list(earlier)
    leader = judge(RULES, ORDER, earlier, LOOSE).verdict.variant if not upcoming(earlier) else None
    while runs := next_runs(rules, ORDER, seen, LOOSE):
        seen += [Measurement(one.variant, one.seed, one.role, 0.9) for one in runs]
    new = [one.variant for one in seen[len(earlier) :]]
    assert sorted(new) == sorted([BASELINE] * 2 + [new[0]] * 2)
    assert leader in (None, new[0])
    assert judge(rules, ORDER, seen, LOOSE).verdict.variant == new[0]


def test_a_failed_confirmation_takes_its_variant_out_and_a_contended_one_runs_once_more() -> None:
    failed = [*SCREENED, Measurement("a", 1, "confirm", None)]
    assert upcoming(failed) == [("b", 1)]
    slow = [*SCREENED, Measurement("a", 1, "confirm", 0.1, contended=True)]
    assert upcoming(slow) == [("a", 1)]


def test_no_gain_below_the_least_that_counts_is_kept_however_certain() -> None:
    seen = base(1.0, 1.0001) + screens(0.9, 1.0, 1.0, 1.0) + confirms("a", s1=0.9)
    tight = [{seed: Random(seed).gauss(0, 0.001) for seed in range(9)}]
    assert judge(RULES, ORDER, seen, tight).verdict.decision == "keep"
    rules = replace(RULES, min_gain=0.2)
    assert next_runs(rules, ORDER, seen, tight) == []
    assert judge(rules, ORDER, seen, tight).verdict.decision == "discard"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.4]), st.randoms(use_true_random=False), st.data())
def test_what_comes_next_and_the_verdict_depend_on_the_records_and_not_on_their_order(
    seed: int, gain: float, shuffle: Random, data: st.DataObject
) -> None:
    whole = noisy(Random(seed), gain)
    part = whole[: data.draw(st.integers(0, len(whole)))]
    mixed = list(part)
    shuffle.shuffle(mixed)
    assert next_runs(RULES, ORDER, mixed, LOOSE) == next_runs(RULES, ORDER, part, LOOSE)
    shuffle.shuffle(whole)
    assert judge(RULES, ORDER, whole, LOOSE) == judge(RULES, ORDER, list(reversed(whole)), LOOSE)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3]))
def test_every_campaign_ends_within_its_plan_and_repeats_no_run(seed: int, gain: float) -> None:
    seen = noisy(Random(seed), gain)
    assert len({(one.variant, one.seed) for one in seen}) == len(seen) <= plan_size(RULES, len(ORDER))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.5])
def test_a_script_that_always_gives_one_value_is_never_promoted(value: float) -> None:
    seen = base(value, value) + screens(value, value, value, value)
    assert upcoming(seen, ()) == []
    assert judge(RULES, ORDER, seen, ()).verdict.decision == "discard"


def test_candidates_are_the_two_best_screens_that_did_not_fail() -> None:
    seen = [*base(1.0, 1.1), *screens(0.8, 0.85, 1.2), Measurement("d", 0, "screen", None)]
    assert sequential.candidates(read_history(RULES, ORDER, seen)) == ["a", "b"]

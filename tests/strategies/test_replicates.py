"""The runs that are missing: never one twice, never one of what failed; each seed has all trials first."""

from agent.core.trials import Candidate, ExploreRun, Trial
from agent.strategies.replicates import missing_runs, trials_of

A, B, C = (Candidate(name=name, sets={}) for name in "ABC")


def test_trials_come_in_the_order_of_their_candidates_and_are_empty_where_nothing_ran() -> None:
    ran = Trial(candidate=A, values={0: 1.0})
    assert trials_of([B, A], [ran]) == [Trial(candidate=B), ran]


def test_each_seed_has_every_trial_first_and_what_failed_has_no_more() -> None:
    trials = [Trial(candidate=A, values={0: 1.0}), Trial(candidate=B, failure="oom"), Trial(candidate=C)]
    assert missing_runs((0, 1), trials) == (ExploreRun("C", 0), ExploreRun("A", 1), ExploreRun("C", 1))

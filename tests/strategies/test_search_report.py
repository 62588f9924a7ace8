"""How a search came to its best."""

import math

from agent.core.trials import Candidate, Trial
from agent.strategies.search_report import failure_table, progress_pictures, progress_table

CURVE = [("t001", math.inf), ("t002", 2.0), ("t003", 2.0), ("t004", 1.5)]


def test_the_table_has_the_trials_at_which_the_best_fell() -> None:
    assert progress_table(CURVE).rows == (("2", "t002", "2.0000"), ("4", "t004", "1.5000"))


def test_the_picture_has_every_trial_with_a_value_and_the_base() -> None:
    [picture] = progress_pictures(CURVE, [math.inf, 2.0, 2.5, 1.5], base=2.2)
    assert picture.line == ((2.0, 2.0), (3.0, 2.0), (4.0, 1.5))
    assert picture.points == ((2.0, 2.0), (3.0, 2.5), (4.0, 1.5))
    assert picture.base == 2.2


def test_without_a_value_there_is_no_picture_and_without_a_base_no_level() -> None:
    assert progress_pictures(CURVE[:1], [math.inf]) == []
    assert progress_pictures(CURVE, [math.inf, 2.0, 2.5, 1.5])[0].base is None


def test_of_many_failures_the_table_counts_those_that_it_leaves_out() -> None:
    out = [Trial(candidate=Candidate(name=f"t{at}", sets={}), failure="oom", refused=at == 0) for at in range(5)]
    rows = failure_table(out, 2).rows
    assert [row[:2] for row in rows] == [("t1", "failed"), ("t2", "failed"), ("–", "–")]
    assert rows[-1][2] == "and 3 more"

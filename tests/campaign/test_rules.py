"""The clock and the gate of a campaign: who chooses them, and what follows where nobody does."""

from dataclasses import replace

import pytest

from agent.campaign.rules import choose_clock, gate_rules
from agent.core.errors import BadInput
from agent.core.experiment import Budget, Issue, Spec, Track

TRACK = Track("main", "train.py", "val_bpb", "min", Budget("seconds", 300), ("train.py",), (0, 1, 2), 0.001)
SPEC = Spec(Issue(3, "t", ""), "main", "table", (), None, None, None, (), "s")


def test_seconds_are_the_walls_on_a_gpu_and_calibrated_elsewhere_unless_somebody_chooses() -> None:
    assert choose_clock(None, "full", Budget("seconds", 20)) == "wall"
    assert choose_clock(None, "mini", Budget("seconds", 20)) == "calibrated"
    assert choose_clock("wall", "mini", Budget("seconds", 20)) == "wall"
    assert choose_clock(None, "full", Budget("steps", 20)) == "steps"
    with pytest.raises(BadInput, match="needs a budget in seconds"):
        choose_clock("wall", "full", Budget("steps", 20))


def test_the_issue_outranks_the_track_and_the_user_the_issue() -> None:
    assert gate_rules(None, SPEC, TRACK, ()).min_gain == 0.001
    rules = gate_rules(None, replace(SPEC, min_gain=0.02, gate="lowest", seeds=(5, 6)), TRACK, ())
    assert (rules.kind, rules.min_gain, rules.seeds) == ("lowest", 0.02, (5, 6))
    assert (rules.baseline_runs, rules.confirm_runs) == (1, 0)
    assert gate_rules("confirmed", replace(SPEC, gate="lowest"), TRACK, (2,)).more == (2,)


def test_an_issue_that_only_measures_has_a_gate_of_its_own() -> None:
    rules = gate_rules("lowest", replace(SPEC, baseline_only=True, seeds=(42, 43)), TRACK, ())
    assert (rules.kind, rules.baseline_runs, rules.confirm_runs) == ("baseline", 2, 0)

"""How long it takes: a probe, a run and a campaign, each from its budget."""

import pytest

from agent.campaign.estimate import campaign_seconds, probe_seconds, run_seconds
from agent.core.experiment import Budget


@pytest.mark.parametrize(("seconds", "probe"), [(2, 1), (20, 2), (300, 5)])
def test_a_probe_is_a_tenth_of_the_budget_within_bounds(seconds: float, probe: float) -> None:
    assert probe_seconds(Budget("seconds", seconds)) == probe


def test_a_campaign_takes_its_runs_and_on_the_calibrated_clock_three_probes_of_each() -> None:
    minute = Budget("seconds", 60)
    assert run_seconds(minute, "mini") == 68
    assert campaign_seconds(minute, "wall", "mini", 10, 4) == 10 * 68
    assert campaign_seconds(minute, "calibrated", "mini", 10, 4) == 10 * 68 + 3 * 5 * (5 + 4)
    assert campaign_seconds(Budget("steps", 60), "steps", "mini", 10, 4) is None

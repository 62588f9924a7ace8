"""The types of strategies: what they say of themselves."""

from agent.core.trials import Candidate, Trial


def test_a_trial_goes_by_the_name_of_its_candidate() -> None:
    assert Trial(candidate=Candidate(name="1A", sets={})).name == "1A"

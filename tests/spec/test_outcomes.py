"""What the prose expects of a winner, and the gain that it demands."""

import pytest

from agent.core.experiment import Outcome
from tests.spec.test_parser import TABLE, issue, parse, refusal


def test_expected_outcomes_are_read_from_the_start_of_lines_and_other_lines_are_ignored() -> None:
    prose = (
        "- If 1D (wider, or so) wins: **wide**\n  is good\n- if 1C wins, then deep\n- If 1A or 1B win — both\n"
        "- If nothing wins: stop\n- If neither 1A nor 1B wins: stop\n- 1B likely negative\n- Say if 1A wins: no\n"
    )
    assert parse(f"{TABLE}\n## Outcomes\n\n{prose}").outcomes == (
        Outcome("1D", "If 1D (wider, or so) wins: wide is good"),
        Outcome("1C", "if 1C wins, then deep"),
        Outcome("1A", "If 1A or 1B win \u2014 both"),
        Outcome("1B", "If 1A or 1B win \u2014 both"),
        Outcome("", "If nothing wins: stop"),
    )


def test_an_outcome_of_an_unknown_variant_is_refused() -> None:
    error = refusal(issue(f"{TABLE}\n- If 1A wins: x\n- If 1Z wins: y\n"))
    assert (error.problem, error.where) == ("1Z is no variant", "i.md:9")
    assert error.next_step == "the IDs are 1A, 1B, 1C, 1D"


@pytest.mark.parametrize(
    ("text", "least", "most", "unchecked"),
    [
        ("If 1D wins by at least 0.02: wide", 0.02, None, ""),
        ("If 1D wins by less than 0.02 bpb: wide", None, 0.02, ""),
        ("If 1D wins by a lot: wide", None, None, "by a lot"),
        ("If 1D wins on both seeds, then wide", None, None, "on both seeds"),
    ],
)
def test_a_condition_is_kept_with_the_outcome(text: str, least: float, most: float, unchecked: str) -> None:
    [outcome] = parse(f"{TABLE}\n{text}").outcomes
    assert (outcome.variant, outcome.min_gain, outcome.max_gain, outcome.unchecked) == ("1D", least, most, unchecked)


GATE = f"{TABLE}\n## Decision Gate\n\n"


def test_a_threshold_is_read_once() -> None:
    assert parse(f"{GATE}Minimum gain: 0.02\n\nAdopt only if val_bpb improves by at least 0.02.").min_gain == 0.02
    error = refusal(issue(f"{GATE}Minimum gain: 0.02\n\nAdopt only if val_bpb improves by at least 0.03."))
    assert "two thresholds" in error.problem
    assert error.where == "i.md:12"


def test_a_threshold_of_another_metric_is_refused_and_a_fact_describes() -> None:
    assert "min_gain:" in refusal(issue(f"{GATE}Adopt only if mfu improves by at least 2.")).next_step
    assert parse(f"{TABLE}\n## Background\n\nIt was better by 0.02.").min_gain is None

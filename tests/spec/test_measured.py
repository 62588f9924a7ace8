"""Seeds in prose, and issues that only measure the baseline."""

import pytest

from tests.spec.test_parser import TABLE, issue, parse, refusal


@pytest.mark.parametrize(
    "text", ["Use seeds 42, 43 and 44.", "Seeds: 42, 43, 44", "Run all variants with seeds 42, 43, 44."]
)
def test_seeds_are_read(text: str) -> None:
    assert parse(f"{TABLE}\n## Execution\n\n{text}").seeds == (42, 43, 44)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("Use three seeds each.", "in no form that is read"), ("Use seeds 42 and 42.", "given twice"),
     ("Use seeds 1 and 2. Use seeds 3 and 4.", "two lists of seeds"), ("Use seed 4294967296.", "too large")],
)  # fmt: skip
def test_what_is_like_seeds_is_refused(text: str, problem: str) -> None:
    error = refusal(issue(f"{TABLE}\n## Execution\n\n{text}"))
    assert problem in error.problem
    assert error.where == "i.md:10"


def test_seeds_of_the_past_describe() -> None:
    assert parse(f"{TABLE}\n## Background\n\nThe three seeds agreed within 0.001.").seeds is None


def test_the_baseline_alone_is_measured_and_nothing_beside_it() -> None:
    spec = parse("Please measure the baseline with seeds 7, 8.\n\nThere are no code changes.")
    assert (spec.baseline_only, spec.seeds, spec.strategy) == (True, (7, 8), "table")
    assert "asks for more" in refusal(issue("Run the baseline with seeds 1, 2. Also try a wider head.")).problem


@pytest.mark.parametrize(
    "text",
    ["Run the baseline.", "Baseline only.", "Just the baseline, 3 seeds.", "Measure the baseline with seeds 1-5.",
     "Calibrate sigma.", "Please run baseline with seeds 1 2 3", "Measure the noise: 5 seeds of the unchanged script."],
)  # fmt: skip
def test_what_may_ask_for_the_baseline_alone_is_no_issue_for_an_editor(text: str) -> None:
    assert "baseline_only: true" in refusal(issue(text)).next_step


@pytest.mark.parametrize(
    "text", ["Use 3 seeds.", "seeds=[1,2]", "Three seeds per variant.", "Seeds 1-3", "random seed 1337"]
)
def test_what_asks_for_seeds_is_refused_wherever_it_stands(text: str) -> None:
    assert "seeds: [42, 43, 44]" in refusal(issue(f"{TABLE}\n{text}")).next_step


def test_the_block_gives_the_seeds_of_a_baseline_that_the_prose_asks_for() -> None:
    spec = parse("Run the baseline with seeds 1, 2.\n\n```yaml\n# autoresearch\nseeds: [5]\n```")
    assert (spec.baseline_only, spec.seeds) == (True, (5,))

"""What prose says of how a campaign runs, and no form reads: refused with its line and what to write."""

import pytest

from tests.spec.test_kinds import TABLE, read, refused, sets

BLOCK = "```yaml\n# autoresearch\n{}\n```\n"


@pytest.mark.parametrize(
    ("sentence", "advice"),
    [("Use the climbmix corpus.", "--corpus"), ("Train on tinystories.", "--corpus"), ("Corpus: climbmix", "--corpus"),
     ("Dataset: FineWeb", "--corpus"), ("Run with `--profile full --gate lowest`.", "--profile"),
     ("Use the full profile.", "--profile"), ("Profile: full", "--profile"), ("Run everything on full.", "--profile"),
     ("Gate: lowest", "gate: lowest"), ("No confirmation runs.", "gate: lowest"), ("The lowest val_bpb wins.", "gate:"),
     ("One run each, no significance test.", "gate:"), ("Skip the audit.", "gate:"), ("Track: names", "track:"),
     ("Strategy: sweep", "strategy:"), ("Confirm: yes", "confirm:"), ("Grid: DEPTH x ASPECT_RATIO", "grid:"),
     ("Use 4 GPUs.", "one run at a time"), ("Run on two H100s.", "one run at a time"),
     ("Start from the checkpoint of last week.", "baseline branch"), ("Branch off commit 1a2b3c4d.", "baseline branch"),
     ("Start from the winner of issue #2.", "after #2"), ("Build on the result of issue 12.", "after #12"),
     ("Optimizer: AdamW", "change of code"), ("Sequence length 512", "change of code"), ("Train longer.", "budget:"),
     ("Double the training time.", "budget:"), ("Metric: validation loss", "metric"),
     ("Second pass: the same at twice the width.", "after #N"), ("Exclude: the deep ones", "skip:"),
     ("Nothing is merged automatically.", "min_gain"), ("Feel free to skip what is slow.", "skip:"),
     ("Highest expected value first.", "order:"), ("Bitte 1B auslassen.", "skip:"), ("Jeder Lauf: 2 Minuten",
     "budget:")],
)  # fmt: skip
def test_what_says_how_to_run_in_no_form_is_refused_with_what_to_write(sentence: str, advice: str) -> None:
    error = refused(f"{TABLE}\n## Notes\n\n{sentence}\n")
    assert advice in error
    assert "i.md:10" in error


@pytest.mark.parametrize(
    "sentence",
    ["Rehearsed on `mini` with `--budget 30`.", "Profile: mini", "Track: main", "The corpus is small.",
     "Winner becomes the new baseline.", "We used the climbmix corpus.", "A gate on the values helps.",
     "Run with `python agent/run.py --issue 7`.", "The full profile was tuned by others."],
)  # fmt: skip
def test_what_describes_is_let_be(sentence: str) -> None:
    assert len(sets(read(f"{TABLE}\n{sentence}\n"))) == 4


def test_the_block_settles_what_prose_says_otherwise() -> None:
    assert read(f"{TABLE}\nGate: lowest\n\n{BLOCK.format('gate: lowest')}").gate == "lowest"
    assert read(f"{TABLE}\nSeeds: 1\n\n{BLOCK.format('seeds: [5]')}").seeds == (5,)
    assert "--corpus" in refused(f"{TABLE}\nUse the climbmix corpus.\n\n{BLOCK.format('gate: lowest')}")


@pytest.mark.parametrize(
    "sentence", ["Use a warm start.", "Combine the two best afterwards.", "Retry what fails.", "Then sweep the rest."]
)
def test_a_request_in_execution_that_no_form_reads_is_refused(sentence: str) -> None:
    assert "i.md:10" in refused(f"{TABLE}\n## Execution\n\n{sentence}\n")
    assert len(sets(read(f"{TABLE}\n## Background\n\n{sentence}\n"))) == 4


SECOND = "\n## {}\n\n{}\n\n| ID | HEAD_LR |\n|-|-|\n| 2A | 0.01 |\n"


@pytest.mark.parametrize(
    ("heading", "sentence"),
    [("Phase 2 (only if phase 1 wins)", ""), ("Stage 2: if depth matters", ""),
     ("Phase 2", "Use the winner of phase 1."),
     ("Phase 2", "On top of the best shape."),
     ("Phase two", "Each starts from the best depth."),
     ("Phase B", "Depends on the outcome of phase A."), ("Phase 2", "These run with the winning shape.")],
)  # fmt: skip
def test_a_phase_that_waits_for_another_is_refused(heading: str, sentence: str) -> None:
    error = refused(f"## Phase 1\n\n{TABLE}{SECOND.format(heading, sentence)}")
    assert "after #N" in error


def test_phases_that_do_not_wait_run() -> None:
    assert len(sets(read(f"## Phase 1: shape\n\n{TABLE}{SECOND.format('Phase 2: rates', 'The head is next.')}"))) == 5


@pytest.mark.parametrize(
    "body", ["---\nbudget: 10 minutes\nseeds: [42]\n---\n", "## Seeds: 42\n\n", "### Gate: lowest\n\n"]
)
def test_a_setting_in_a_heading_or_in_front_matter_of_the_body_is_refused(body: str) -> None:
    assert "no setting is read of it" in refused(f"{body}{TABLE}")


@pytest.mark.parametrize("words", ["Overnight.", "14 instead of 8 layers.", "bs 4096", "d12 w768"])
def test_values_that_stand_alone_in_execution_are_refused(words: str) -> None:
    assert "is in no form that is read" in refused(f"{TABLE}\n## Execution\n\n{words}\n")


@pytest.mark.parametrize("words", ["Monitor 1C for OOM.", "Each run saves every 500 steps.", "See #12 for why."])
def test_what_execution_says_in_passing_is_let_be(words: str) -> None:
    assert sets(read(f"{TABLE}\n## Execution\n\n{words}\n"))

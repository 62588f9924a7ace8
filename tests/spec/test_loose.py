"""Settings in prose: refused where they are a table in words, let through where they describe."""

import pytest

from tests.spec.test_kinds import TABLE, read, refused, sets


@pytest.mark.parametrize(
    "text",
    ["Sweep DEPTH over 6, 10 and 12.",
     "DEPTH = 12", "- `HEAD_LR`: 0.01", "Try a learning rate of 0.02.", "Try 12 layers.",
     "Try depth 12.", "Batch size 1024 vs 8192", "MLP_RATIO 4 -> 3", "Double the batch size.", "window_pattern: SSL",
     "Change MLP ratio from 4 to 3.", "A deeper model (12 layers) might win.", "    DEPTH = 12", "Use dtype bfloat16",
     "Use a batch size of 4096 tokens.", "Vary matrix_lr between 0.02 and 0.06.", "Set MATRIX_LR to 0.02."],
)  # fmt: skip
def test_settings_in_words_are_refused_with_the_line(text: str) -> None:
    error = refused(f"An idea.\n\n{text}")
    assert "i.md:3" in error
    assert "grid:" in error
    assert read(f"{text}\n\n```yaml\n# autoresearch\nstrategy: freeform\n```").strategy == "freeform"


@pytest.mark.parametrize(
    "text",
    ["Today DEPTH = 8 and HEAD_LR is 0.005.",
     "Replace the MLP by SwiGLU; try 2 widths.", "Share weights across layers.",
     "## Background\n\nWith DEPTH = 12 it was worse."],
)  # fmt: skip
def test_what_describes_goes_to_the_editor(text: str) -> None:
    assert read(f"Make attention sparser.\n\n{text}").strategy == "freeform"


@pytest.mark.parametrize(
    "block", ["```python\nDEPTH = 12\n```", "```diff\n-DEPTH = 8\n+DEPTH = 12\n```", '```json\n{"DEPTH": 12}\n```']
)
def test_a_value_in_code_is_a_setting_too(block: str) -> None:
    assert "gives DEPTH a value" in refused(f"Set it:\n\n{block}\n")


@pytest.mark.parametrize("first", ["#autoresearch", "# Autoresearch", "# autoresearch settings"])
def test_the_first_line_of_a_block_may_be_spelled_freely_and_may_not_be_missing(first: str) -> None:
    assert sets(read(f"```yaml\n{first}\ngrid: {{DEPTH: [6]}}\n```\n")) == {"G1": {"DEPTH": 6}}
    assert "# autoresearch" in refused("Try it.\n\n```yaml\ngrid: {DEPTH: [6]}\nbudget: 300\n```\n")


@pytest.mark.parametrize(
    "text",
    ["Try twelve layers.", "Half the batch size.", "Depth \u00d72", "softcap on/off", "depth \u2208 {6, 12}",
     "Tune the learning rate.",
     "Please try a smaller batch.", "Weight decay off.", "No weight decay.", "Use a 12-layer model.", "6x128 vs 12x32",
     "Depths: 6, 8, 10", "MLP_RATIO, 4, 3", "depth twelve", "Change WINDOW_PATTERN to all-L.",
     "Run 1A from issue 3 again.",
     "Reproduce issue #3."],
)  # fmt: skip
def test_a_setting_in_whatever_words_is_no_errand_for_an_editor(text: str) -> None:
    assert "strategy: freeform" in refused(f"An idea.\n\n{text}")


@pytest.mark.parametrize(
    "text",
    ["Try a different activation function in the MLP.", "Tie the embedding and the head.", "Remove the softcap.",
     "Use multi-token prediction with weight 0.1.", "Add a learned gate to each head.",
     "No weight decay on norms, please.",
     "Skip the attention in the first two blocks; run only the MLP there.", "Add a warmup of 5% to the schedule.",
     "Use a cosine schedule with three restarts.", "Implement gradient clipping at norm 1.0."],
)  # fmt: skip
def test_an_idea_goes_to_the_editor(text: str) -> None:
    assert read(f"{text}\n").strategy == "freeform"


@pytest.mark.parametrize(
    "beside",
    ["WEIGHT_DECAY stays at 0.1 here.", "Also bump the head lr to 0.01.", "1A should use HEAD_LR 0.01.", "- softcap 30",
     "```python\nHEAD_LR = 0.01\n```", "| Setting | Value |\n|-|-|\n| HEAD_LR | 0.01 |", "| HEAD_LR |\n|-|\n| 0.01 |"],
)  # fmt: skip
def test_a_value_beside_the_table_that_no_variant_has_is_refused(beside: str) -> None:
    assert "i.md:" in refused(f"{TABLE}\n{beside}\n")


@pytest.mark.parametrize(
    "beside",
    ["The rate of 0.08 was tuned for depth 6.", "In the paper depth 6 to 48 made little difference.", "1A has DEPTH 6.",
     "| Constant | Meaning |\n|-|-|\n| HEAD_LR | rate of the head |", "```python\nDEPTH = 12\n```",
     "## Background\n\nUpstream has HEAD_LR = 0.004.", "| Constant | Upstream |\n|-|-|\n| HEAD_LR | 0.004 |"],
)  # fmt: skip
def test_what_describes_beside_the_table_is_let_be(beside: str) -> None:
    assert len(sets(read(f"{TABLE}\n{beside}\n"))) == 4

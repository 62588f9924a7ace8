"""Settings in prose: refused where they are a table in words, let through where they describe."""

import pytest

from tests.spec.test_kinds import read, refused, sets


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

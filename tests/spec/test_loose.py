"""Settings in prose: refused where they are a table in words, let through where they describe."""

import pytest

from tests.spec.test_kinds import read, refused


@pytest.mark.parametrize(
    "text",
    ["Sweep DEPTH over 6, 10 and 12.",
     "DEPTH = 12", "- `HEAD_LR`: 0.01", "Try a learning rate of 0.02.", "Try 12 layers.",
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

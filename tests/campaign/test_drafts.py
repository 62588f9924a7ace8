"""campaign/drafts.py: what a draft's model may not depend on, and what its author reads of it."""

import pytest

from agent.campaign.drafts import dependence


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({}, ""),
        ({"order_shift": 1e-6, "causality_shift": 1e-6}, ""),
        ({"order_shift": 0.01}, "from the weights or from one row or token, never from the batch"),
        ({"causality_shift": 0.01}, "no place may see a later one"),
        ({"order_shift": 0.01, "causality_shift": 0.01}, "never from the batch"),
    ],
)
def test_a_dependence_is_refused_with_what_to_change(metrics: dict[str, float], words: str) -> None:
    said = dependence(metrics, "mini")
    assert (words in said) if words else said == ""


def test_on_full_there_is_room_for_bfloat16() -> None:
    assert dependence({"order_shift": 2**-4}, "full") == ""
    assert "at most" in dependence({"order_shift": 2**-4}, "mini")

"""fixed/settings.py."""

import pytest

from fixed import result, settings
from tests.support.fixed import environment


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AUTORESEARCH_SEED", "1.5", "whole number"),
        ("AUTORESEARCH_SEED", "-1", "at least 0"),
        ("AUTORESEARCH_STEPS", "none", "whole number"),
        ("AUTORESEARCH_TOKENS", "0", "at least 1"),
        ("AUTORESEARCH_BUDGET", "five", "number"),
        ("AUTORESEARCH_BUDGET", "nan", "at least 0.1"),
        ("AUTORESEARCH_BUDGET", "inf", "at least 0.1"),
        ("AUTORESEARCH_PROFILE", "huge", "full, mini"),
        ("AUTORESEARCH_COMPILE", "yes", "0 or 1"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(result.RunFailure) as stop:
        settings.read_settings(environment(**{name: value}))
    assert stop.value.code == result.EXIT_SETTING
    assert all(part in stop.value.reason for part in (name, value, expected))


@pytest.mark.parametrize(
    ("given_", "kind", "amount"),
    [
        ({}, "seconds", settings.BUDGET_S),
        ({"AUTORESEARCH_BUDGET": "20"}, "seconds", 20),
        ({"AUTORESEARCH_BUDGET": "20", "AUTORESEARCH_TOKENS": "5000"}, "tokens", 5000),
        ({"AUTORESEARCH_BUDGET": "20", "AUTORESEARCH_TOKENS": "5000", "AUTORESEARCH_STEPS": "7"}, "steps", 7),
    ],
)
def test_steps_outrank_tokens_and_tokens_outrank_seconds(given_: dict[str, str], kind: str, amount: float) -> None:
    read = settings.read_settings(environment(**given_))
    assert (read.kind, read.amount) == (kind, amount)

"""The schema of the settings block: what `--schema` prints is what is checked."""

import pytest
from pydantic import ValidationError

from agent.spec.schema import SettingsBlock, json_schema
from agent.spec.settings import _KEYS


def test_the_schema_has_every_key_that_a_refusal_lists_and_no_other() -> None:
    properties = json_schema()["properties"]
    assert isinstance(properties, dict)
    assert list(properties) == _KEYS.split(", ")


@pytest.mark.parametrize(
    "wrong",
    [{"cap": "500 steps"}, {"budget": 0}, {"seeds": [2**32]}, {"order": ["1A", "1A"]}, {"variants": 13}, {"only": []},
     {"variants": [{"id": "1A", "set": {}}]}, {"grid": {}}, {"confirm": "yes"}, {"min_gain": -1}],
)  # fmt: skip
def test_what_is_not_valid_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SettingsBlock.model_validate(wrong)

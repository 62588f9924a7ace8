"""The records: every kind says what it is, and each is one of those that the ledger reads."""

from dataclasses import fields
from typing import get_args

import pytest

from agent.core import records
from agent.core.records import Record


@pytest.mark.parametrize("kind", get_args(Record))
def test_every_record_names_its_kind_its_schema_and_its_time(kind: type) -> None:
    told = {field.name: field for field in fields(kind)}
    assert told["kind"].default
    assert told["schema"].default == records.SCHEMA
    assert {"issue", "at"} <= told.keys()


def test_no_two_kinds_share_a_name() -> None:
    names = [next(field.default for field in fields(kind) if field.name == "kind") for kind in get_args(Record)]
    assert len(set(names)) == len(names)

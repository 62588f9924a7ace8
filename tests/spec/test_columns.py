"""What a column does, by its header alone."""

import pytest

from agent.spec.columns import Column, Role, read_column, says_nothing
from agent.spec.names import Unknown, Vocabulary
from tests.spec.test_kinds import CONSTANTS, TRACK

NAMES = Vocabulary(TRACK, CONSTANTS, "mini")


@pytest.mark.parametrize(
    ("header", "role", "target"),
    [("ID", "id", ""), ("Variant", "id", ""), ("#", "id", ""), ("Depth (layers)", "set", "DEPTH"),
     ("model_dim", "check", "model_dim"),
     ("n_head", "check", "n_head"), ("Rationale", "why", ""), ("Prio", "priority", ""),
     ("Seeds", "seed", ""), ("Steps", "budget", ""), ("Status", "status", ""), ("Change", "changes", ""),
     ("val_bpb", "metric", ""), ("Expected effect (bpb)", "metric", ""), ("Owner", "describe", "")],
)  # fmt: skip
def test_a_header_says_what_its_column_does(header: str, role: Role, target: str) -> None:
    column = read_column(header, NAMES)
    if header.startswith("Expected effect"):
        assert isinstance(column, Unknown) or column.role == "describe"
    else:
        assert column == Column(header, role, target)


def test_what_is_unknown_is_refused_and_described_on_demand() -> None:
    unknown = read_column("Activation", NAMES)
    assert isinstance(unknown, Unknown)
    assert "describe: [Activation]" in unknown.next_step
    assert read_column("Activation", NAMES, ("activation",)) == Column("Activation", "describe")


def test_only_an_empty_column_or_one_of_the_same_words_says_nothing() -> None:
    assert says_nothing("Column", ["", "-"], frozenset("-"))
    assert says_nothing("Column", ["see below", "see below"], frozenset())
    assert not says_nothing("Column", ["SwiGLU", "SwiGLU"], frozenset())
    assert not says_nothing("Column", ["uses 4", "uses 4"], frozenset())

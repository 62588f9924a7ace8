"""A cell is exactly one value, keeps what there is, or is refused with what to write."""

import pytest

from agent.spec.cells import Misread, bare, read_cell


@pytest.mark.parametrize(
    ("cell", "present", "value"),
    [("12", 8, 12),
     ("12[^1]", 8, 12), ("12*", 8, 12), ("8 -> 12", 8, 12), ("8\u219212", 8, 12), ("8 (current)", 8, 8),
     ("current", 8, None), ("same", 0.5, None), ("-", "SSSL", None), ("SSSL -> SL", "SSSL", "SL"), 
     ("1e-2", 0.005, 0.01),
     ("5e-3", 0.005, 0.005), ("1,024", 8, 1024), ("2**10", 8, 1024), ("true", False, True), ("LLLS", "SSSL", "LLLS")],
)  # fmt: skip
def test_a_cell_is_read(cell: str, present: object, value: object) -> None:
    assert read_cell(cell, present) == value


@pytest.mark.parametrize(
    ("cell", "present", "advice"),
    [("0,005", 0.01, "write 0.005"), ("1,0", 8, "as 1,024 has"), ("+4", 8, "write the value itself: 12"),
     ("2x", 8, "write the value itself: 16"), ("\u00d72", 8, "write the value itself: 16"), ("50%", 0.1, "a share"),
     ("6-8", 8, "a row for each"), ("6 or 8", 8, "a row for each"), ("6 -> 12", 8, "such as 12"),
     ("", 8, "- to keep 8"),
     ("6 (current)", 8, "write 8"),
     ("12 (was 8)", 8, "or - to keep 8"), ("wide", 8, "a whole number such as 8"), ("same", "SSSL", "- to keep SSSL"),
     ("SSSL (as now)", "SSSL", "such as SSSL"), ("SSSL or L", "SSSL", "such as SSSL"),
     ("1", (1, 2), "int, float, str and bool")],
)  # fmt: skip
def test_what_is_not_exactly_one_value_is_refused_with_what_to_write(cell: str, present: object, advice: str) -> None:
    wrong = read_cell(cell, present)
    assert isinstance(wrong, Misread)
    assert advice in wrong.next_step


def test_a_footnote_at_the_end_is_no_part_of_a_cell() -> None:
    assert bare(" 12[^note]\u2020 ") == "12"

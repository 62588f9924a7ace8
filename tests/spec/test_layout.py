"""Tables in any layout become Markdown's, and every line keeps its number."""

import pytest

from agent.spec.layout import as_markdown, cells_of, is_id, is_row, is_ruler, shown_tag


def lines(text: str, code: frozenset[int] = frozenset()) -> list[tuple[str, int]]:
    return [(line.text.strip(), line.number) for line in as_markdown(text.split("\n"), code) if line.text.strip()]


def test_a_header_without_a_ruler_gets_one_and_the_rows_keep_their_numbers() -> None:
    assert lines("text\n\n| ID | D |\n| 1 | 2 |") == [
        ("text", 0), ("| ID | D |", 2), ("|---|---|", 2), ("| 1 | 2 |", 3)
    ]  # fmt: skip


def test_html_and_tabs_become_rows_at_their_own_lines() -> None:
    html = "<table>\n<tr><th>ID</th><th>D</th></tr>\n<tr><td>1</td>\n<td>a|b</td></tr>\n</table>\nend"
    assert lines(html) == [("| ID | D |", 1), ("|---|---|", 1), ("| 1 | a\\|b |", 2), ("end", 5)]
    assert lines("ID\tD\n1\t2") == [("| ID | D |", 0), ("|---|---|", 0), ("| 1 | 2 |", 1)]


def test_a_blank_line_between_rows_goes_and_one_before_another_table_stays() -> None:
    joined = as_markdown(["| ID | D |", "|---|---|", "| 1 | 2 |", "", "| 3 | 4 |"], frozenset())
    assert [line.number for line in joined] == [0, 1, 2, 4]
    apart = as_markdown(
        ["| ID | D |", "|---|---|", "| 1 | 2 |", "", "| ID | E |", "|---|---|", "| 3 | 4 |"], frozenset()
    )
    assert [line.number for line in apart] == [0, 1, 2, 3, 4, 5, 6]


def test_code_is_left_as_it_is() -> None:
    text = "ID\tD\n1\t2"
    assert [line.text for line in as_markdown(text.split("\n"), frozenset({0, 1}))] == text.split("\n")


@pytest.mark.parametrize(
    ("text", "row", "ruler"),
    [("| a | b |", True, False), ("|---|---|", True, True), ("> - | a | b |", True, False), ("a | b", False, False),
     ("--- | ---", False, True), ("-----", False, False)],
)  # fmt: skip
def test_rows_and_rulers(text: str, row: bool, ruler: bool) -> None:
    assert (is_row(text), is_ruler(text)) == (row, ruler)


def test_cells_and_id_columns() -> None:
    assert cells_of("> | a \\| b |  |") == ["a \\| b", ""]
    assert all(map(is_id, ["ID", "`id`", "Variant", "Exp.", "Run ID", "#"]))
    assert not is_id("Name")


@pytest.mark.parametrize(
    ("tag", "shown"),
    [("<br>", " "), ("<br/>", " "), ("</del>", "~~"), ("<sup>", "~~"), ("<b>", ""), ("<a href='x'>", "")],
)
def test_a_tag_that_parts_or_strikes_out_is_seen(tag: str, shown: str) -> None:
    assert shown_tag(tag) == shown

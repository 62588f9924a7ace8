"""An issue's document: what is a table, a paragraph under its headings or a settings block, and on which line."""

import pytest

from agent.core.experiment import Issue
from agent.spec.markdown import IssueDocument, parse_issue
from tests.spec.test_parser import parse


def page(body: str, source: str = "i.md", first_line: int = 1) -> IssueDocument:
    return parse_issue(Issue(7, "a title", body, source=source, first_line=first_line))


def test_a_page_is_parsed_once_for_its_track_and_for_all_else() -> None:
    issue = Issue(7, "a title", "| ID | DEPTH |\n|---|---|\n| 1A | 6 |")
    assert parse_issue(issue) is parse_issue(issue, "")


def test_tables_are_rows_of_plain_cells_with_their_lines() -> None:
    [table] = page("text\n\n| ID | `DEPTH` |\n|:--|--:|\n| **1A** | a \\| b |\n").tables
    assert (table.line, table.header, table.rows[1:]) == (2, ["ID", "DEPTH"], [(4, ["1A", "a | b"])])


def test_a_rule_of_long_dashes_is_a_rule() -> None:
    assert parse("| ID | DEPTH |\n|\u2014\u2014|\u2013\u2013|\n| 1A | 6 |").order == ("1A",)


@pytest.mark.parametrize("hidden", ["```\n{}\n```", "<!--\n{}\n-->", "    {}"])
def test_a_table_in_code_or_in_a_comment_is_no_table(hidden: str) -> None:
    table = "| ID | DEPTH |\n|---|---|\n| 1A | 6 |"
    assert page(hidden.format(table.replace("\n", "\n    ") if hidden[0] == " " else table)).tables == ()


def test_a_paragraph_knows_the_headings_it_stands_under() -> None:
    paragraphs = page("# Title\n\n## Run\n\n### Order\n\nfirst\n\n## Else\n\n- second\n").prose
    assert [(one.headings, one.text) for one in paragraphs] == [(("Run", "Order"), "first"), (("Else",), "second")]


def test_only_a_fence_whose_first_line_says_so_holds_settings() -> None:
    blocks = page("```yaml\n# autoresearch\ngate: lowest\n```\n\n```yaml\ngate: lowest\n```\n").blocks
    assert [block.content for block in blocks] == ["# autoresearch\ngate: lowest\n"]


@pytest.mark.parametrize("body", [">- <textarea\n>", "\x00", "> " * 99])
def test_an_odd_page_is_read(body: str) -> None:
    assert page(body).tables == ()


def test_a_line_is_the_files_where_there_is_a_file_and_the_issues_where_not() -> None:
    assert page("a\n\nbody", first_line=8).where(2) == "i.md:10"
    assert page("a\n\nbody", source="").where(2) == "issue #7, line 3"

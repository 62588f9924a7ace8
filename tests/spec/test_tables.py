"""Which tables are experiments: chosen, joined, continued, or refused; and what is like a table and is none."""

import pytest

from tests.spec.test_kinds import read, refused, sets

ONE = "| ID | DEPTH |\n|-|-|\n| 1A | 6 |\n| 1B | 10 |\n"
TWO = "| ID | HEAD_LR |\n|-|-|\n| 2A | 0.01 |\n"


def test_tables_that_stand_alike_all_run_and_results_do_not() -> None:
    results = "\n| ID | DEPTH | val_bpb |\n|-|-|-|\n| 0A | 6 | 1.1 |\n"
    assert read(f"{ONE}\n{TWO}\n{results}").order == ("1A", "1B", "2A")


def test_a_table_under_experiments_beside_one_that_is_not_must_be_chosen() -> None:
    body = f"## Notes\n\n{TWO}\n## Experiments\n\n{ONE}"
    assert "table: [1, ...]" in refused(body)
    assert read(f"{body}\n```yaml\n# autoresearch\ntable: Experiments\n```").order == ("1A", "1B")


def test_tables_with_some_ids_in_common_are_refused_and_with_the_same_ids_joined() -> None:
    assert "each has rows that the other lacks" in refused(f"{ONE}\nand\n\n{TWO.replace('2A', '1A')}")
    other = "| ID | HEAD_LR |\n|-|-|\n| 1B | 0.02 |\n| 1A | 0.01 |\n"
    assert sets(read(f"{ONE}\nand\n\n{other}")) == {
        "1A": {"DEPTH": 6, "HEAD_LR": 0.01}, "1B": {"DEPTH": 10, "HEAD_LR": 0.02}
    }  # fmt: skip
    assert "keep one of the two" in refused(f"{ONE}\nand\n\n{ONE.replace('10', '12')}")


@pytest.mark.parametrize("body", ["| ID | DEPTH |\n|-|-|\n", "| Name | DEPTH |\n|-|-|\n| x | 6 |\n"])
def test_without_rows_or_without_ids_a_table_is_refused_with_an_example(body: str) -> None:
    assert "a table looks like this" in refused(f"Text.\n\n{body}")


def test_a_row_that_belongs_to_no_table_is_refused() -> None:
    assert "belongs to no table" in refused(f"{ONE}\nAnd one more:\n\n| 1C | 12 |\n")


@pytest.mark.parametrize("cell", ["6<br>8", "<del>6</del>10", "10<sup>2</sup>", "<s>6</s> 10"])
def test_what_html_parts_or_strikes_out_in_a_cell_is_no_one_value(cell: str) -> None:
    assert "row 1A, column DEPTH" in refused(f"| ID | DEPTH |\n|-|-|\n| 1A | {cell} |")
    html = f"<table><tr><th>ID</th><th>DEPTH</th></tr><tr><td>1A</td><td>{cell}</td></tr></table>"
    assert "row 1A, column DEPTH" in refused(html)


def test_a_column_of_another_profile_is_refused() -> None:
    assert "TUNED" in refused("| ID | matrix_lr (full) |\n|-|-|\n| 1A | 0.02 |")

"""A table in any layout that people use reads as the same variants, and no text takes long or ends in a traceback."""

import contextlib
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Issue
from agent.spec import parser
from tests.spec.test_kinds import CONSTANTS, TRACK, read, sets

Rows = Sequence[Sequence[str]]
COLUMNS: dict[str, tuple[str, st.SearchStrategy[object]]] = {
    "DEPTH": ("DEPTH", st.integers(1, 64)),
    "HEAD_LR": ("HEAD_LR", st.sampled_from([0.001, 0.02, 3e-4])),
    "Window pattern": ("TUNED.mini.window_pattern", st.sampled_from(["SSL", "L", "SL"])),
    "batch size": ("TUNED.mini.total_batch", st.sampled_from([1024, 4096, 8192])),
}


def piped(rows: Rows) -> str:
    return "\n".join([row(rows[0]), row(["---"] * len(rows[0])), *map(row, rows[1:])])


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def aligned(rows: Rows) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    full = [[cell.ljust(width) for cell, width in zip(one, widths, strict=True)] for one in rows]
    return "\n".join(
        [row(full[0]), row([":" + "-" * max(1, width - 2) + ":" for width in widths]), *map(row, full[1:])]
    )


def html(rows: Rows) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in one) + "</tr>" for one in rows]
    return "\n".join(["<table>", *lines, "</table>"])


def boxed(rows: Rows) -> str:
    rule = "+" + "---+" * len(rows[0])
    return "\n".join(
        [rule, row(rows[0]), rule.replace("-", "="), *(line for one in rows[1:] for line in (row(one), rule))]
    )


LAYOUTS: dict[str, Callable[[Rows], str]] = {
    "piped": piped,
    "aligned": aligned,
    "bare": lambda rows: piped(rows).replace("\n| ", "\n").replace(" |\n", "\n").strip("| "),
    "no ruler": lambda rows: "\n".join(map(row, rows)),
    "double ruler": lambda rows: piped(rows).replace("---", "==="),
    "full-width": lambda rows: piped(rows).replace("|", "\uff5c"),
    "tabs": lambda rows: "\n".join("\t".join(one) for one in rows),
    "html": html,
    "boxed": boxed,
    "gaps": lambda rows: "\n".join([row(rows[0]), row(["---"] * len(rows[0])), "\n\n".join(map(row, rows[1:]))]),
    "comments": lambda rows: piped(rows[:2]) + "".join(f"\n<!-- next -->\n{row(one)}" for one in rows[2:]),
    "list": lambda rows: "- the variants\n\n" + "\n".join("  " + line for line in piped(rows).split("\n")),
    "quote": lambda rows: "\n".join("> " + line for line in piped(rows).split("\n")),
    "details": lambda rows: f"<details>\n<summary>s</summary>\n\n{piped(rows)}\n\n</details>",
    "numbered": lambda rows: "1. first\n\n" + "\n".join("   " + line for line in piped(rows).split("\n")),
}
HEADERS: list[Callable[[str], str]] = [
    str, str.lower, str.upper, "**{}**".format, "`{}`".format, "{}[^1]".format, "{} (unit)".format, "{}:".format,
    "{}\u00b9".format,
]  # fmt: skip
CELLS: list[Callable[[str], str]] = [str, str, "**{}**".format, "`{}`".format, "{}[^2]".format, "{}*".format]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], dict[str, dict[str, object]]]:
    """Draw the header and rows of a table in some dress, and what each of its variants sets."""
    names = draw(st.lists(st.from_regex(r"[1-9][A-F]", fullmatch=True), min_size=1, max_size=5, unique=True))
    used = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True))
    values = {name: {header: draw(COLUMNS[header][1]) for header in used} for name in names}
    columns = draw(st.permutations(["ID", *used]))
    dressed = [column if column == "ID" else draw(st.sampled_from(HEADERS))(column) for column in columns]
    rows = [
        [name if c == "ID" else draw(st.sampled_from(CELLS))(str(values[name][c])) for c in columns] for name in names
    ]
    expected = {name: {COLUMNS[c][0]: values[name][c] for c in columns if c != "ID"} for name in names}
    return [dressed, *rows], expected


def plain(rows: Rows) -> list[list[str]]:
    """Return the rows without Markdown's marks, which HTML and tabs have not."""
    return [[cell.replace("*", "").replace("`", "") for cell in one] for one in rows]


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25, deadline=None)
@given(tables(), st.sampled_from(["\n", "\r\n"]))
def test_a_table_reads_the_same_in_any_layout(
    layout: str, case: tuple[list[list[str]], dict[str, dict[str, object]]], end: str
) -> None:
    rows, expected = case
    rows = plain(rows) if layout in ("html", "tabs") else rows
    body = f"Some shapes to try.\n\n{LAYOUTS[layout](rows)}\n\nThat is all.".replace("\n", end)
    assert sets(read(body)) == expected


PIECES = [
    "each run is ", "5 minutes ", "a budget of ", "Run 1A first, ", "then ", "1A-", "1A, ", "skip ", "only ",
    "| ", "|---",
    "<table><tr><td>", "<table>", "if 1A wins by more than 0.01 ", "Adopt only if val_bpb ", "at least ", "DEPTH = ",
    "seeds 1, 2 and ", "0,0", "-> ", "\t", "> ", "- ", "(", "[^", "**", "`", "\uff5c", "+--", "=== ", "about ", "the ",
    "run ", "baseline ", "1 ", "e.g. ",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_no_piece_of_text_however_often_takes_long(piece: str) -> None:
    start = time.process_time()
    for body in (piece * 3000, f"| ID | DEPTH |\n|-|-|\n| 1A | 6 |\n\n## Execution\n\n{piece * 3000}\n"):
        with contextlib.suppress(BadInput):
            parser.parse(Issue(7, "t", body, ("experiment",), source="i.md"), TRACK, CONSTANTS, "mini")
    assert time.process_time() - start < 6


ENDS = ["\n", "\n\n", "# Execution\n\n", "## Decision Gate\n\n", "| ID | DEPTH |\n", "| 1A | 6 |\n"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, *ENDS])).map("".join))
def test_no_mixture_of_pieces_raises_anything_but_bad_input(body: str) -> None:
    with contextlib.suppress(BadInput):
        read(body)

"""An issue as a document: its tables, its paragraphs under their headings, its settings block, and its lines.

`read` is the door for what an issue says: whatever comes of a page, its issue included, is plain text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agent.core.errors import BadInput
from agent.core.experiment import Issue
from agent.core.sanitize import describe_removed, end_line, strip_control, strip_hidden

Cells = tuple[int, list[str]]  # a row of a table: its line and its cells


@dataclass(frozen=True)
class Paragraph:
    """A paragraph or list item as plain text, under its headings."""

    headings: tuple[str, ...]
    text: str
    lines: tuple[int, int]


@dataclass(frozen=True)
class IssueDocument:
    """What of an issue is read. Lines count from 0 here, and as an editor shows them in `where`.

    `issue` is as it was read; `removed` says how much of what was fetched was not, and is empty where all was.
    """

    issue: Issue
    lines: tuple[str, ...]
    tables: tuple[list[Cells], ...]
    prose: tuple[Paragraph, ...]
    blocks: tuple[Token, ...]
    removed: str = ""

    def where(self, line: int | None) -> str:
        name = self.issue.source or f"issue #{self.issue.number}"
        if line is None:
            return name
        at = self.issue.first_line + line
        return f"{name}:{at}" if self.issue.source else f"{name}, line {at}"

    def error(self, problem: str, line: int | None, next_step: str) -> BadInput:
        unread = f"; not read of this issue: {self.removed}" if self.removed else ""
        return BadInput(problem, where=self.where(line), next_step=next_step + unread)

    def line_of(self, prose: Paragraph, words: str) -> int:
        """Return the first line of a paragraph that holds `words` (or their first line), else the paragraph's first."""
        first, last = prose.lines
        start = words.split("\n")[0].strip()
        return next((line for line in range(first, last) if start in self.lines[line]), first)


DASH = r"\u2013\u2014\u2212"  # what some editors make of a hyphen
_RULER = re.compile(rf"^(?=[^\n]*\|)[ \t:|\-{DASH}]+$", re.MULTILINE)  # the row under a table's header


@lru_cache(maxsize=2)  # a plan reads an issue twice: for its track, then for all else
def parse_issue(issue: Issue) -> IssueDocument:
    """Return the document of an issue as it was fetched: its own line numbers, and of its text what a person sees."""
    shown = replace(issue, title=" ".join(strip_hidden(issue.title).split()), body=strip_hidden(issue.body))
    text = _RULER.sub(lambda ruler: re.sub(f"[{DASH}]", "-", ruler[0]), shown.body)
    tokens = [
        Token("start", "", 0),
        *MarkdownIt("commonmark").enable("table").parse(end_line(text)),
    ]  # readers look one back
    return IssueDocument(
        shown,
        tuple(text.split("\n")),
        tuple(_tables(tokens)),
        tuple(_paragraphs(tokens)),
        tuple(token for token in tokens if token.type == "fence" and _is_settings(token)),
        describe_removed(issue.title, issue.body),
    )


def _is_settings(fence: Token) -> bool:
    named = fence.info.strip().lower() in ("yaml", "yml", "")
    return named and fence.content.split("\n")[0].strip() == "# autoresearch"


def _tables(tokens: Sequence[Token]) -> Iterator[list[Cells]]:
    for before, token in pairwise(tokens):
        if token.type == "table_open":
            rows: list[Cells] = []
        elif token.type == "tr_open":
            rows.append((lines_of(token)[0], []))
        elif token.type == "inline" and before.type in ("th_open", "td_open"):
            rows[-1][1].append(_text(token).strip())
        elif token.type == "table_close":
            yield rows


def _paragraphs(tokens: Sequence[Token]) -> Iterator[Paragraph]:
    headings: list[tuple[int, str]] = []
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == "heading_open":
            level = int(before.tag[1])
            headings = [*(held for held in headings if held[0] < level), (level, _text(token))]
        elif token.type == "inline" and before.type == "paragraph_open":
            above = (name for level, name in headings if level > 1 or len(headings) == 1)  # an h1 is a title
            yield Paragraph(tuple(above), _text(token), lines_of(token))


def lines_of(token: Token) -> tuple[int, int]:
    first, last = token.map or (0, 0)
    return first, last


def _text(token: Token) -> str:
    """Return the text of an inline token as a reader sees it: no markup or HTML, one newline a line."""
    shown = {"softbreak": "\n", "hardbreak": "\n", "html_inline": ""}
    return strip_control("".join(shown.get(part.type, part.content) for part in token.children or ()))

"""An issue as a document: its tables, its paragraphs under their headings, its settings block, and its lines.

`parse_issue` is the door for what an issue says: whatever comes of a page, its issue included, is plain text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from agent.core.errors import BadInput, NotUnderstood
from agent.core.experiment import Issue, ReadAs
from agent.core.frozen import frozen
from agent.core.sanitize import describe_removed, end_line, strip_control, strip_hidden
from agent.spec.layout import as_markdown, shown_tag

Cells = tuple[int, list[str]]  # a row of a table: its line and its cells
_CONFIG = frozenset({"json", "jsonc", "json5", "toml", "ini", "cfg", "conf", "config", "env", "dotenv", "properties"})
_LONGEST = 200  # characters of a line that is quoted in what was read


@frozen
class Paragraph:
    """A paragraph or list item as plain text, under its headings."""

    headings: tuple[str, ...]
    text: str
    lines: tuple[int, int]


@frozen
class Table:
    """A table under its headings: the header and then every row, as plain text."""

    headings: tuple[str, ...]
    rows: list[Cells]

    @property
    def line(self) -> int:
        return self.rows[0][0]

    @property
    def header(self) -> list[str]:
        return self.rows[0][1]


@frozen
class IssueDocument:
    """What of an issue is read. Lines count from 0 here, tables in them are Markdown's; `numbers` has each one's place
    in the issue, and `where` shows it as an editor does.

    `issue` is as it was read; `removed` says how much of what was fetched was not, and is empty where all was.
    `titles` are all headings, each with its line.
    """

    issue: Issue
    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    tables: tuple[Table, ...]
    prose: tuple[Paragraph, ...]
    titles: tuple[tuple[int, str], ...]
    blocks: tuple[Token, ...]
    fences: tuple[Token, ...]
    removed: str = ""
    given: int = 0  # lines at the beginning that are a settings block which somebody else wrote

    def number(self, line: int | None) -> int | None:
        """Return the line of the source that a line here stands on, from 1; None where it is in no line of it."""
        at = -1 if line is None else self.numbers[min(line, len(self.numbers) - 1)] - self.given
        return None if at < 0 else self.issue.first_line + at

    def where(self, line: int | None) -> str:
        name = self.issue.source or f"issue #{self.issue.number}"
        number = self.number(line)
        if number is None:
            return name
        return f"{name}:{number}" if self.issue.source else f"{name}, line {number}"

    def error(self, problem: str, line: int | None, next_step: str) -> BadInput:
        """Return why the issue is refused, at its line; a model may be asked what an issue without a block means."""
        unread = f"; not read of this issue: {self.removed}" if self.removed else ""
        kind = BadInput if self.blocks else NotUnderstood
        return kind(problem, where=self.where(line), next_step=next_step + unread)

    def read_as(self, line: int | None, text: str, means: str) -> ReadAs:
        """Return what is shown of something that was read."""
        shown = " ".join(text.split())
        return ReadAs(self.number(line), shown[:_LONGEST], means)

    def line_of(self, prose: Paragraph, words: str) -> int:
        """Return the first line of a paragraph that holds `words` (or their first line), else the paragraph's first."""
        first, last = prose.lines
        start = words.strip().split("\n")[0].strip()
        return next((line for line in range(first, last) if start in self.lines[line]), first)


def parse_issue(issue: Issue, block: str = "") -> IssueDocument:
    """Return the document of an issue as it was fetched: its own line numbers, and of its text what a person sees.

    `block` is a settings block that somebody else wrote for it.
    """
    if not block:
        return _parse(issue)
    given = f"```yaml\n# autoresearch\n{block.removeprefix('# autoresearch').strip()}\n```\n\n"
    page = _parse(replace(issue, body=given + issue.body))
    own = replace(page.issue, body=strip_hidden(issue.body))
    return replace(page, issue=own, given=given.count("\n"), removed=describe_removed(issue.title, issue.body))


@lru_cache(maxsize=2)  # a plan reads an issue twice: for its track, then for all else
def _parse(issue: Issue) -> IssueDocument:
    shown = replace(issue, title=" ".join(strip_hidden(issue.title).split()), body=strip_hidden(issue.body))
    source = shown.body.split("\n")
    tokens = _tokens(source)
    lines = as_markdown(source, _code(tokens))
    if (texts := [line.text for line in lines]) != source:
        tokens = _tokens(texts)
    tokens = [Token("start", "", 0), *tokens]  # readers look one back
    return IssueDocument(
        issue=shown,
        lines=tuple(line.text for line in lines),
        numbers=tuple(line.number for line in lines),
        tables=tuple(_tables(tokens)),
        prose=tuple(_paragraphs(tokens)),
        titles=tuple(_titles(tokens)),
        blocks=tuple(token for token in tokens if token.type == "fence" and _is_settings(token)),
        fences=tuple(token for token in tokens if token.type in ("fence", "code_block")),
        removed=describe_removed(issue.title, issue.body),
    )


def _tokens(lines: Sequence[str]) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(end_line("\n".join(lines)))


def _code(tokens: Sequence[Token]) -> frozenset[int]:
    """Return the numbers of the lines that are code."""
    code = (token for token in tokens if token.type in ("fence", "code_block"))
    return frozenset(number for token in code for number in range(*lines_of(token)))


def _is_settings(fence: Token) -> bool:
    return is_yaml(fence) and re.match(r"#\s*autoresearch\b", fence.content, re.IGNORECASE) is not None


def code_lines(fence: Token) -> Iterator[tuple[int, str]]:
    """Yield the lines of a block of code, each with its number, from 0."""
    yield from enumerate(fence.content.split("\n"), lines_of(fence)[0] + (fence.type == "fence"))


def is_yaml(fence: Token) -> bool:
    """Return whether a fence may hold YAML: it says so, or says nothing."""
    return [*fence.info.lower().split(), ""][0] in ("yaml", "yml", "")


def is_config(fence: Token) -> bool:
    """Return whether a fence may hold settings: YAML, or another language of settings."""
    return is_yaml(fence) or [*fence.info.lower().split(), ""][0] in _CONFIG


def _tables(tokens: Sequence[Token]) -> Iterator[Table]:
    for headings, before, token in _under_headings(tokens):
        if token.type == "table_open":
            rows: list[Cells] = []
        elif token.type == "tr_open":
            rows.append((lines_of(token)[0], []))
        elif token.type == "inline" and before.type in ("th_open", "td_open"):
            rows[-1][1].append(_text(token).strip())
        elif token.type == "table_close":
            yield Table(headings, rows)


def _paragraphs(tokens: Sequence[Token]) -> Iterator[Paragraph]:
    for headings, before, token in _under_headings(tokens):
        if token.type == "inline" and before.type == "paragraph_open":
            yield Paragraph(headings, _text(token), lines_of(token))
        elif token.type == "html_block" and (text := _shown_text(token.content)):
            yield Paragraph(headings, text, lines_of(token))


def _shown_text(html: str) -> str:
    """Return what a reader sees of a block of HTML that is no table, a line for each that shows something."""
    if re.search(r"<(?:table|tr|td|th|script|style|pre|code)\b|^\s*\|", html, re.IGNORECASE | re.MULTILINE):
        return ""
    lines = (re.sub(r"<[^>]*>", lambda tag: shown_tag(tag[0]), line).strip() for line in html.split("\n"))
    return strip_control("\n".join(line for line in lines if line))


def _titles(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == "heading_open":
            yield lines_of(token)[0], _text(token)


def _under_headings(tokens: Sequence[Token]) -> Iterator[tuple[tuple[str, ...], Token, Token]]:
    """Yield the headings above each token, the token before it, and the token."""
    headings: list[tuple[int, str]] = []
    for before, token in pairwise(tokens):
        if token.type == "inline" and before.type == "heading_open":
            level = int(before.tag[1])
            headings = [*(held for held in headings if held[0] < level), (level, _text(token))]
        yield (
            tuple(name for level, name in headings if level > 1 or len(headings) == 1),
            before,
            token,
        )  # an h1 is a title


def lines_of(token: Token) -> tuple[int, int]:
    first, last = token.map or (0, 0)
    return first, last


def _text(token: Token) -> str:
    """Return the text of an inline token as a reader sees it: no markup or HTML, one newline a line."""
    shown = {"softbreak": "\n", "hardbreak": "\n"}
    pieces = [
        shown_tag(part.content) if part.type == "html_inline" else shown.get(part.type, part.content)
        for part in token.children or ()
    ]
    return strip_control("".join(pieces))

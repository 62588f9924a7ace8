"""Text that others wrote (issues, logs, reasons): what may be read of it, and what may be posted. Pure.

`strip_hidden` is for whatever reads, a parser or a model: it sees what a person sees on GitHub and no more.
`make_postable` is for whatever is shown: a comment, a note, a commit, a table. Standard library; markdown-it only for a
text that has comments and fences.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

REDACTED = "[redacted]"
_SHORTEST_SECRET = 6  # a shorter value would be found in any text

# --- what may be read -------------------------------------------------------------------------------------

# Sequences that a terminal obeys: strings (title, clipboard, device), control sequences, and the short ones.
_ANSI = re.compile(r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
                   r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]")  # fmt: skip
# Beside the categories: letters and marks that are drawn as nothing (Unicode's default ignorables), and blank glyphs.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
                    "\U000e0000-\U000e0fff]")  # fmt: skip
# What a browser takes for a comment. Where nothing closes it, all the rest is: so does GitHub where it begins a line.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<![A-Za-z].*?(?:>|\Z)", re.DOTALL)
_OPENER = re.compile(r"<!--|<\?|<!\[CDATA\[|<![A-Za-z]")
_MAX_PASSES = 4  # over a text whose comments, once removed, move its fences; what is left is then removed everywhere


def strip_control(text: str) -> str:
    """Return the text without hidden characters and terminal sequences; every line end (CR LF, CR) is a newline.

    Hidden are format and control characters (but newline and tab), variation selectors, tags, surrogates, and letters
    that are drawn as nothing. A family emoji falls into its members, for the joiner between them is such a character.
    """
    text = _ANSI.sub("", _lf(text))
    return text.translate({ord(char): None for char in set(text) if _hidden(char)} | {0x2028: " ", 0x2029: " "})


def end_line(text: str) -> str:
    """Return the text with a line end at its end, without which markdown-it 4.3 raises IndexError for some texts."""
    return text if text.endswith("\n") else f"{text}\n"


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hidden(char: str) -> bool:
    if char in "\n\t":
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Cs") or _BLANK.match(char) is not None


def strip_hidden(text: str, limit: int | None = None) -> str:
    """Return what may be read of a text: no hidden characters, terminal sequences and HTML comments. Idempotent.

    Lines keep their numbers: where a comment spans lines its line ends stay. A comment within a line leaves a blank
    (or the blank beside it), so that what it parts cannot join to be another. `limit` bounds the length.

    A comment in a fenced code block is text, as GitHub shows it, where the fence stands at the margin and no HTML is
    before it. In whatever else may be code (a span, an indented fence) comments are removed.
    """
    return _bounded(_remove_comments(strip_control(text))[0], limit)


def _remove_comments(text: str) -> tuple[str, list[str]]:
    """Return the text without its comments, and the comments. What is removed may move the fences after it."""
    comments: list[str] = []
    for _ in range(_MAX_PASSES):
        text, removed = _remove_outside(text, _fences(text) if _OPENER.search(text) else [])
        if not removed:
            return text, comments
        comments += removed
    text, removed = _remove_outside(text, [])
    return text, comments + removed


def _remove_outside(text: str, fences: Sequence[tuple[int, int]]) -> tuple[str, list[str]]:
    """Return the text without the comments that begin outside of `fences` (ascending places in it), and those."""
    kept, comments, at, last = list[str](), list[str](), 0, 0
    starts = [start for start, _ in fences]
    while opener := _OPENER.search(text, at):
        fence = bisect_right(starts, opener.start()) - 1
        if fence >= 0 and opener.start() < fences[fence][1]:
            at = fences[fence][1]
            continue
        comment = _COMMENT.match(text, opener.start())
        assert comment is not None
        kept += [text[last : comment.start()], _gap(text, comment)]
        comments.append(comment[0])
        at = last = comment.end()
    return "".join([*kept, text[last:]]), comments


def _gap(text: str, comment: re.Match[str]) -> str:
    """Return what takes the place of a comment."""
    beside = text[comment.start() - 1 : comment.start()], text[comment.end() : comment.end() + 1]
    return "\n" * comment[0].count("\n") or ("" if any(not char.strip() for char in beside) else " ")


def _fences(text: str) -> list[tuple[int, int]]:
    """Return where the contents of fenced code blocks at the margin begin and end, up to the first HTML.

    GitHub's parser is an older CommonMark than markdown-it's and ends some HTML elsewhere (`<textarea>`): what is a
    fence after it, markdown-it cannot tell.
    """
    if "```" not in text and "~~~" not in text:
        return []
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    places = []
    for token in _blocks().parse(end_line(text)):
        first, end = token.map or (0, 0)
        if token.type == "html_block" and not _OPENER.match(lines[first].lstrip()):
            break
        if token.type == "fence" and token.level == 0 and lines[first][0] in "`~":
            places.append((starts[first + 1], starts[end]))
    return places


@cache
def _blocks() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # loaded for the few texts that need it

    return MarkdownIt("commonmark").enable("table").disable("inline")  # blocks alone: what is in a line takes longer


def _bounded(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[: max(0, limit - 1)]}…"


def describe_removed(*texts: str) -> str:
    """Return how much `strip_hidden` takes out of these texts, in words; empty where that is nothing."""
    shown = [strip_control(text) for text in texts]
    comments = [comment for text in shown for comment in _remove_comments(text)[1]]
    hidden = sum(len(_lf(text)) for text in texts) - sum(map(len, shown))
    counts = [_count(hidden, "hidden character")] if hidden else []
    if comments:
        counts.insert(0, f"{_count(len(comments), 'HTML comment')} ({_count(sum(map(len, comments)), 'character')})")
    return " and ".join(counts)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# --- what may be posted -----------------------------------------------------------------------------------

_SECRETS = re.compile(
    r"sk-ant-[\w-]{6,}|gh[a-z]_[A-Za-z0-9]{10,}|github_pat_\w{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}|hf_[A-Za-z0-9]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?P<kept>bearer\s+)[\w.~+/=-]{8,}",
    re.DOTALL | re.IGNORECASE,
)
_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")  # how the name of an environment variable with a secret ends
# GitHub reads a mention or a reference through a backslash and through an entity; only another character helps. These
# are visible, look alike, and no Unicode normalisation makes them what they stand for (of U+FF20 it makes an @).
_DEFUSED = (
    (re.compile("[@\ufe6b\uff20]"), "ⓐ"),
    (re.compile(r"[#\ufe5f\uff03](?=\d)"), "\N{MUSIC SHARP SIGN}"),
    (re.compile(r"(?<![A-Za-z0-9])(gh)-(?=\d)", re.IGNORECASE), "\\1\N{HYPHEN}"),
    (re.compile(r"://(?=[^\s/]{0,250}github)", re.IGNORECASE), "\N{RATIO}//"),
    (re.compile(r"(?<![A-Za-z0-9])(www)\.(?=[^\s/]{0,250}github)", re.IGNORECASE), "\\1\N{ONE DOT LEADER}"),
    (re.compile(r"&(?=#?\w+;)"), "& "),
)


def secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of variables whose names end like those of secrets, longest first."""
    values = {value.strip() for name, value in environment.items() if name.upper().endswith(_NAMES)}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))


def redact(text: str, known: Sequence[str] = ()) -> str:
    """Return the text without what looks like a key or a token, and without the `known` secrets."""
    for secret in known:
        text = text.replace(secret, REDACTED)
    return _SECRETS.sub(lambda secret: (secret["kept"] or "") + REDACTED, text)


def make_postable(text: str, known: Sequence[str] = ()) -> str:
    """Return what may be shown of a text: nothing hidden, no secret, nobody and no issue that GitHub would notify."""
    text = redact(strip_hidden(text), known)
    for active, shown in _DEFUSED:
        text = active.sub(shown, text)
    return text


def one_line(text: str, known: Sequence[str] = (), limit: int | None = None) -> str:
    """Return a text as one line to be posted; secrets are gone before it is cut to `limit`."""
    return _bounded(" ".join(make_postable(text, known).split()), limit)


def fenced(text: str, language: str = "") -> str:
    """Return the text in a Markdown code fence that it cannot close, longer than any run of ticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"

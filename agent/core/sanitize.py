"""Text that others wrote (issues, logs, reasons): what may be read of it, and what may be posted. Standard library.

`plain` is for whatever reads, a parser or a model: it sees what a person sees on GitHub and no more. `posted` is for
whatever is shown: a comment, a note, a commit, a table. Neither reads anything but its arguments.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

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
_COMMENT = r"<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<![A-Za-z].*?(?:>|\Z)"
_LEADS = r"[ \t>*+\d.)-]"  # what may stand before the text of a line: indents, quotes, list markers
_EVENT = re.compile(
    r"(?P<code>^(?P<tick>`{3,})(?!`)[^`<\n]*$.*?(?:^ {0,3}(?P=tick)`*[ \t]*$|\Z)"
    r"|^(?P<tilde>~{3,})(?!~)[^<\n]*$.*?(?:^ {0,3}(?P=tilde)~*[ \t]*$|\Z))"
    rf"|(?P<doubt>^{_LEADS}*(?:```|~~~|<[A-Za-z/]))|(?P<comment>{_COMMENT})",
    re.DOTALL | re.MULTILINE,
)
_ANY_COMMENT = re.compile(_COMMENT, re.DOTALL)


def strip_control(text: str) -> str:
    """The text without hidden characters and terminal sequences; every line end (CR LF, CR) is a newline.

    Hidden are format and control characters (but newline and tab), variation selectors, tags, surrogates, and letters
    that are drawn as nothing. A family emoji falls into its members, for the joiner between them is such a character.
    """
    text = _ANSI.sub("", _lf(text))
    return text.translate({ord(char): None for char in set(text) if _hidden(char)} | {0x2028: " ", 0x2029: " "})


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hidden(char: str) -> bool:
    if char in "\n\t":
        return False
    return unicodedata.category(char) in ("Cc", "Cf", "Cs") or _BLANK.match(char) is not None


def strip_hidden(text: str, limit: int | None = None) -> str:
    """What may be read of a text: without hidden characters, terminal sequences and HTML comments. Idempotent.

    Lines keep their numbers: where a comment spans lines its line ends stay. A comment within a line leaves a blank
    (or the blank beside it), so that what it parts cannot join to be another. `limit` bounds the length.

    A comment in a fenced code block is text, as GitHub shows it, where the fence stands at the margin. What else may
    be code (a span, an indented fence) is not told apart from its imitations without GitHub's own parser: there, and
    after whatever leaves a later fence in doubt, comments are removed.
    """
    return _bounded(_comments(strip_control(text))[0], limit)


def _comments(text: str) -> tuple[str, list[str]]:
    """The text without its comments, and the comments."""
    found: list[str] = []

    def gap(event: re.Match[str]) -> str:
        if event.re is _EVENT and event["comment"] is None:
            return event[0]
        found.append(event[0])
        around = event.string[event.start() - 1 : event.start()], event.string[event.end() : event.end() + 1]
        return "\n" * event[0].count("\n") or ("" if any(not char.strip() for char in around) else " ")

    sure = _in_doubt_from(text)
    return _EVENT.sub(gap, text[:sure]) + _ANY_COMMENT.sub(gap, text[sure:]), found


def _in_doubt_from(text: str) -> int:
    """Where the line begins from which on it is not sure what is code: HTML or an indented fence can undo a fence."""
    for event in _EVENT.finditer(text):
        first, last = text.rfind("\n", 0, event.start()) + 1, text.find("\n", event.end())
        beside = text[first : event.start()] + text[event.end() : last if last >= 0 else len(text)]
        if event["doubt"] or (event["comment"] and beside.strip()):
            return first
    return len(text)


def _bounded(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else f"{text[: max(0, limit - 1)]}…"


def describe_removed(*texts: str) -> str:
    """How much `plain` takes out of these texts, in words; empty where that is nothing."""
    shown = [strip_control(text) for text in texts]
    comments = [comment for text in shown for comment in _comments(text)[1]]
    hidden = sum(len(_lf(text)) for text in texts) - sum(map(len, shown))
    told = [_count(len(comments), "HTML comment") + f" ({_count(sum(map(len, comments)), 'character')})"]
    return " and ".join([*told[: len(comments)], *([_count(hidden, "hidden character")] if hidden else [])])


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
    """The values of variables whose names end like those of secrets, longest first."""
    values = {value.strip() for name, value in environment.items() if name.upper().endswith(_NAMES)}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True))


def redact(text: str, known: Sequence[str] = ()) -> str:
    """The text without what looks like a key or a token, and without the `known` secrets."""
    for secret in known:
        text = text.replace(secret, REDACTED)
    return _SECRETS.sub(lambda found: (found["kept"] or "") + REDACTED, text)


def make_postable(text: str, known: Sequence[str] = ()) -> str:
    """What may be shown of a text: plain, without secrets, and naming nobody and no issue that GitHub would notify."""
    text = redact(strip_hidden(text), known)
    for active, shown in _DEFUSED:
        text = active.sub(shown, text)
    return text


def one_line(text: str, known: Sequence[str] = (), limit: int | None = None) -> str:
    """A text as one line to be posted; secrets are gone before it is cut to `limit`."""
    return _bounded(" ".join(make_postable(text, known).split()), limit)


def fenced(text: str, language: str = "") -> str:
    """The text in a Markdown code fence that it cannot close: the fence is longer than any run of ticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"

"""Settings that stand in prose, where no table is: a table in words, which is no change of code for an editor. Pure."""

import re
from collections.abc import Iterator

from agent.core.values import number
from agent.spec.markdown import IssueDocument
from agent.spec.names import Vocabulary
from agent.spec.sentences import PAST

_NAME = r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b|\b[a-z]+(?:_[a-z0-9]+)+\b|\bTUNED(?:\.\w+)+"
_MARKS = r"[`*\"']*"
_VALUE = r"(?P<value>-?[0-9][0-9.,]*(?:e-?[0-9]+)?)"
_ASSIGNS = re.compile(rf"{_MARKS}\s*(?:=|:|->|\u2192)\s*{_MARKS}[\[{{(]?\s*{_VALUE}", re.IGNORECASE)
_NEAR = re.compile(rf"{_MARKS}[^.;\n0-9]{{0,24}}?{_VALUE}", re.IGNORECASE)
_COUNTED = re.compile(r"(?<![\w.])(?P<value>[0-9]+)[ -]$")  # 12 layers
_ASKS = re.compile(
    r"\b(?:try|run|test|compare|sweep|set|use|vary|with|scan|raise|lower|increase|decrease|reduce|tune|double|halve"
    r"|change|go(?:es)?|grid)\b",
    re.IGNORECASE,
)
_ADVICE = (
    "list the variants in a table or in the settings block (variants:, or grid: for all combinations); "
    "for an editor to write the change, say there: strategy: freeform"
)


def check_no_settings(page: IssueDocument, names: Vocabulary) -> None:
    """Raise BadInput, with the line, where prose without a table gives a constant another value than it has."""
    for first, text in _texts(page):
        for at, line in enumerate(text.split("\n"), first):
            for name, value in _given(line, names):
                if not _is_present(name, value, names):
                    shown = " ".join(line.split())[:100]
                    raise page.error(f"{shown!r} gives {name} a value, and there is no table", at, _ADVICE)


def _texts(page: IssueDocument) -> Iterator[tuple[int, str]]:
    for prose in page.prose:
        if not any(heading.casefold().startswith(PAST) for heading in prose.headings):
            yield prose.lines[0], prose.text
    yield from page.titles


def _given(line: str, names: Vocabulary) -> Iterator[tuple[str, str]]:
    """Yield each name in a line that is given a value, and the value."""
    asks = _ASKS.search(line) is not None
    for match in re.finditer(f"{_NAME}|{_spoken(names)}", line[:2000]):
        if not names.knows(match[0]) and not names.knows(match[0].lower()):
            continue
        value = _ASSIGNS.match(line, match.end())
        if value is None and asks:
            value = _NEAR.match(line, match.end()) or _COUNTED.search(line, 0, match.start())
        if value:
            yield match[0], value["value"].rstrip(".,")


def _spoken(names: Vocabulary) -> str:
    """Return a pattern of what people call constants in words of their own, such as `learning rate`."""
    aliases = {alias.lower() for known in names.track.aliases.values() for alias in known if alias.islower()}
    return "|".join(rf"\b(?i:{re.escape(alias)})s?\b" for alias in sorted(aliases, key=len, reverse=True)) or "(?!)"


def _is_present(name: str, value: str, names: Vocabulary) -> bool:
    """Return whether a constant has just this value: a text that says so describes."""
    target = names.resolve(name)
    return isinstance(target, str) and names.constants[target] == number(value)

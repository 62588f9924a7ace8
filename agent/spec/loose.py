"""Settings that stand in prose, where no table is: a table in words, which is no change of code for an editor. Pure."""

import re
from collections.abc import Iterator

from agent.core.values import number
from agent.spec.markdown import IssueDocument
from agent.spec.names import Vocabulary
from agent.spec.sentences import PAST, sentences

_NAME = r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b|\b[a-z]+(?:_[a-z0-9]+)+\b|\bTUNED(?:\.\w+)+"
_MARKS = r"[`*\"'}]*"
_ONE = r"-?[0-9][0-9.,]*(?:e-?[0-9]+)?"
_VALUES = rf"[\[{{(]?\s*(?P<values>{_ONE}(?:\s*(?:,|/|and|or|vs\.?|to|->|\u2192|;)+\s*{_ONE})*)"
_ASSIGNS = re.compile(rf"{_MARKS}\s*(?:=|:|->|\u2192|of|to|at|in|is)?\s*{_MARKS}{_VALUES}", re.IGNORECASE)
_NEAR = re.compile(rf"{_MARKS}[^.;\n0-9]{{0,24}}?{_VALUES}", re.IGNORECASE)
_WORD = re.compile(rf"{_MARKS}\s*(?:=|:|->|to|of)?\s*{_MARKS}(?P<values>[A-Z]{{1,12}}\b|[a-z]+[0-9]+\b)")
_COUNTED = re.compile(r"(?<![\w.])(?P<values>[0-9]+)[ -]$")  # 12 layers
_SCALED = re.compile(r"\b(?:double|halve|triple|quadruple)\b[^.;]{0,16}$", re.IGNORECASE)  # the batch size
_ASKS = re.compile(
    r"\b(?:try|run|test|compare|sweep|set|use|vary|with|scan|raise|lower|increase|decrease|reduce|tune|double|halve"
    r"|change|go(?:es)?|grid)\b",
    re.IGNORECASE,
)
_EVERY = re.compile(r"\b(?:all|every\w*|each|throughout|globally|both)\b", re.IGNORECASE)
_ADVICE = (
    "list the variants in a table or in the settings block (variants:, or grid: for all combinations); "
    "for an editor to write the change, say there: strategy: freeform"
)


def check_no_settings(page: IssueDocument, names: Vocabulary) -> None:
    """Raise BadInput, with the line, where text without a table gives a constant another value than it has."""
    for first, text in _texts(page):
        for at, line in enumerate(text.split("\n"), first):
            for name, values in _given(line, names):
                if not all(_is_present(name, value, names) for value in values):
                    shown = " ".join(line.split())[:100]
                    raise page.error(f"{shown!r} gives {name} a value, and there is no table", at, _ADVICE)


def check_beside(page: IssueDocument, names: Vocabulary) -> None:
    """Raise BadInput, with the line, where text beside a table gives all variants a value other than the baseline."""
    for sentence in sentences(page):
        if sentence.in_the_past or sentence.in_outcomes or not _EVERY.search(sentence.plain):
            continue
        for name, values in _given(sentence.plain, names):
            if not all(_is_present(name, value, names) for value in values):
                problem = f"{sentence.plain[:100]!r} gives {name} a value beside the table"
                raise page.error(problem, sentence.line, f"give {name} a column in the table, or take the sentence out")


def _texts(page: IssueDocument) -> Iterator[tuple[int, str]]:
    read = set[int]()
    for prose in page.prose:
        read |= set(range(*prose.lines))
        if not any(heading.casefold().startswith(PAST) for heading in prose.headings):
            yield prose.lines[0], prose.text
    yield from page.titles
    yield from ((at, line) for at, line in enumerate(page.lines) if at not in read and re.search(r"[=:]", line))  # code


def _given(line: str, names: Vocabulary) -> Iterator[tuple[str, list[str]]]:
    """Yield each name in a line that is given values, and the values."""
    asks = _ASKS.search(line) is not None
    for match in re.finditer(f"{_spoken(names)}|{_NAME}", line[:2000]):
        if not names.knows(match[0]) and not names.knows(match[0].lower()):
            continue
        value = _ASSIGNS.match(line, match.end()) or _COUNTED.search(line, 0, match.start())
        if value is None and _is_text(match[0], names):
            value = _WORD.match(line, match.end())
        if value is None and asks:
            value = _NEAR.match(line, match.end())
        if value:
            yield match[0], [one.rstrip(".,") for one in re.findall(rf"{_ONE}|[A-Za-z]\w+", value["values"])]
        elif _SCALED.search(line, 0, match.start()):
            yield match[0], [""]


def _is_text(name: str, names: Vocabulary) -> bool:
    target = names.resolve(name)
    return isinstance(target, str) and isinstance(names.constants[target], str)


def _spoken(names: Vocabulary) -> str:
    """Return a pattern of what people call constants in words of their own, such as `learning rate`."""
    own = (name.rpartition(".")[2].lower().replace("_", " ") for name in names.constants)
    aliases = {alias for known in names.track.aliases.values() for alias in known if alias.islower()} | set(own)
    return "|".join(rf"\b(?i:{re.escape(alias)})s?\b" for alias in sorted(aliases, key=len, reverse=True)) or "(?!)"


def _is_present(name: str, value: str, names: Vocabulary) -> bool:
    """Return whether a constant has just this value: a text that says so describes."""
    target = names.resolve(name)
    if value in ("and", "or", "vs", "to"):
        return True
    return isinstance(target, str) and names.constants[target] in (number(value), value)

"""The names of an issue's variants, and what looks like one of them in prose. Pure."""

import re
from collections.abc import Sequence

# after an ID of one letter or of digits only: not the "A" of "A run", the "5" of "5 minutes"
_LATER = (
    r"(?!\s+(?!(?:and|or|then|first|last|next|before|after|to|is|has|should|will|must|goes|comes|wins?|out)\b)[a-z])"
)
_COUNTED = r"(?!\s*-?(?i:tok|param|flop|gpu))"  # 1B parameters are no variant


class VariantNames:
    """The IDs of a table, and what looks like one of them in prose."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = {name.lower(): name for name in names}
        self.all = names
        self.known = ", ".join(names)
        exact = [_spelled(name) for name in sorted(names, key=len, reverse=True)]
        word = rf"(?:{'|'.join([*exact, *sorted(_shapes(names))]) or '(?!)'})"
        self._mention = re.compile(rf"(?<![\w.])(?<!\w-){word}(?!\w)(?![.-]\w){_COUNTED}")
        self.ranges = re.compile(rf"(?<![\w.-]){word}(?:[-\u2013]|\s+(?:to|through)\s+){word}(?![\w-])")

    def mentions(self, text: str) -> list[tuple[int, str]]:
        """Return where in `text` each ID-shaped word is, and the word."""
        words = ((match.start(), match[0]) for match in self._mention.finditer(text))
        return [(at, word) for at, word in words if word.lower() in self._names or not _is_quantity(word)]

    def spaced(self, text: str) -> str:
        """Return a text with blanks around the hyphen of `1A-1D`, which else is one word."""
        return self.ranges.sub(lambda found: re.sub(r"([-\u2013])", r" \1 ", found[0]), text)

    def name(self, word: str) -> str | None:
        """Return the ID that a word spells, whatever its case."""
        return self._names.get(word.lower())


def _spelled(name: str) -> str:
    return re.escape(name) + (_LATER if len(name) == 1 or name.isdigit() else "")


def _is_quantity(word: str) -> bool:
    return re.fullmatch(r"[0-9]+[smhxkd]", word) is not None


def _shapes(names: Sequence[str]) -> set[str]:
    """Return patterns of the words that look like these IDs (`1A`: a number and a letter); plain words give none."""
    leads = {lead[0].lower() for name in names if (lead := re.match("[A-Za-z]+", name))}
    return {_shape(name, leads) for name in names if re.search("[A-Za-z].*[0-9]|[0-9].*[A-Za-z]", name)} | (
        {"[B-HJ-Z]"} if names and all(re.fullmatch("[A-Z]", name) for name in names) else set()
    )


def _shape(name: str, leads: set[str]) -> str:
    first, *others = re.findall("[0-9]+|[A-Za-z]+|.", name)
    lead = f"(?i:{first})" if first.isalpha() and len(leads) == 1 else _like(first)
    return lead + "".join(map(_like, others))


def _like(part: str) -> str:
    if part.isdigit():
        return f"[0-9]{{1,{len(part) + 1}}}"
    return f"[A-Za-z]{{{len(part)}}}" if part.isalpha() else re.escape(part)

"""The names of an issue's variants, and what looks like one of them in prose. Pure."""

import re
from collections.abc import Sequence
from functools import cached_property

_WORD = re.compile(r"(?<![\w.])(?<!\w-)[A-Za-z0-9]\w*(?:[.-]+\w+)*")  # as long as it gets: an ID is no part of it
# after an ID of one letter or of digits only: not the "A" of "A run", the "5" of "5 minutes"
_SINGLE = re.compile(
    r"(?!\s+(?!(?:and|or|then|first|last|next|before|after|to|is|has|should|will|must|goes|comes|wins?|out)\b)[a-z])"
)
_COUNTED = re.compile(r"\s*-?(?:tok|param|flop|gpu)", re.IGNORECASE)  # 1B parameters are no variant


class VariantNames:
    """The IDs of an issue, and what looks like one of them in prose."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = {name.lower(): name for name in names}
        self._exact = frozenset(names)
        self.all = names

    @cached_property
    def known(self) -> str:
        """All IDs, for a message."""
        return ", ".join(self.all)

    def mentions(self, text: str) -> list[tuple[int, str]]:
        """Return where in `text` each ID-shaped word is, and the word."""
        return [
            (match.start(), match[0])
            for match in _WORD.finditer(text)
            if self._is_like(match[0], text, match.end()) and not _COUNTED.match(text, match.end())
        ]

    def spaced(self, text: str) -> str:
        """Return a text with blanks around the hyphen of `1A-1D`, which else is one word."""
        return _WORD.sub(lambda match: self._parted(match[0]), text)

    def name(self, word: str) -> str | None:
        """Return the ID that a word spells, whatever its case."""
        return self._names.get(word.lower())

    def _parted(self, word: str) -> str:
        """Return `1A-1D` as `1A - 1D`, where both are like IDs and the whole is none."""
        if word.lower() in self._names:
            return word
        for at in (at for at, char in enumerate(word) if char == "-"):
            if self._is_shaped(word[:at]) and self._is_shaped(word[at + 1 :]):
                return f"{word[:at]} - {word[at + 1 :]}"
        return word

    def _is_like(self, word: str, text: str, end: int) -> bool:
        if word in self._exact and (len(word) == 1 or word.isdigit()):
            return _SINGLE.match(text, end) is not None or self._has_shape(word)
        return self._is_shaped(word)

    def _is_shaped(self, word: str) -> bool:
        """Return whether a word is an ID, or is shaped like one and is no quantity."""
        if word in self._exact:
            return True
        return self._has_shape(word) and (word.lower() in self._names or not _is_quantity(word))

    def _has_shape(self, word: str) -> bool:
        return self._shape is not None and self._shape.fullmatch(word) is not None

    @cached_property
    def _shape(self) -> re.Pattern[str] | None:
        """What looks like these IDs: few patterns, however many IDs there are."""
        shapes = sorted(_shapes(self.all))
        return re.compile("|".join(shapes)) if shapes else None


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

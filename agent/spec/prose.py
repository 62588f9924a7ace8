"""What the prose of an issue says: a run's budget, the order of the variants, what follows if one wins. Pure."""

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cached_property

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Outcome, Variant
from agent.spec.markdown import DASH, IssueDocument, Paragraph

# --- budgets ----------------------------------------------------------------------------------------------

_WORDS = dict(zip("one two three four five six seven eight nine ten".split(), range(1, 11), strict=True))  # noqa: SIM905
_K, _M, _G = 10**3, 10**6, 10**9
_SCALES = {"": 1, "k": _K, "K": _K, "thousand": _K, "M": _M, "million": _M, "G": _G, "B": _G, "billion": _G}
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_BUDGETS = "a budget is above zero: 20 (seconds), 5 minutes, 500steps or 5Mtok"
_NUMBER = rf"(?:[0-9][0-9,]*(?:\.[0-9]+)?(?:e[+-]?[0-9]{{1,3}})?|\b(?ai:{'|'.join(_WORDS)})\b)"
_UNIT = r"(?:[smh]|(?ai:sec(?:ond)?s?|min(?:ute)?s?|h(?:ou)?rs?|steps?|tok(?:en)?s?))(?![A-Za-z])"
_PIECE = rf"{_NUMBER}[\s-]*(?:[kKMGB]|(?ai:thousand|million|billion))?[\s-]*{_UNIT}"
_AMOUNT = rf"{_PIECE}(?:(?:\s+and\s+|\s*){_PIECE})*"


def parse_budget(text: str) -> Budget:
    """Return a budget such as `20` or `20s` (seconds), `5 minutes`, `1h30m`, `500steps`, `1.5Mtok`. Raises BadInput."""
    budget = _budget(text)
    if budget is None:
        raise BadInput(f"{text[:60]!r} is no budget", next_step=_BUDGETS)
    return budget


def readable(text: str) -> bool:
    """Return whether `parse_budget` can read the text."""
    return _budget(text) is not None


def _budget(text: str) -> Budget | None:
    text = text.strip()
    if re.fullmatch(_NUMBER, text):
        text += " s"
    if not re.fullmatch(_AMOUNT, text):
        return None
    pieces = [_piece(piece) for piece in re.findall(_PIECE, text)]
    kinds, amount = {piece.kind for piece in pieces}, sum(piece.amount for piece in pieces)
    whole = kinds == {"seconds"} or (len(pieces) == 1 and amount == amount // 1)
    return Budget(pieces[0].kind, amount) if whole and 0 < amount < math.inf else None


def _piece(text: str) -> Budget:
    piece = re.fullmatch(rf"({_NUMBER})[\s-]*(.*?)[\s-]*({_UNIT})", text, re.DOTALL)
    assert piece
    number, scale, unit = piece[1].replace(",", "").lower(), piece[2], piece[3].lower()
    amount = Decimal(_WORDS.get(number, number)) * _SCALES[scale if len(scale) == 1 else scale.lower()]
    if unit[0] == "t":
        return Budget("tokens", float(amount))
    if unit.startswith("st"):
        return Budget("steps", float(amount))
    return Budget("seconds", math.nan if scale else float(amount * _SECONDS[unit[0]]))  # no unit is a "Mminute"


_ABOUT = r"(?i:(?:about|around|roughly|approximately|exactly|only|limited to|for|an?|budget of)\s+)*[~\u2248]?\s*"
_SPAN = rf"(?<![\w.,\u2013-])(?P<amount>(?:{_NUMBER}\s*(?:[-\u2013]|to)\s*)?{_AMOUNT})"
_RUN = r"(?:runs?|variants|(?:each|every|per)\s+(?:\w+\s+)?(?:variant|experiment|row))"
_RULES = (
    rf"\b(?i:{_RUN}\s+(?:is|are|takes|lasts?|gets?|has|have|runs|trains?))\s+{_ABOUT}{_SPAN}",
    rf"\b(?i:run|train)\s+(?i:each|every|all)(?:\s+\w+){{0,2}}?\s+(?i:for|at|with)\s+{_ABOUT}{_SPAN}",
    rf"{_SPAN}\s*(?i:each\b|apiece\b|a run\b|/\s*run\b|per\s+(?:run|variant|experiment)\b)",
    rf"\b(?i:budget(?:\s+(?:per run|a run|each))?\s*(?::|=|is\b|of\b))\s*{_ABOUT}{_SPAN}",
)
_MENTIONS = (rf"{_SPAN}[\s-]+(?i:(?:\w+\s+)?budget)\b",)  # "for the 5-minute training budget": where no rule is
_ELSEWHERE = re.compile(r"\b(total|whole|overall|entire|was|were|used|had|previous(ly)?|earlier)\b", re.IGNORECASE)


def stated_budget(page: IssueDocument) -> Budget | None:
    """Return what the prose gives each run (`Each run is 5 minutes`, `Budget: 300 s`), without totals and the past."""
    return _agreed(page, _RULES) or _agreed(page, _MENTIONS)


def _agreed(page: IssueDocument, patterns: Sequence[str]) -> Budget | None:
    stated: list[tuple[Budget, str]] = []
    for prose, words, amount in _statements(page, patterns):
        budget, line = _budget(amount), page.line_of(prose, words)
        if budget is None:
            raise page.error(f"{words!r}: {amount!r} is no budget", line, _BUDGETS)
        stated.append((budget, f"{words!r} ({page.where(line)})"))
        if budget != stated[0][0]:
            raise page.error(f"two budgets for a run: {stated[0][1]} and {stated[-1][1]}", line, "keep one of them")
    return stated[0][0] if stated else None


def _statements(page: IssueDocument, patterns: Sequence[str]) -> Iterator[tuple[Paragraph, str, str]]:
    """Yield each statement of a run's budget: its paragraph, its words, and the amount in them."""
    for prose in page.prose:
        for sentence in _sentences(prose.text):
            elsewhere = _ELSEWHERE.search(sentence)
            until = elsewhere.start() if elsewhere else len(sentence)
            for match in (match for pattern in patterns for match in re.finditer(pattern, sentence)):
                if match.end() <= until:
                    yield prose, match[0], match["amount"]


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?;])\s+", text)


# --- order and outcomes -----------------------------------------------------------------------------------

_MARKERS = {"first": -1, "last": 1, "lastly": 1, "finally": 1}
# after an ID of one letter or of digits only: not the "A" of "A run", the "5" of "5 minutes"
_LATER = r"(?!\s+(?!(?:and|or|then|first|last|before|after|to|is|should|will|must|goes|comes|wins?)\b)[a-z])"
_COUNTED = r"(?!\s*-?(?i:tok|param|flop|gpu))"  # 1B parameters are no variant


class Names:
    """The IDs of a table, and what looks like one of them in prose."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._exact, self._names = names, {name.lower(): name for name in names}
        self.known = ", ".join(names)

    @cached_property
    def _word(self) -> str:
        exact = [_spelled(name) for name in sorted(self._exact, key=len, reverse=True)]
        return rf"(?:{'|'.join([*exact, *sorted(_shapes(self._exact))]) or '(?!)'})"

    @cached_property
    def _mention(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![\w.])(?<!\w-){self._word}(?!\w)(?![.-]\w){_COUNTED}")

    @cached_property
    def ranges(self) -> re.Pattern[str]:
        """What looks like a range of IDs. Patterns are compiled for prose alone: those of 5,000 IDs take seconds."""
        return re.compile(rf"(?<![\w.-]){self._word}(?:[-\u2013]|\s+(?:to|through)\s+){self._word}(?![\w-])")

    def mentions(self, text: str) -> list[tuple[int, str]]:
        """Return where in `text` each ID-shaped word is, and the word."""
        words = ((match.start(), match[0]) for match in self._mention.finditer(text))
        return [(at, word) for at, word in words if word.lower() in self._names or not _is_quantity(word)]

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


def ordered(page: IssueDocument, names: Names, variants: Sequence[Variant], ranks: Sequence[int]) -> list[Variant]:
    """Return the variants in run order: as the Execution section says, then by Priority, then as in the table."""
    mentions = [one for prose in page.prose if _is_execution(prose) for one in _placed(page, prose, names)]
    placed: dict[str, tuple[int, int]] = {}
    for at, (place, name) in enumerate(mentions):
        if name not in placed or (place and not placed[name][0]):  # "1B last" outranks an earlier mention
            placed[name] = place, at
    unlisted = 0, len(mentions)
    ranked = sorted(zip(ranks, variants, strict=True), key=lambda one: (*placed.get(one[1].name, unlisted), one[0]))
    return [variant for _, variant in ranked]


def _is_execution(prose: Paragraph) -> bool:
    return any(re.search(r"\b(execution|order)\b", heading, re.IGNORECASE) for heading in prose.headings)


def _placed(page: IssueDocument, prose: Paragraph, names: Names) -> Iterator[tuple[int, str]]:
    """Yield each variant named in a sentence that is no condition: first (-1), in order (0) or last (1)."""
    for sentence in _sentences(prose.text):
        words = [word for _, word in names.mentions(sentence)]
        for word in words:
            if names.name(word) is None:
                raise page.error(f"{word} is no variant", page.line_of(prose, word), f"the IDs are {names.known}")
        if re.search(r"\bif\b", sentence, re.IGNORECASE):  # a condition, not an order
            continue
        if names.ranges.search(sentence) or (words and _UNREADABLE.search(sentence)):
            line = page.line_of(prose, sentence)
            raise page.error(f"no order can be read from {sentence.strip()[:80]!r}", line, _ORDERS)
        yield from _clauses(sentence, names)


_UNREADABLE = re.compile(r"\b(after|skip|omit|except|do not run|don't run)\b", re.IGNORECASE)
_ORDERS = "write it as: Run 1D and 1C first, then 1A, then 1B; a row that is not to run is taken out of the table"
_MARK = re.compile(r"\b(?:first|last(?:ly)?|finally)\b", re.IGNORECASE | re.ASCII)
_CLAUSE = re.compile(r"[,;()]|\bthen\b", re.IGNORECASE)


def _clauses(sentence: str, names: Names) -> Iterator[tuple[int, str]]:
    carried = 0
    for clause in _CLAUSE.split(sentence):
        marks = [(mark.start(), mark[0].lower()) for mark in _MARK.finditer(clause)]
        alone = len(marks) == 1 and clause.strip().lower() == marks[0][1]
        yield from _clause(sorted([*marks, *names.mentions(clause)]), names, carried)
        carried = _MARKERS[marks[0][1]] if alone else 0


def _clause(words: Sequence[tuple[int, str]], names: Names, place: int) -> Iterator[tuple[int, str]]:
    """`1D and 1C first` and `last, 1B`: a marker is for the IDs before it, or where there are none, after it."""
    group: list[str] = []
    for _, word in words:
        name = names.name(word)
        if name is not None:
            group.append(name)
            continue
        mark = _MARKERS[word]
        yield from ((mark, held) for held in group)
        place, group = (0 if group else mark), []
    yield from ((place, held) for held in group)


_WINS = re.compile(
    rf"if\s+(?P<who>.{{1,120}}?)\s+wins?\b[^:,{DASH}]{{0,80}}?(?:[:,{DASH}]|\s-\s|\bthen\b)\s*(?:then\s+)?\S",
    re.IGNORECASE | re.DOTALL,
)


def outcomes(page: IssueDocument, names: Names) -> Iterator[Outcome]:
    """Yield each `If 1D (wider) wins: text`, at the start of a line; of other lines nothing is expected."""
    for prose in page.prose:
        for line in re.split(r"\n(?=if\s)", prose.text, flags=re.IGNORECASE):
            statement = _WINS.match(line)
            if statement:
                text = " ".join(line.split())
                yield from (Outcome(name, text) for name in _winners(page, prose, names, statement["who"]))


def _winners(page: IssueDocument, prose: Paragraph, names: Names, who: str) -> Iterator[str]:
    words = re.split(r"\s*(?:,|/|\band\b|\bor\b)\s*", re.sub(r"\([^)]*\)", "", who).strip())
    mentioned = [[word for _, word in names.mentions(part)] for part in words]
    if any(part != [word] for part, word in zip(mentioned, words, strict=True)):  # "nothing", "neither 1A nor 1B"
        return
    for word in words:
        name = names.name(word)
        if name is None:
            raise page.error(f"{word} is no variant", page.line_of(prose, word), f"the IDs are {names.known}")
        yield name

"""The sentences of an issue's prose: one at a time, each with its line, without what only explains. Pure."""

import re
from collections.abc import Iterator, Sequence

from agent.core.experiment import ReadAs
from agent.core.frozen import frozen
from agent.spec.markdown import IssueDocument, Paragraph

_ABBREVIATED = re.compile(r"\b(e\.g|i\.e|vs|approx|incl|resp|etc|al|no|fig|cf|ca|max|min|est)\.$", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?;])\s+|\n(?=[-*\u2022]\s)")
_REASON = re.compile(
    r",?\s+(?:because|since|so that|in order to|to (?:see|test|check|learn|find out|verify|know|measure))\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_PAREN = re.compile(r"\s*[(\[][^()\[\]]*[)\]]")
# In brackets, these words instruct: what holds them is no mere description.
_INSTRUCTS = re.compile(
    r"^\s*\[[xX\u2713\u2714]\]|\b(?:skip\w*|first|last|not|no|only|done|already|optional\w*|before|after|if|unless|until|then|drop\w*|omit\w*|don't"
    r"|once|twice|times|again|instead|alone|maybe|perhaps|seeds?|minutes?|steps?|hours?)\b|=|\b[0-9]+\s*x\b|\bx\s*[0-9]",
    re.IGNORECASE,
)
PAST = (
    *(
        "background",
        "motivation",
        "context",
        "previous",
        "prior",
        "earlier",
        "related",
        "history",
        "appendix",
        "results",
    ),
    *("future", "next step", "follow-up", "follow up"),  # what is to come is not this issue's either
)
_EXECUTION = re.compile(
    r"\b(?:execution|order|run plan|running|schedule|procedure|how to run|what to run|runs?|sequence)\b", re.IGNORECASE
)
_GATE = re.compile(
    r"\b(?:decisions?|gate|acceptance|accept\w*|criteria|criterion|success|adopt\w*|promot\w*|thresholds?|the bar"
    r"|merg(?:e|ing)|ship"
    r"|win(?:s|ning)? condition|what (?:wins|counts)|when to (?:keep|stop)|definition of done|minimum gain"
    r"|what is a win|bar)\b",
    re.IGNORECASE,
)
_OUTCOMES = re.compile(r"\b(?:outcomes?|expect\w*)\b", re.IGNORECASE)


@frozen
class Sentence:
    """A sentence: as it is written, its line (from 0), the paragraph that it stands in, and the kind of its section."""

    text: str
    line: int
    prose: Paragraph

    @property
    def in_execution(self) -> bool:
        return any(_EXECUTION.search(heading) for heading in self.prose.headings)

    @property
    def in_gate(self) -> bool:
        return any(_GATE.search(heading) for heading in self.prose.headings)

    @property
    def in_outcomes(self) -> bool:
        return any(_OUTCOMES.search(heading) for heading in self.prose.headings)

    @property
    def in_the_past(self) -> bool:
        """Whether its section tells what was, and not what is to be done."""
        return any(heading.casefold().startswith(PAST) for heading in self.prose.headings)

    @property
    def plain(self) -> str:
        """The sentence on one line, with plain apostrophes and hyphens, without the mark at its end."""
        text = re.sub(r"[\u2018\u2019\u02bc]", "'", " ".join(self.text.split()))
        return re.sub(r"^[-*\u2022]\s+|[\s.!?;:,]+$", "", text)


def sentences(page: IssueDocument) -> Iterator[Sentence]:
    """Yield the sentences of an issue in order."""
    for prose in page.prose:
        for text in _split(prose.text):
            yield Sentence(text, page.line_of(prose, text), prose)


def unread(page: IssueDocument, reads: Sequence[ReadAs]) -> Iterator[ReadAs]:
    """Yield what is shown of the sentences that may instruct, by their place or their first word, and were not read."""
    for sentence in sentences(page):
        expects = (
            re.match(r"(?:if|when|should|in case)\b.*\bwin", sentence.plain, re.IGNORECASE) or sentence.in_outcomes
        )
        if (sentence.in_execution or sentence.in_gate or expects) and not is_read(page, sentence, reads):
            yield page.read_as(sentence.line, sentence.text, "describes: nothing is read of it")


def is_read(page: IssueDocument, sentence: Sentence, reads: Sequence[ReadAs]) -> bool:
    """Return whether a sentence is among what was read."""
    own = page.read_as(sentence.line, sentence.text, "")
    return any(read.line == own.line and (own.text in read.text or read.text in own.text) for read in reads)


def _split(text: str) -> list[str]:
    """Return the sentences of a paragraph; a full stop after `e.g` ends none."""
    pieces = [piece for piece in _END.split(text) if piece.strip()]
    joined: list[str] = []
    for piece in pieces:
        if joined and _ABBREVIATED.search(joined[-1][-12:]):
            joined[-1] += f" {piece}"
        else:
            joined.append(piece)
    return joined


def without_asides(text: str) -> str | None:
    """Return a sentence without what stands in brackets; None where that instructs too."""
    asides = _PAREN.findall(text)
    return None if any(_INSTRUCTS.search(aside) for aside in asides) else _PAREN.sub("", text)


def without_reason(text: str) -> tuple[str, str]:
    """Return a sentence without the reason that it gives at its end, and the reason."""
    reason = _REASON.search(text)
    return (text, "") if reason is None else (text[: reason.start()], reason[0])

"""What the prose of an issue expects and demands: outcomes by winner, and the gain that the gate must see. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agent.core.experiment import Outcome, ReadAs, Track
from agent.core.values import number
from agent.spec.layout import DASH
from agent.spec.markdown import IssueDocument, Paragraph
from agent.spec.names import normal_form
from agent.spec.sentences import Sentence, sentences
from agent.spec.variants import VariantNames

# --- outcomes ---------------------------------------------------------------------------------------------

_WINS = re.compile(
    rf"(?:if|when|should|in case)\s+(?P<who>.{{1,120}}?)\s+wins?\b(?P<how>[^:{DASH}]{{0,80}}?)(?:[:{DASH}]"
    rf"|,\s*then\b|\s-\s|\bthen\b|,(?![0-9]))\s*(?:then\s+)?\S",
    re.IGNORECASE | re.DOTALL,
)
_NUMBER = r"(?P<amount>[0-9]*\.?[0-9]+(?:e-?[0-9]+)?)(?:\s*(?:bpb|nats|bits?(?: per byte)?|val_bpb))?"
_AT_LEAST = re.compile(
    rf"by\s+(?:more than|at least|over|>=?|\u2265|a margin of(?: at least)?)\s*{_NUMBER}"
    rf"|by\s+{_NUMBER.replace('amount', 'least')}\s+or more",
    re.IGNORECASE,
)
_AT_MOST = re.compile(rf"by\s+(?:less than|at most|under|<=?|\u2264|no more than)\s*{_NUMBER}", re.IGNORECASE)
_NOBODY = re.compile(r"(?:nothing|nobody|none(?: of them)?|no variant|no one|neither)", re.IGNORECASE)


def outcomes(page: IssueDocument, names: VariantNames) -> Iterator[tuple[Outcome, ReadAs]]:
    """Yield each `If 1D (wider) wins: text`, at the start of a line; of other lines nothing is expected."""
    for prose in page.prose:
        for line in re.split(r"\n(?=(?:if|when|should|in case)\s)", prose.text, flags=re.IGNORECASE):
            statement = _WINS.match(line)
            if statement:
                yield from _outcomes_of(page, prose, names, statement, " ".join(line.split()))


def _outcomes_of(
    page: IssueDocument, prose: Paragraph, names: VariantNames, statement: re.Match[str], text: str
) -> Iterator[tuple[Outcome, ReadAs]]:
    how, line = " ".join(statement["how"].split()), page.line_of(prose, statement[0])
    low, high = _AT_LEAST.fullmatch(how), _AT_MOST.fullmatch(how)
    least = float(low["amount"] or low["least"]) if low else None
    most = float(high["amount"]) if high else None
    together = re.search(r"\b(?:both|and)\b", re.sub(r"\([^)]*\)", "", statement["who"]), re.IGNORECASE)
    unchecked = how if how and not low and not high else " ".join(statement["who"].split()) if together else ""
    for name in _winners(page, prose, names, statement["who"]):
        bounds = (
            f" by more than {least:g}" if least is not None else f" by less than {most:g}" if most is not None else ""
        )
        doubt = f"; whether {unchecked!r} holds is for a person to judge" if unchecked else ""
        means = f"quoted where {name or 'no variant'} wins{bounds}{doubt}"
        yield Outcome(name, text, least, most, unchecked), page.read_as(line, text, means)


def _winners(page: IssueDocument, prose: Paragraph, names: VariantNames, who: str) -> Iterator[str]:
    plain = re.sub(r"\([^)]*\)", "", who).strip()
    if _NOBODY.fullmatch(plain):
        yield ""
        return
    words = re.split(r"\s*(?:,|/|\band\b|\bor\b)\s*", re.sub(r"^(?:either|both)\s+", "", plain, flags=re.IGNORECASE))
    mentioned = [[word for _, word in names.mentions(part)] for part in words]
    if any(part != [word] for part, word in zip(mentioned, words, strict=True)):  # "nothing", "neither 1A nor 1B"
        return
    for word in words:
        name = names.name(word)
        if name is None:
            raise page.error(f"{word} is no variant", page.line_of(prose, word), f"the IDs are {names.known}")
        yield name


# --- the gain that counts ---------------------------------------------------------------------------------

_VERB = r"(?:adopt|accept|keep|promote|merge|take|ship|count)(?:ed|s)?"
_WHAT = r"(?:\s+(?:it|them|the winner|a winner|a variant|the variant|the change|a change|the best|only))*"
_BETTER = (
    r"(?:improves|improved|drops|decreases|falls|is (?:better|lower)|gets (?:better|lower)|gains|goes down"
    r"|beats the baseline)"
)
_BY = r"(?:by\s+)?(?:at least|more than|a minimum of|no less than|>=?|\u2265)\s*"
_GAIN = r"(?:min[_ ]?gain|minimum gain|minimal gain|smallest gain|(?:gain|improvement) threshold|threshold|margin)"
_REQUIRE = (
    r"(?:requires?|needs?|demands?|must have|wants?)\s+(?:an?\s+)?(?:gain|improvement)\s+of\s+"
    r"(?:at least|more than|>=?|\u2265)\s*"
)
_THRESHOLD_FORMS = (
    rf"{_VERB}{_WHAT}\s+(?:only\s+)?(?:if|when|where)\s+(?P<metric>\S+)\s+{_BETTER}\s+{_BY}{_NUMBER}",
    rf"(?:the )?(?:winner|variant|change)\s+(?:is|counts|must be)\s+{_VERB}{_WHAT}\s+(?:only\s+)?(?:if|when)\s+"
    rf"(?P<metric>\S+)\s+{_BETTER}\s+{_BY}{_NUMBER}",
    rf"(?:the )?{_GAIN}\s*(?::|=|is|of)?\s*(?:at least\s+)?{_NUMBER}",
    rf"(?:we |the winner |a winner |a variant |adoption )?{_REQUIRE}{_NUMBER}",
    rf"(?:a |any )?(?:gain|improvement)s? (?:below|under|smaller than|of less than) {_NUMBER}(?: \w+)? "
    r"(?:does not|do not|doesn't|don't) count",
)
_DEMANDS = re.compile(
    r"\b(?:adopt|accept|promote|merge|keep|counts?|success\w*|ship)\b[^.]*?\b(?:if|when|means|requires)\b"
    r".*\b(?:by|at least|more than|of)\s+[0-9.]+",
    re.IGNORECASE,
)
_FORBIDS = re.compile(  # with no number beside it
    r"\b(?:never|do not|don't|not|no one|nothing|no) (?:be )?(?:adopt|promot|merg|ship)\w*"
    r"|\breport only\b|\bsignifican\w*"
    r"|\b(?:adopt|promote|merge|keep|ship|accept)\b.*\b(?:only if|unless|only when|provided)\b",
    re.IGNORECASE,
)
_LOOKS = re.compile(
    r"\b(?:minim\w*|requir\w*|improv\w*|gains?|better|lower|beats?|threshold|margin|delta"
    r"|at least|more than|less than|p\s*[<=])"
    r"|[<>\u2264\u2265]",
    re.IGNORECASE,
)
_AMOUNT = re.compile(  # of the metric: 0.02, .02, 2e-3, 2 %, 0,02, two hundredths
    r"(?<![\w.,])(?:[0-9]*\.[0-9]+|[0-9]+(?:\.[0-9]+)?e-[0-9]+|0,[0-9]+|[0-9]+(?:\.[0-9]+)?\s*(?:%|percent\b"
    r"|per cent\b|bpb\b|m?nats?\b|bits?\b"
    r"|sigmas?\b|\u03c3|standard\b|stds?\b|x\b))|\b(?:hundredths?|thousandths?|percent|sigmas?)\b",
    re.IGNORECASE,
)
_BAR = re.compile(  # what speaks of a gain that is demanded, wherever it stands
    r"\b(?:threshold|min(?:imum|imal)?[_ -]?(?:gain|improvement|delta|effect)|required (?:gain|improvement)|cut-?off"
    r"|the bar|margin)\b"
    r"|\b(?:adopt|accept|promote|merge|ship)\b.*[0-9]|^success\s*(?::|=|means|is)"
    r"|^(?:a )?wins?\s*(?::|=|means|is)|\b(?:requires?|demands?|needs?)\b.{0,20}\b(?:gain|improvement)\b"
    r"|\b(?:must|has to|have to|needs? to|should|required to)\b.{0,30}\b(?:below"
    r"|under|above|over|beat|improve\w*|exceed"
    r"|by|at least|at most|better|lower|reach)\b",
    re.IGNORECASE,
)
_HOLDS_BACK = re.compile(  # a winner moves the baseline, whatever such a sentence says
    r"\b(?:do not|don't|never|nothing|no one)\b.{0,16}\b(?:promot\w*|adopt\w*|merg\w*|move|update|replace)\b.{0,16}"
    r"\b(?:baseline|winner|automatic\w*|anything|it)\b|\breport only\b"
    r"|^(?:please )?(?:do not|don't|never) (?:promot\w*|adopt\w*|merg\w*)\b",
    re.IGNORECASE,
)
_TOO_LARGE = 100  # times the track's own: what is beyond is the metric's value more likely than a gain
_LOOSE = re.compile(r"(?:the )?(?:threshold|margin)\b", re.IGNORECASE)
_ADVICE = "write: Adopt only if {metric} improves by at least 0.002. Or in the settings block: min_gain: 0.002"


class Threshold(NamedTuple):
    """The gain that a winner must reach, in units of the metric, and how it was read."""

    min_gain: float
    read: ReadAs


def threshold(page: IssueDocument, track: Track, *, given: bool) -> Threshold | None:
    """Return the gain that the prose demands. Raises BadInput for what is like it, in no form that is read.

    `given` is whether the settings block has `min_gain`: then the prose is not asked.
    """
    stated: list[tuple[float, Sentence]] = []
    for sentence in () if given else sentences(page):
        value = None if sentence.in_the_past else _demanded(sentence, track)
        if value is not None and not _is_doubtful(value, sentence, track):
            stated.append((value, sentence))
        elif _is_unclear(sentence) if sentence.in_gate else _is_like(sentence):
            advice = _ADVICE.format(metric=track.metric)
            raise page.error(
                f"{sentence.plain[:100]!r} may set a threshold, and is in no form that is read", sentence.line, advice
            )
    return _agreed(page, stated)


def _demanded(sentence: Sentence, track: Track) -> float | None:
    for form in _THRESHOLD_FORMS:
        match = re.fullmatch(form, sentence.plain, re.IGNORECASE)
        metric = match.groupdict().get("metric") if match else None
        if match and (metric is None or normal_form(metric) in (normal_form(track.metric), "it", "metric", "bpb")):
            value = number(match["amount"])
            return None if value is None else float(value)
    return None


def _is_doubtful(value: float, sentence: Sentence, track: Track) -> bool:
    """Return whether a threshold may be a value of the metric itself, such as 1.10, and no gain."""
    large = track.min_gain > 0 and value > _TOO_LARGE * track.min_gain
    return large and _LOOSE.match(sentence.plain) is not None


def _is_like(sentence: Sentence) -> bool:
    """Return whether a sentence outside of Decision Gate demands a gain all the same."""
    plain = sentence.plain[:400]
    if sentence.in_the_past or sentence.in_outcomes:
        return False
    return bool(_DEMANDS.search(plain) or _HOLDS_BACK.search(plain) or (_BAR.search(plain) and _AMOUNT.search(plain)))


def _is_unclear(sentence: Sentence) -> bool:
    plain = re.sub(r"`[^`]*`|\b[A-Z][A-Z_]+\s*=\s*[0-9.]+", "", sentence.plain)
    if sentence.in_the_past or sentence.in_execution or re.match(r"(?:if|when)\b.*\bwins?\b", plain, re.IGNORECASE):
        return _FORBIDS.search(plain) is not None  # of times, and of outcomes, others read
    return bool(_FORBIDS.search(plain) or _AMOUNT.search(plain)) or (
        _LOOKS.search(plain) is not None and re.search(r"(?<![\w.])[0-9]*\.?[0-9]+\s*%?(?!\w)", plain) is not None
    )


def _agreed(page: IssueDocument, stated: Sequence[tuple[float, Sentence]]) -> Threshold | None:
    for value, sentence in stated:
        if value != stated[0][0]:
            first = stated[0][1]
            problem = f"two thresholds: {first.plain!r} ({page.where(first.line)}) and {sentence.plain!r}"
            raise page.error(problem, sentence.line, "keep one of them")
    if not stated:
        return None
    value, sentence = stated[0]
    return Threshold(value, page.read_as(sentence.line, sentence.text, f"a winner needs a gain of at least {value:g}"))

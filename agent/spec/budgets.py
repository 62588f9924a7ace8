"""What the prose of an issue says of time: the budget of a run, the cap of all runs. Pure.

The documented forms are in docs/writing-issues.md. In a clause, `@` stands for the amount.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from agent.core.experiment import Budget, ReadAs
from agent.core.frozen import frozen
from agent.spec.amounts import AMOUNT, BUDGETS, NUMBER, read_budget
from agent.spec.markdown import IssueDocument
from agent.spec.sentences import Sentence, sentences

_SPAN = re.compile(rf"(?<![\w.,\u2013-])(?:{NUMBER}\s*(?:[-\u2013]|to)\s*)?{AMOUNT}")
_UNITS = r"\b(?:seconds?|minutes?|mins?|hours?|hrs?|days?|steps?|iterations?|iters?|epochs?|tokens?)\b"
_RUN = r"(?:single |individual )?(?:training )?(?:runs?|variants?|experiments?|trials?|rows?)"
_ABOUT = r"(?:(?:about|around|roughly|approximately|exactly|limited to|for|an?|the|a budget of)\s+)*(?:[~\u2248]\s*)?"
_TRAINING = r"(?: of (?:training|compute|gpu|gpu time|wall[- ]clock|wall[- ]clock time|wall time|training time))?"
_ON = r"(?: (?:long|of training))?(?: on [\w .-]+)?"
_TAKES = r"(?:is|are|takes?|lasts?|gets?|has|have|runs?|trains?|runs? for|trains? for|(?:is|are) (?:trained|run) for)"
_BUDGET_FORMS = (
    rf"(?:(?:each|every|a|one|per)\s+)*{_RUN} {_TAKES} {_ABOUT}@{_TRAINING}{_ON}",
    rf"(?:each|every|per) {_RUN}\s*[:=]\s*{_ABOUT}@{_TRAINING}",
    rf"(?:run|train) (?:each|every|all)(?: (?:of (?:the|them)|the|four|three|two|{_RUN}))* (?:for|at|with) "
    rf"{_ABOUT}@{_TRAINING}{_ON}",
    rf"{_ABOUT}@{_TRAINING}\s*(?:each|apiece|a run|/\s*run|(?:per|for each) {_RUN})",
    rf"(?:(?:training|time|run|the)\s+)*budget(?: per {_RUN}| a run| each| for each {_RUN}| of a run)?"
    rf"\s*(?::|=|is|of)\s*{_ABOUT}@{_TRAINING}(?: (?:each|a run|per {_RUN}))?",
    rf"(?:use|with) {_ABOUT}@[- ]runs?",
    rf"(?:train|train them|train everything|train all) for {_ABOUT}@{_TRAINING}",
    rf"(?:(?:number of|max|num|total|train(?:ing)?|optimi[sz]er)[_ ])?(?:steps|iterations) per "
    rf"{_RUN}\s*[:=]\s*{_ABOUT}@",
)
_UNDER_BUDGET = re.compile(rf"(?:(?:training|time|run)\s+)*budget(?: (?:per|of a|for each|a) {_RUN})?:?", re.IGNORECASE)
_CAP_FORMS = (
    rf"(?:the )?(?:time )?cap\s*(?::|=|is|of)\s*{_ABOUT}@",
    rf"(?:(?:the )?(?:total|overall|whole)(?: (?:gpu|compute|training|run|wall[- ]clock))?(?: time)?(?: budget)?)\s*"
    rf"(?::|=|is|of)?\s*{_ABOUT}@",
    rf"(?:at most )?{_ABOUT}@{_TRAINING} (?:in all|in total|altogether|overall|total)",
    r"(?:everything|all of it|the campaign|the whole campaign|the experiment) (?:takes|gets|has|may take) "
    rf"(?:at most )?{_ABOUT}@",
)
_MENTION = re.compile(
    r"\bthe @[\s-]+(?:training |time |fixed )?budget\b"
    r"|\b[Aa]t (?:a|the|this|our) (?:fixed |same |equal )?(?:time |training )?budget of @"
)
# What is no budget: the past (but where it says what to do), a part of a run, an interval within it.
_PAST = re.compile(
    r"\b(?:was|were|took|used|had|lasted|measured|previous(?:ly)?|earlier|last time)\b.*@", re.IGNORECASE
)
_ASIDE = (
    r"@ (?:to (?:compile|start|load|warm up|evaluate|prepare|import|boot|tokeni[sz]e)|ago|later|earlier)\b",
    r"@ of (?:\w+ )?(?:warm-?up|warm-?down|cool-?down|start-?up|set-?up|compil\w+|evaluation|eval|overhead|loading"
    r"|waiting)\b",
    r"\b(?:evaluation|compilation|compiling|loading|start-?up|warm-?up) (?:of|takes?|needs?|costs?) (?:about )?@",
    r"\b(?:every|(?<!stop )after|last|first|until|by) @",
    r"\b(?:batch(?:es)?(?: size)?|context|sequences?|window) (?:length )?(?:is|are|of|has|have|holds?) @$",
    r"\b(?:each|every|per|a|one) (?:training |optimi[sz]er )?(?:step|batch|update|sequence)\b.*@$",
)
_SPEAKS = re.compile(
    r"\b(?:l(?:auf|\u00e4ufe)|durchl\w+|jede[rs]?|ex\u00e9cutions?|essais?|chaque|entra\w+|cada|corridas?|ejecuci\w+)\b|\u6bcf|\u8bad\u7ec3"
    r"|\b(?:runs?|pass(?:es)?|runtimes?|variants?|trials?|experiments?|budgets?|limits?|durations?|each|train(?:s|ed)?)\b",
    re.IGNORECASE,
)
_GIVES = re.compile(
    r"(?:please |just |also )*(?:give|let|allow|grant|allot|stop|spend|use|keep|limit|train|run)\b", re.IGNORECASE
)
_LOOKS = re.compile(  # without a unit beside its number
    rf"\b(?:(?:max|num|train|training|total|number of)[_ ])?(?:steps|tokens|iters|iterations|epochs|time_budget"
    rf"|training time"
    rf"|duration|runtime|time limit|wall[- ]clock|time|training)(?: per {_RUN})?\s*[:=]"
    rf"\s*(?P<steps>[0-9]+)"
    rf"|(?<!-)\bbudget(?: per {_RUN})?\s*(?::|=|is|of)\s*\D{{0,3}}(?P<number>[0-9]+)"
    rf"|(?P<gpu>[0-9]+ (?:gpu|compute|[ahv][0-9]+)[- ]hours?)"
    rf"|\b[0-9]+\b.{{0,30}}?{_UNITS}|{_RUN} (?:is|are|:|=) [0-9]+(?![\w.])"
    rf"|\b(?:train\w*|runs?)\b.{{0,20}}\b(?P<epochs>(?:[0-9]+|one|two|three|an?) epochs?|overnight|over ?night"
    rf"|until (?:it )?converge\w*)"
    r"|(?P<foreign>[0-9]+\s*(?:minuten|sekunden|stunden|schritte|secondes|heures|\u00e9tapes|minutos|segundos|horas|pasos)\b"
    r"|[0-9]+\s*(?:\u5206\u949f|\u79d2|\u5c0f\u65f6|\u6b65|\u5206|\u6642\u9593))"
    rf"|(?P<spoken>\b(?:an?|half|quarter|several|few|couple of|dozen|hundred|thousand) (?:of )?(?:an? )?{_UNITS})",
    re.IGNORECASE,
)
_LIMITS = re.compile(
    r"\b(?:cap|spend|stop after|finish|no more than|max(?:imum)?|at most|within|we (?:only )?have)\b", re.IGNORECASE
)
_NONE = Budget("steps", 0)
_LEAD = re.compile(r"^(?:so|thus|and|but|also|note:?|i\.e\.,?)\s+", re.IGNORECASE)

_LONGEST = 400  # characters of a clause that is in a form; to search longer ones would take long
_MOST = 20  # amounts of a clause that are looked at

_Kind = Literal["budget", "cap", "mention", "aside", "unclear"]


@frozen
class _Amount:
    """An amount in a sentence, and what the sentence makes of it."""

    kind: _Kind
    text: str
    words: str
    sentence: Sentence


@frozen
class StatedTime:
    """What the prose says: the budget of a run and the seconds of all runs (None: nothing), and how it was read."""

    budget: Budget | None
    cap_s: float | None
    reads: tuple[ReadAs, ...]


def stated_time(page: IssueDocument, settled: Budget | None, cap_s: float | None) -> StatedTime:
    """Return what the prose says. Raises BadInput for what looks like a budget or a cap and is in no documented form.

    `settled` is the budget that the settings block or a column gives, `cap_s` the block's cap: these outrank the prose,
    and nothing of their kind is read of it.
    """
    amounts = list(_amounts(page))
    budget = settled or _agreed(page, amounts, "budget") or _agreed(page, amounts, "mention")
    cap = None if cap_s is not None else _agreed(page, amounts, "cap")
    known = {amount for amount in (budget, cap) if amount is not None}
    for one in amounts:
        if one.kind == "unclear" and settled is None and read_budget(one.text) not in known:
            raise _unclear(page, one)
    if cap is not None and cap.kind != "seconds":
        one = next(one for one in amounts if one.kind == "cap")
        raise page.error(
            f"{one.words!r}: all runs together are capped in time", one.sentence.line, "write such as: 2 hours in all"
        )
    reads = tuple(_read_as(page, one, settled, cap_s) for one in amounts)
    return StatedTime(None if settled else budget, None if cap is None else cap.amount, reads)


def _unclear(page: IssueDocument, one: _Amount) -> Exception:
    plain = one.sentence.plain[:100]
    ways = f"budget: {one.text if read_budget(one.text) else '5 minutes'} for each run, cap: for all of them"
    return page.error(
        f"{plain!r} may give a budget, and is in no form that is read",
        one.sentence.line,
        f"write: Each run is 5 minutes. Or in the settings block: {ways}",
    )


def _agreed(page: IssueDocument, amounts: Sequence[_Amount], kind: _Kind) -> Budget | None:
    """Return what all amounts of a kind give; None where there is none. Raises BadInput where two differ."""
    first: tuple[Budget, str] | None = None
    for one in (one for one in amounts if one.kind == kind):
        budget, line = read_budget(one.text), one.sentence.line
        if budget is None:
            raise page.error(f"{one.words!r}: {one.text!r} is no budget", line, BUDGETS)
        shown = f"{one.words!r} ({page.where(line)})"
        first = first or (budget, shown)
        if budget != first[0]:
            what = "two caps" if kind == "cap" else "two budgets for a run"
            raise page.error(f"{what}: {first[1]} and {shown}", line, "keep one of them")
    return None if first is None else first[0]


def _read_as(page: IssueDocument, one: _Amount, settled: Budget | None, cap_s: float | None) -> ReadAs:
    meanings: dict[_Kind, str] = {
        "budget": f"not read: the budget is {settled}" if settled else f"the budget of a run: {read_budget(one.text)}",
        "cap": "not read: the settings block has a cap"
        if cap_s is not None
        else f"all runs together take {one.text} at most",
        "mention": f"the budget of a run, where nothing else gives one: {read_budget(one.text)}",
        "aside": "describes: no budget",
        "unclear": "the budget, once more" if settled is None else f"not read: the budget is {settled}",
    }
    return page.read_as(one.sentence.line, one.sentence.text, meanings[one.kind])


# --- clauses ----------------------------------------------------------------------------------------------


def _amounts(page: IssueDocument) -> Iterator[_Amount]:
    for sentence in sentences(page):
        text = sentence.plain
        if not _SPAN.search(text):
            yield from _unitless(sentence)
            continue
        stated = [one for clause in _clauses(text) for one in _classified(clause, sentence)]
        limits = _LIMITS.search(text) and any((read_budget(one.text) or _NONE).kind == "seconds" for one in stated)
        gives = _SPAN.fullmatch(text) or (_GIVES.match(text) and any(map(_is_much, stated)))
        speaks = (
            sentence.in_execution
            or _is_under_budget(sentence)
            or ((_SPEAKS.search(text) or limits or gives) and not sentence.in_the_past)
        )
        yield from (one if one.kind != "unclear" or speaks else replace(one, kind="aside") for one in stated)


def _is_under_budget(sentence: Sentence) -> bool:
    return any(map(_UNDER_BUDGET.fullmatch, sentence.prose.headings[-1:]))


def _is_much(one: _Amount) -> bool:
    """Return whether an amount may be of a run: a time, some steps, or more tokens than a window has."""
    budget = read_budget(one.text)
    return budget is not None and (budget.kind != "tokens" or budget.amount >= 1e6)


def _unitless(sentence: Sentence) -> Iterator[_Amount]:
    """Yield the number of a sentence that may give a budget and has no amount that is one: Budget: 300."""
    match = _LOOKS.search(sentence.plain[:_LONGEST]) if not sentence.in_the_past else None
    counts = re.match(r"\W*[0-9]", sentence.plain) or re.search(_UNITS, sentence.plain, re.IGNORECASE)
    if _is_under_budget(sentence) and counts:
        yield _Amount("unclear", sentence.plain[:_LONGEST], sentence.plain[:_LONGEST], sentence)
        return
    limits = _SPEAKS.search(sentence.plain) or _LIMITS.search(sentence.plain)
    spoken = match and match["spoken"] and limits
    if match and (
        match["number"]
        or match["gpu"]
        or match["steps"]
        or match["epochs"]
        or match["foreign"]
        or spoken
        or sentence.in_execution
    ):
        yield _Amount("unclear", match[0], match[0], sentence)


def _clauses(text: str) -> list[str]:
    return re.split(r"\s*(?:[;()]|,(?![0-9]))\s*", text)


def _classified(clause: str, sentence: Sentence) -> Iterator[_Amount]:
    spans = [span[0] for span in _SPAN.finditer(clause)]
    marked = _LEAD.sub("", " ".join(_SPAN.sub("@", clause).split()))
    kind = _kind(marked, len(spans), sentence) if len(marked) <= _LONGEST else "unclear"
    for text in spans[:_MOST]:
        yield _Amount(kind, text, clause.strip()[:_LONGEST], sentence)


def _kind(marked: str, count: int, sentence: Sentence) -> _Kind:
    under = _is_under_budget(sentence) and re.fullmatch(rf"@{_TRAINING}", marked, re.IGNORECASE)
    if count == 1 and (_matches(_BUDGET_FORMS, marked) or under):
        return "budget"
    if count == 1 and _matches(_CAP_FORMS, marked):
        return "cap"
    if any(re.search(form, marked, re.IGNORECASE) for form in _ASIDE):
        return "aside"
    if _PAST.search(marked):
        return "unclear" if sentence.in_execution else "aside"
    return "mention" if count == 1 and _MENTION.search(marked) else "unclear"


def _matches(forms: Sequence[str], clause: str) -> bool:
    return any(re.fullmatch(form, clause, re.IGNORECASE) for form in forms)

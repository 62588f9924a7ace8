"""Which variants run and in which order, as the prose says: the documented forms, and a refusal of what is like them.

A sentence becomes a row of letters, one a word (WORDS), and a form is a pattern over these letters. A word that has no
letter fits no form: so no sentence is read by half. docs/writing-issues.md lists the forms. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.core.experiment import ReadAs
from agent.spec.markdown import IssueDocument
from agent.spec.sentences import Sentence, sentences, without_asides, without_reason
from agent.spec.variants import VariantNames

_PHRASES = (  # several words that mean one thing, before a sentence is taken apart
    (r"\b(?:do not|don't|never) (?:run|train|start|try)\b", "SKIP"),
    (r"\b(?:has|have) (?:already|since) (?:been )?(?:run|done|finished|measured|trained)\b", "DONE"),
    (r"\b(?:is|are) already (?:done|run|finished|measured)\b|\b(?:was|were) already (?:run|done|measured)\b", "DONE"),
    (r"\bleave out\b|\bleave (?=[^.]*\bout$)", "SKIP "),
    (r"\bout$", ""),
    (r"\b(?:run )?(?:all|everything)(?: variants| of them)? (?:but|except(?: for)?|without|apart from)\b", "SKIP"),
    (r"\bexcept(?: for)? ", "SKIP "),
    (r"\b(?:is|are|should be|will be|to be) (?:skipped|left out|omitted|excluded|dropped)\b", "SKIPPED"),
    (
        r"\bin the order (?:of the table|listed|given|above|below)\b|\bin table order\b|\bas listed(?: above)?\b",
        "LISTED",
    ),
    (
        r"\b(?:sequentially|one after (?:another|the other)|in sequence|in (?:this|that) order|in order|one by one)\b",
        "",
    ),
    (r"\bat the (?:very )?end\b", "last"),
    (r"\bat the (?:very )?(?:start|beginning)\b", "first"),
    (r"\b(?:after that|followed by|and then|after which)\b", "then"),
    (r"\bthe (?:rest|others?|remaining(?: ones| variants| rows)?)\b|\b(?:all others|everything else)\b", "REST"),
)
_WORDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("run", "runs", "start", "train", "try", "begin", "do", "execute", "launch", "queue", "schedule"), "v"
    ),
    **dict.fromkeys(("first", "firstly"), "f"),
    **dict.fromkeys(("last", "lastly", "finally"), "l"),
    **dict.fromkeys(("then", "next", "afterwards", "subsequently", "->", "\u2192", "=>", ">"), "n"),
    **dict.fromkeys(("and", "&", "+", "/", "plus"), "a"),
    **dict.fromkeys((",", ":"), "c"),
    "but": "u",
    "before": "b",
    "after": "r",
    **dict.fromkeys(("SKIP", "skip", "omit", "exclude", "drop"), "x"),
    **dict.fromkeys(("SKIPPED", "skipped", "omitted", "excluded", "dropped"), "y"),
    "DONE": "d",
    **dict.fromkeys(("only", "just"), "o"),
    "LISTED": "s",
    "REST": "t",
    **dict.fromkeys(("-", "\u2013", "to", "through"), "g"),
    **dict.fromkeys(
        ("the", "a", "it", "is", "are", "be", "goes", "comes", "should", "will", "must", "please", "now", "one"), ""
    ),
    **dict.fromkeys(
        ("variant", "variants", "experiment", "experiments", "row", "rows", "with", "them", "all", "both"), ""
    ),
}
_ORDER = re.compile(
    r"(?P<lead>[fl]c?)?(?P<verb>v)?(?P<list>i(?:gi)?(?:(?:ca|c|a)i(?:gi)?)*|t)"
    r"(?P<late>v)?(?P<mark>[fl])?(?P<next>n)?(?=$|[cnua])"
)
_ONE_LIST = re.compile("t|i(?:gi)?(?:ai(?:gi)?)*|(?:i(?:gi)?c)+i(?:gi)?c?ai(?:gi)?")  # 1D, 1C and 1A; not 1D, 1C
_SEPARATOR = re.compile(r"c?a?n|[cua]c?u?")
_IDS = "i(?:gi)?(?:(?:ca|c|a)i(?:gi)?)*"
_FORMS = {
    "skip": re.compile(f"x(?P<list>{_IDS})|(?P<late>{_IDS})c?y"),
    "done": re.compile(f"(?P<list>{_IDS})d"),
    "only": re.compile(f"(?:ov|vo|o)(?P<list>{_IDS})|v?(?P<late>{_IDS})o"),
    "before": re.compile(f"v?(?P<list>{_IDS})v?b(?P<other>{_IDS})|b(?P<other2>{_IDS})c?v?(?P<late>{_IDS})"),
    "after": re.compile(f"v?(?P<list>{_IDS})v?r(?P<other>{_IDS})|r(?P<other2>{_IDS})c?v?(?P<late>{_IDS})"),
    "listed": re.compile("v?s"),
}
_TOKEN = re.compile(r"\x00[0-9]+\x00|->|=>|[A-Z]{3,}|[a-z']+|\S")
_STEERS = re.compile(  # a sentence that names no variant, and yet says what runs and when
    r"^(?:please )?(?:only|just|skip|omit|exclude|leave|don't|do not|never)\b"
    r"|^(?:please )?(?:run|start|train|begin|execute|do)\b"
    r".*\b(?:first|last|before|after|then|only|except|but|until|order|skip)\b"
    r"|\b(?:in|the|table) order\b(?! to\b)|\bof the table$|\b(?:as|when) listed\b",
    re.IGNORECASE,
)
_DOES = re.compile(r"^(?:please )?(?:run|start|train|skip|omit|exclude|only|don't|do not|never|leave)\b",
                   re.IGNORECASE)  # fmt: skip
_ELSEWHERE = re.compile(
    r"(?:\bissue|#)\s*\d+|\b(?:earlier|previous(?:ly)?|last (?:time|week|round)|prior)\b", re.IGNORECASE
)
_COMMANDS = re.compile(r"\b(?:run|skip|stop|drop|repeat|rerun|start|train|cancel|add|abort|omit|end)\b", re.IGNORECASE)
_ADVICE = (
    "write it as: Run 1D and 1C first, then 1A, then 1B. Or: Skip 1B. Or: Only run 1A and 1C. "
    "Or say it in the settings block: order: [1D, 1C], skip: [1B], only: [1A, 1C]"
)


@dataclass
class Instructions:
    """What the prose says of the variants: their places, what comes before what, who is left out and why."""

    placed: list[tuple[int, str]] = field(default_factory=list)  # first (-1), in order (0) or last (1)
    pairs: list[tuple[str, str, Sentence]] = field(default_factory=list)  # the first of the two runs before the other
    moved: set[str] = field(default_factory=set)  # those that a sentence puts before or after others
    skipped: dict[str, str] = field(default_factory=dict)
    only: dict[str, str] = field(default_factory=dict)
    as_listed: bool = False
    reads: list[ReadAs] = field(default_factory=list)


@dataclass(frozen=True)
class _Words:
    """A sentence taken apart: a letter for each word that counts, and the variants by their places among them."""

    letters: str
    names: Mapping[int, str]

    def of(self, span: tuple[int, int]) -> list[str]:
        return [name for at, name in self.names.items() if span[0] <= at < span[1]]


def read_instructions(page: IssueDocument, names: VariantNames, *, given: bool) -> Instructions:
    """Return what the prose says of an issue's variants.

    `given` is whether the settings block says something of it (order, skip, only): then what is in no documented form
    is left alone. Else it raises BadInput, with the line, where the sentence stands in Execution or gives an order.
    """
    result = Instructions()
    for sentence in sentences(page):
        _read(page, names, sentence, result, given)
    return result


def _read(page: IssueDocument, names: VariantNames, sentence: Sentence, result: Instructions, given: bool) -> None:
    plain = names.spaced(sentence.plain)
    if re.match(r"(?:so |and |but )?(?:if|when|in case|should|unless|once)\b", plain, re.IGNORECASE):
        return _check_condition(page, names, sentence, given)
    text, reason = without_reason(plain)
    mentioned = bool(names.mentions(text))
    if _is_about_another_issue(names, text) or not (sentence.in_execution or _may_instruct(text, sentence)):
        return None
    form = _read_form(page, names, sentence, text, reason) if mentioned else _form_without_names(text, names, sentence)
    if form is not None:
        return _obey(page, sentence, form, result)
    if not mentioned:
        return _check_silent(page, sentence, given)
    if not given and (sentence.in_execution or _DOES.search(text)):
        raise page.error(f"{sentence.plain[:100]!r} is in no form that is read", sentence.line, _ADVICE)
    return None


def _may_instruct(text: str, sentence: Sentence) -> bool:
    """Return whether a sentence outside of Execution may say what runs: it begins so, or says what has run."""
    begins = _DOES.search(text) or re.match(r"(?:first|last|before|after)\b", text, re.IGNORECASE)
    return _says_done(text) or (begins is not None and not sentence.in_the_past)


def _form_without_names(text: str, names: VariantNames, sentence: Sentence) -> "_Form | None":
    """Return the form of a sentence in Execution that is about all variants: in the order of the table."""
    words = _taken_apart(text, names) if sentence.in_execution else None
    return _Form("listed") if words is not None and _FORMS["listed"].fullmatch(words.letters) else None


def _says_done(text: str) -> bool:
    return any(word in ("DONE", "SKIPPED") for word in _phrased(text).split())


def _is_about_another_issue(names: VariantNames, text: str) -> bool:
    """Return whether a sentence speaks of variants that are not this issue's, and says so."""
    unknown = [word for _, word in names.mentions(text) if names.name(word) is None]
    return bool(unknown) and _ELSEWHERE.search(text) is not None


def _check_silent(page: IssueDocument, sentence: Sentence, given: bool) -> None:
    """Raise BadInput for a sentence that names no variant and yet orders or leaves out."""
    if sentence.in_execution and not given and _STEERS.search(sentence.plain):
        raise page.error(f"{sentence.plain[:100]!r} names no variant", sentence.line, _ADVICE)


def _check_condition(page: IssueDocument, names: VariantNames, sentence: Sentence, given: bool) -> None:
    """Raise BadInput for a condition in Execution that asks for something: nothing here waits for it."""
    plain = names.spaced(sentence.plain)
    words = [word for _, word in names.mentions(plain)]
    unknown = [word for word in words if names.name(word) is None]
    if unknown and sentence.in_execution and not _is_about_another_issue(names, plain):
        raise page.error(f"{unknown[0]} is no variant", sentence.line, f"the IDs are {names.known}")
    outcome = re.match(r"if\b.*\bwins?\b", plain, re.IGNORECASE) and not _COMMANDS.search(plain)
    if sentence.in_execution and words and not outcome and not given:
        advice = (
            "a campaign runs what the issue lists; a person steers it by a comment: /skip 1B, /run 1E DEPTH=9, /stop"
        )
        raise page.error(
            f"{plain[:100]!r} asks for something on a condition, which is not obeyed", sentence.line, advice
        )


# --- forms ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    """A sentence, understood: which form it has, the variants in it, and those that they come before or after."""

    kind: str
    names: Sequence[str] = ()
    others: Sequence[str] = ()
    placed: Sequence[tuple[int, str]] = ()


def _read_form(page: IssueDocument, names: VariantNames, sentence: Sentence, text: str, reason: str) -> _Form | None:
    """Return the form of a sentence, None where it has none. Raises BadInput where it names what is no variant."""
    bare = without_asides(text)
    for _, word in names.mentions(text):
        if names.name(word) is None:
            raise page.error(f"{word} is no variant", page.line_of(sentence.prose, word), f"the IDs are {names.known}")
    explains = not any(names.name(word) for _, word in names.mentions(reason)) and not re.search(
        r"\b(?:then|first|last)\b", reason
    )
    if bare is None or not explains:
        return None
    words = _taken_apart(bare, names)
    return None if words is None else _form_of(words, names)


def _form_of(words: _Words, names: VariantNames) -> _Form | None:
    for kind, pattern in _FORMS.items():
        if match := pattern.fullmatch(words.letters):
            groups = [match.span(name) for name in ("list", "late") if name in match.re.groupindex and match[name]]
            others = [match.span(name) for name in ("other", "other2") if name in match.re.groupindex and match[name]]
            listed = _expanded(words, groups[0], names) if groups else []
            other = _expanded(words, others[0], names) if others else []
            return None if listed is None or other is None else _Form(kind, listed, other)
    placed = _placed(words, names)
    return None if placed is None else _Form("order", placed=placed)


def _placed(words: _Words, names: VariantNames) -> list[tuple[int, str]] | None:
    """Return the places that an order gives, None where it is none or may be read in two ways."""
    placed, separator, marked = list[tuple[int, str]](), "", True
    at = 1 if words.letters.startswith("n") else 0  # "Then 1B." as a sentence of its own
    while clause := _ORDER.match(words.letters, at):
        listed = [] if clause["list"] == "t" else _expanded(words, clause.span("list"), names)
        mark = {"f": -1, "l": 1}.get(clause["mark"] or (clause["lead"] or "")[:1], 0)
        loose = not _ONE_LIST.fullmatch(clause["list"]) or (separator == "c" and not marked)
        if listed is None or (loose and clause["mark"]) or (clause["mark"] and clause["lead"]):
            return None  # "1D, 1C first": both, or the second alone?
        placed += [(mark, name) for name in listed]
        at, marked = clause.end(), bool(clause["mark"] or clause["lead"])
        if at == len(words.letters):
            return placed
        between = _SEPARATOR.match(words.letters, at)
        if between is None:
            return None
        separator, at = between[0], between.end()
    return None


def _expanded(words: _Words, span: tuple[int, int], names: VariantNames) -> list[str] | None:
    """Return the variants in a part of a sentence, ranges in full; None for a range that runs backwards."""
    expanded, order = list[str](), list(names.all)
    for at, name in ((at, name) for at, name in words.names.items() if span[0] <= at < span[1]):
        if at > span[0] and words.letters[at - 1] == "g":
            first, last = order.index(expanded[-1]), order.index(name)
            if last < first:
                return None
            expanded += order[first + 1 : last + 1]
        else:
            expanded.append(name)
    return expanded


def _phrased(text: str) -> str:
    for pattern, word in _PHRASES:
        text = re.sub(pattern, f" {word} ", text, flags=re.IGNORECASE)
    return " ".join(text.split())


def _taken_apart(text: str, names: VariantNames) -> _Words | None:
    """Return a letter for each word of a sentence; None where one has no meaning here."""
    mentions = [(at, word) for at, word in names.mentions(text)]
    for number, (at, word) in reversed(list(enumerate(mentions))):
        text = f"{text[:at]} \x00{number}\x00 {text[at + len(word) :]}"
    letters, placed = "", dict[int, str]()
    for token in _TOKEN.findall(_phrased(text.lower())):
        if token[0] == "\x00":
            placed[len(letters)] = names.name(mentions[int(token[1:-1])][1]) or ""
            letters += "i"
        elif token not in _WORDS:
            return None
        else:
            letters += _WORDS[token]
    return _Words(letters, placed)


# --- what follows -----------------------------------------------------------------------------------------


def _obey(page: IssueDocument, sentence: Sentence, form: _Form, result: Instructions) -> None:
    """Take what a sentence says into the instructions."""
    why = f"{sentence.plain!r} ({page.where(sentence.line)})"
    means = f"{form.kind}: {', '.join(form.names)}"
    match form.kind:
        case "skip" | "done":
            result.skipped |= dict.fromkeys(form.names, why)
            means = f"leaves out {', '.join(form.names)}"
        case "only":
            result.only |= dict.fromkeys(form.names, why)
            means = f"runs {', '.join(form.names)} alone"
        case "before" | "after":
            pairs = [(a, b) for a in form.names for b in form.others]
            result.pairs += [(*(pair if form.kind == "before" else pair[::-1]), sentence) for pair in pairs]
            result.moved |= set(form.names)
            means = f"runs {', '.join(form.names)} {form.kind} {', '.join(form.others)}"
        case "listed":
            result.as_listed = True
            means = "runs the variants in the order of the table, whatever their priority"
        case _:
            result.placed += form.placed
            means = f"orders: {', '.join(name for _, name in form.placed)}" if form.placed else "orders the rest"
    result.reads.append(page.read_as(sentence.line, sentence.text, means))


def in_order(page: IssueDocument, names: Sequence[str], ranks: Sequence[int], instructions: Instructions) -> list[str]:
    """Return the names in run order: as the prose says, then by priority, then as listed.

    Raises BadInput where sentences about what comes before what cannot all be true.
    """
    placed: dict[str, tuple[int, int]] = {}
    for at, (place, name) in enumerate(instructions.placed):
        if name not in placed or (place and not placed[name][0]):  # "1B last" outranks an earlier mention
            placed[name] = place, at
    unlisted = 0, len(instructions.placed)
    keys = {
        name: (*placed.get(name, unlisted), 0 if instructions.as_listed else rank)
        for name, rank in zip(names, ranks, strict=True)
    }
    order = sorted(names, key=keys.__getitem__)
    for first, second, _ in instructions.pairs:
        if _out_of_order(order, first, second):
            moved = first if first in instructions.moved else second
            order.remove(moved)
            order.insert(order.index(second) if moved == first else order.index(first) + 1, moved)
    for first, second, sentence in instructions.pairs:
        if _out_of_order(order, first, second):
            raise page.error(f"{sentence.plain!r} cannot be true with the other orders", sentence.line, _ADVICE)
    return order


def _out_of_order(order: Sequence[str], first: str, second: str) -> bool:
    return first in order and second in order and order.index(first) > order.index(second)

"""Which variants run and in which order, as the prose says; a sentence like the forms and in none is refused. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.core.experiment import ReadAs
from agent.spec.forms import Form, read_form, says_done
from agent.spec.markdown import IssueDocument
from agent.spec.sentences import Sentence, sentences, without_asides, without_reason
from agent.spec.variants import VariantNames

_STEERS = re.compile(  # a sentence that names no variant, and yet says what runs and when
    r"^(?:please )?(?:only|just|skip|omit|exclude|leave|don't|do not|never)\b"
    r"|^(?:please )?(?:run|start|train|begin|execute|do)\b"
    r".*\b(?:first|last|before|after|then|only|except|but|until|order|skip)\b"
    r"|\b(?:ignore|drop|forget)\b.*\b(?:rest|others?|remaining)\b|^stop\b"
    r"|\b(?:twice|thrice|[0-9]+ times|(?:two|three) times)\b"
    r"|\brows? (?:[0-9]|one|two|three)\b|^(?:the )?(?:top|bottom|odd|even|random|upper|lower)\b"
    r"|\b(?:in|the|table) order\b(?! to\b)|\bof the table$|\b(?:as|when) listed\b",
    re.IGNORECASE,
)
_DOES = re.compile(r"^(?:please )?(?:run|start|train|skip|omit|exclude|only|don't|do not|never|leave)\b",
                   re.IGNORECASE)  # fmt: skip
_WATCHES = re.compile(  # of a variant, and asks nothing of the harness
    r"^(?:please |also )*(?:keep an eye on|watch(?: out)?|monitor|mind|beware of|note|check)\b", re.IGNORECASE
)
_PICKS = re.compile(  # the same outside of Execution
    r"^(?:please )?(?:(?:only|just|skip|omit|exclude|leave out|pick|(?:don't|do not|never) run|all (?:but|except))\b"
    r"|run (?!(?:all|each|every|everything)\b))"
    r".*\b(?:rows?|variants?|of (?:them|these|those)|the (?:first|last|best)|ones?|half|odd|even)\b"
    r"|^(?:the )?(?:first|last) (?:\w+ )?(?:rows?|variants?) (?:is|are|can)\b"
    r"|^(?:first|last|finally)\b.{0,30}\b(?:ones|rows|variants)\b|\bfeel free to (?:skip|drop|omit|leave)\b|^(?:it"
    r"|they|this|that|these|those) (?:can|could|may) be (?:skipped"
    r"|dropped|omitted|left out)\b"
    r"|^(?:the )?(?:highest|lowest|cheapest|biggest|largest|smallest|widest|deepest|best|most|shortest|fastest"
    r"|quick\w*|small|large)\b.{0,40}"
    r"\b(?:first|last)$|\b(?:bottom to top|top to bottom|bottom[- ]up|reverse order|random order|alphabetical\w*)\b",
    re.IGNORECASE,
)
# Wherever it stands, but in the past: a sentence that has this of a variant (\x00) leaves it out, or may.
_OFF = r"(?:skipped|omitted|dropped|ignored|removed|excluded|cancell?ed|postponed|left out)"
_EXCLUDES = re.compile(
    r"\b(?:auslassen|weglassen|\u00fcberspringen|zuerst|zuletzt|erst|nicht|ne pas|sauter|omettre|d'abord|omitir"
    r"|saltar|primero)\b.*\x00"
    r"|\x00.*\b(?:auslassen|weglassen|\u00fcberspringen|zuerst|zuletzt|nicht|d'abord|omitir|primero)\b"
    r"|(?:\u8df3\u8fc7|\u4e0d\u8981|\u4e0d\u8dd1|\u5148\u8dd1)\s*\x00"
    r"|^\[[xX\u2713\u2714]\].*\x00|\x00\W* is out\b|~~\W*\x00"
    r"|^(?:not|all but|everything but|everyone but|anything but) \x00"
    r"|\bno need\b.*\x00|\x00.*\b(?:skip|no longer|blocked)\b"
    r"|(?:\b(?:not|never|cannot)\b|n't\b).{0,20}\b(?:run|train|start|include)\b.*\x00"
    r"|\x00.{0,20}(?:\b(?:not|never|cannot)\b|n't\b).{0,20}\b(?:run|trained|started|needed|necessary|required|included)\b"
    r"|\x00 (?:was|were|has|have|already|is|'s|,)(?: \w+){0,3}? ?\b(?:already|finished|ran)\b"
    r"|\b(?:only|just)\b(?: \w+){0,2} \x00|\x00 only\b"
    r"|\x00 (?:\w+ ){0,2}(?:first|last)\b|^(?:finally|lastly|first|last),? \x00"
    r"|\b(?:order|sequence)\b.*\x00.*\x00|\bw/o \x00"
    r"|\x00.* (?:so|and|please)?,? ?run (?:it|them|that|this) (?:first|last)\b"
    r"|\x00 (?:runs? |goes |comes )?(?:before|after) (?:all |any of )?(?:the )?(?:rest|others?|all|everything)\b"
    r"|\x00 ran\b.*\balready\b|\x00(?:'s)? (?:result|outcome|number|value)s? (?:is|are) (?:already )?known\b"
    r"|\x00\s*(?:->|\u2192)\s*\x00|\x00 (?:goes |comes |runs )?(?:before|after) \x00"
    r"|\b(?:skip|omit|exclude|drop|ignore|remove|cancel|avoid|postpone|without|except(?: for)?|need"
    r"|bother (?:with|to run)|(?:already|previously) (?:ran|run|tried|measured|tested))"
    r" (?:the )?(?:variants? |rows? )?\x00"
    r"|\b(?:stop|halt|abort|quit)\b.*\x00|\x00 depends on \x00"
    r"|\b(?:run|start|begin|do|try|train|wait)\b.*\x00.*\b(?:first|last|before|after|next|finally|second)\b"
    r"|\bstart with \x00|^then (?:run |do )?\x00"
    r"|^\x00(?: and \x00)* (?:(?:goes|comes|runs|is|must be|should be) )?(?:first|last)\b"
    r"|\b(?:do|run|wait for) \x00 before"
    r"|\x00\s*(?::|-|\u2013|\u2014)\s*(?:skip|omit|done|no\b)|\bskip (?:it|them|this|that|these|those)\b"
    r"|\x00(?: and \x00)* (?:(?:is|are|can be|could be|should be|may be|needs? not be|has been|was|were) "
    rf"(?:\w+ )?{_OFF}"
    r"|(?:is|are) (?:now |already )?(?:redundant|obsolete|unnecessary|optional|superfluous|moot|not needed|done)\b)",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"(?:\bissue|#)\s*\d+|\b(?:earlier|previous(?:ly)?|last (?:time|week|round)|prior)\b", re.IGNORECASE
)
_COMMANDS = re.compile(r"\b(?:run|skip|stop|drop|repeat|rerun|start|train|cancel|add|abort|omit|end)\b", re.IGNORECASE)
_ADVICE = (
    "write it as: Run 1D and 1C first, then 1A, then 1B. Or: Skip 1B. Or: Only run 1A and 1C. "
    "Or say it in the settings block: order: [1D, 1C], skip: [1B], only: [1A, 1C]"
)


_LEFT_OUT = re.compile(  # headings under which a list of variants may say that they do not run
    r"^(?:skip\w*|not to run|do not run|don't run|already (?:done|run)|done|dropped|postponed|out of scope|later"
    r"|left out)\b",
    re.IGNORECASE,
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
    bare: list[Sentence] = field(default_factory=list)  # those that name variants to run, and give no order
    reads: list[ReadAs] = field(default_factory=list)


def read_instructions(page: IssueDocument, names: VariantNames, *, given: bool) -> Instructions:
    """Return what the prose says of an issue's variants.

    `given` is whether the settings block says something of it (order, skip, only): then what is in no documented form
    is left alone. Else it raises BadInput, with the line, where the sentence stands in Execution or gives an order.
    """
    result = Instructions()
    for sentence in sentences(page):
        if not given:
            _check_headings(page, names, sentence)
        _read(page, names, sentence, result, given)
    if not given:
        _check_bare(page, names, result)
    return result


def _check_bare(page: IssueDocument, names: VariantNames, result: Instructions) -> None:
    """Raise BadInput for `Run 1A and 1B.` alone, where there are others: do these run at all?"""
    named = {name for _, name in result.placed} | result.skipped.keys() | result.moved
    others = [name for name in names.all if name not in named]
    alone = len(result.reads) == len(result.bare) == 1
    if alone and others:
        sentence = result.bare[0]
        first = " and ".join(name for _, name in result.placed)
        advice = f"write: Only run {first}. Or: Run {first} first."
        raise page.error(
            f"{sentence.plain[:100]!r} says not whether {', '.join(others)} run too", sentence.line, advice
        )


def _read(page: IssueDocument, names: VariantNames, sentence: Sentence, result: Instructions, given: bool) -> None:
    plain = names.spaced(sentence.plain)
    if re.match(r"(?:so |and |but )?(?:if|when|in case|should|unless|once)\b", plain, re.IGNORECASE):
        return _check_condition(page, names, sentence, given)
    text, reason = without_reason(plain)
    mentioned = bool(names.mentions(text))
    if not mentioned and not sentence.in_execution and not says_done(text):
        return _check_silent(page, sentence, given)
    if _is_about_another_issue(names, text):
        return None
    if not (sentence.in_execution or _may_instruct(text, sentence, names)):
        return None
    form = _read_form(page, names, sentence, text, reason) if mentioned else _form_without_names(text, names, sentence)
    if form is not None:
        return _obey(page, sentence, form, result)
    if not mentioned:
        return _check_silent(page, sentence, given)
    watches = _WATCHES.search(text) and not _STEERS.search(text)
    asks = _excludes(text, names) or _DOES.search(text) or (sentence.in_execution and not watches)
    if asks and not given:
        raise page.error(f"{sentence.plain[:100]!r} is in no form that is read", sentence.line, _ADVICE)
    return None


def _check_headings(page: IssueDocument, names: VariantNames, sentence: Sentence) -> None:
    """Raise BadInput where variants stand under a heading that may leave them out."""
    if names.mentions(sentence.plain) and any(_LEFT_OUT.search(heading) for heading in sentence.prose.headings):
        problem = f"{sentence.plain[:100]!r} stands under {sentence.prose.headings[-1]!r}: is it left out?"
        raise page.error(problem, sentence.line, _ADVICE)


def _may_instruct(text: str, sentence: Sentence, names: VariantNames) -> bool:
    """Return whether a sentence outside of Execution may say what runs: it begins so, or says what has run."""
    begins = _DOES.search(text) or re.match(r"(?:first|last|before|after)\b", text, re.IGNORECASE)
    return says_done(text) or ((begins is not None or _excludes(text, names)) and not sentence.in_the_past)


def _excludes(text: str, names: VariantNames) -> bool:
    """Return whether a sentence may leave a variant out, in whatever words."""
    for at, word in reversed(names.mentions(text)):
        text = f"{text[:at]}\x00{text[at + len(word) :]}" if names.name(word) else text
    return _EXCLUDES.search(text) is not None


def _form_without_names(text: str, names: VariantNames, sentence: Sentence) -> Form | None:
    """Return the form of a sentence in Execution that is about all variants: in the order of the table."""
    form = read_form(text, names) if sentence.in_execution else None
    return form if form is not None and form.kind == "listed" else None


def _is_about_another_issue(names: VariantNames, text: str) -> bool:
    """Return whether a sentence speaks of variants that are not this issue's, and says so."""
    unknown = [word for _, word in names.mentions(text) if names.name(word) is None]
    return bool(unknown) and _ELSEWHERE.search(text) is not None


def _check_silent(page: IssueDocument, sentence: Sentence, given: bool) -> None:
    """Raise BadInput for a sentence that names no variant and yet orders or leaves out."""
    steers = (_STEERS, _PICKS) if sentence.in_execution else (_PICKS,)
    past = sentence.in_the_past or sentence.in_outcomes
    if not given and not past and any(one.search(sentence.plain[:400]) for one in steers):
        raise page.error(f"{sentence.plain[:100]!r} names no variant", sentence.line, _ADVICE)


def _check_condition(page: IssueDocument, names: VariantNames, sentence: Sentence, given: bool) -> None:
    """Raise BadInput for a condition in Execution that asks for something: nothing here waits for it."""
    plain = names.spaced(sentence.plain)
    words = [word for _, word in names.mentions(plain)]
    unknown = [word for word in words if names.name(word) is None]
    if unknown and sentence.in_execution and not _is_about_another_issue(names, plain):
        raise page.error(f"{unknown[0]} is no variant", sentence.line, f"the IDs are {names.known}")
    outcome = re.match(r"if\b.*\bwins?\b", plain, re.IGNORECASE) and not _COMMANDS.search(plain)
    commands = not (sentence.in_the_past or sentence.in_outcomes) and _COMMANDS.search(plain)
    wins = re.match(r"if\b.*\bwins?\b", plain, re.IGNORECASE)
    if not given and words and ((sentence.in_execution and not outcome) or (commands and not wins)):
        advice = (
            "a campaign runs what the issue lists; a person steers it by a comment: /skip 1B, /run 1E DEPTH=9, /stop"
        )
        raise page.error(
            f"{plain[:100]!r} asks for something on a condition, which is not obeyed", sentence.line, advice
        )


# --- forms ------------------------------------------------------------------------------------------------


def _read_form(page: IssueDocument, names: VariantNames, sentence: Sentence, text: str, reason: str) -> Form | None:
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
    return read_form(bare, names)


# --- what follows -----------------------------------------------------------------------------------------


def _obey(page: IssueDocument, sentence: Sentence, form: Form, result: Instructions) -> None:
    """Take what a sentence says into the instructions."""
    why = f"{sentence.plain!r} ({page.where(sentence.line)})"
    means = f"{form.kind}: {', '.join(form.names)}"
    match form.kind:
        case "skip" | "done":
            result.skipped |= dict.fromkeys(form.names, why)
            means = f"leaves out {', '.join(form.names)}"
        case "only":
            if result.only and result.only.keys() != set(form.names):
                raise page.error(f"two sentences say what alone runs: {why}", sentence.line, _ADVICE)
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
            result.bare += [] if form.marked else [sentence]
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

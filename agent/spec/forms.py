"""What a sentence says of variants, as one of the documented forms: order, skip, only, before, after. Pure.

A sentence becomes a row of letters, one a word (WORDS), and a form is a pattern over these letters. A word that has no
letter fits no form: so no sentence is read by half. docs/writing-issues.md lists the forms.
"""

import re
from collections.abc import Mapping, Sequence

from agent.core.frozen import frozen
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
_ORDERS = re.compile(r"\b(?:order|sequen\w+|one (?:by|after))\b|->|\u2192", re.IGNORECASE)
_TOKEN = re.compile(r"\x00[0-9]+\x00|->|=>|[A-Z]{3,}|[a-z']+|\S")


@frozen
class Form:
    """A sentence, understood: which form it has, the variants in it, and those that they come before or after."""

    kind: str
    names: Sequence[str] = ()
    others: Sequence[str] = ()
    placed: Sequence[tuple[int, str]] = ()
    marked: bool = True  # false of `Run 1A and 1B`, an order without a word that orders


@frozen
class _Words:
    """A sentence taken apart: a letter for each word that counts, and the variants by their places among them."""

    letters: str
    names: Mapping[int, str]

    def of(self, span: tuple[int, int]) -> list[str]:
        return [name for at, name in self.names.items() if span[0] <= at < span[1]]


def read_form(text: str, names: VariantNames) -> Form | None:
    """Return the form of a sentence whose IDs are all known; None where it has none."""
    words = _taken_apart(text, names)
    return None if words is None else _form_of(words, names, text)


def says_done(text: str) -> bool:
    """Return whether a sentence says that something has run, or does not run."""
    return any(word in ("DONE", "SKIPPED") for word in _phrased(text).split())


def _form_of(words: _Words, names: VariantNames, text: str) -> Form | None:
    for kind, pattern in _FORMS.items():
        if match := pattern.fullmatch(words.letters):
            groups = [match.span(name) for name in ("list", "late") if name in match.re.groupindex and match[name]]
            others = [match.span(name) for name in ("other", "other2") if name in match.re.groupindex and match[name]]
            listed = _expanded(words, groups[0], names) if groups else []
            other = _expanded(words, others[0], names) if others else []
            return None if listed is None or other is None else Form(kind, listed, other)
    placed = _placed(words, names)
    bare = re.fullmatch(rf"v{_IDS}", words.letters) is not None and not _ORDERS.search(text)
    return None if placed is None else Form("order", placed=placed, marked=not bare)


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

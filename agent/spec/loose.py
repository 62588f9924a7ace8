"""Settings that stand in prose: in the place of a table, or beside one; in code and in tables of settings too. Pure."""

import re
from collections.abc import Iterator, Sequence

from agent.core.experiment import SetConstant, Variant
from agent.core.values import EXPECTED, number
from agent.spec.markdown import IssueDocument, code_lines, lines_of
from agent.spec.names import Unknown, Vocabulary
from agent.spec.sentences import PAST, Sentence, sentences
from agent.spec.variants import VariantNames

_NAME = r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*\b|\b[a-z]+(?:_[a-z0-9]+)+\b|\bTUNED(?:\.\w+)+"
_MARKS = r"[`*\"'}]*"
_ONE = r"-?(?:[0-9]++(?:[.,][0-9]++)*+|\.[0-9]++)(?:e-?[0-9]++)?+(?![A-Za-z]{4})"  # 5eCret is a word
_VALUES = rf"[\[{{(]?\s*(?P<values>{_ONE}(?:\s*(?:,|/|and|or|vs\.?|to|by|instead of|->|\u2192|;)+\s*{_ONE})*)"
_ASSIGNS = re.compile(
    rf"{_MARKS}\s*(?:=|:=?|->|\u2192|\u2208|~|(?:(?:stays?|kept|held|remains?|goes|set|fixed|raised|lowered"
    rf"|increased|reduced|changed) )?(?:of|to"
    rf"|at|in|is|by))?"
    rf"\s*{_MARKS}{_VALUES}",
    re.IGNORECASE,
)
_NEAR = re.compile(rf"{_MARKS}[^.;\n0-9]{{0,24}}?{_VALUES}", re.IGNORECASE)
_WORD = re.compile(rf"{_MARKS}\s*(?:=|:|->|to|of)?\s*{_MARKS}(?P<values>[A-Z]{{1,12}}\b|[a-z]+[0-9]+\b)")
_COUNTED = re.compile(r"(?<![\w.])(?P<values>[0-9]+)[ -]$")  # 12 layers
_FEW = "four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()  # noqa: SIM905
_SPELLED = dict(zip(_FEW, range(4, 17), strict=True)) | {"twenty": 20, "twenty-four": 24, "thirty-two": 32}
_COUNTED_IN_WORDS = re.compile(
    rf"(?:^\W*|\b(?:try|use|with|to|run|test)\s+)(?P<values>{'|'.join(_SPELLED)})[ -]$", re.IGNORECASE
)
_SPELLED_OUT = re.compile(rf"{_MARKS}\s*(?:=|:|of|to|at|is)?\s*(?P<values>{'|'.join(_SPELLED)})\b", re.IGNORECASE)
_FACTOR = (
    r"(?:double|halve|half|triple|quadruple|twice|quarter"
    r"|(?:[0-9.]+|two|three|four|ten)(?:[ -]?fold| ?times| ?[x\u00d7]))"
)
_SCALED = re.compile(
    rf"\b{_FACTOR}\b[^.;,]{{0,16}}$|(?<!\w)[x\u00d7]\s*[0-9.]+\s+(?:the )?$", re.IGNORECASE
)  # the batch size
_SCALES = re.compile(  # Depth x2, softcap on/off, lr +10 %
    rf"{_MARKS}\s*(?:[x\u00d7*]\s*[0-9.]+|[0-9.]+\s*[x\u00d7](?!\w)|[+\u2212/]\s*[0-9.]+|-\s*[0-9.]+\s*%|[0-9.]+\s*%"
    rf"|\b(?:on|off)\W*$|\(?\b(?:on|off|yes|no|true|false|enabled|disabled)\s*(?:/|vs\.?|or|and)\s*(?:on|off|yes|no|true|false|enabled|disabled)\b"
    rf"|{_FACTOR}\b|(?:(?:is|are|gets?|be) )?(?:doubled|halved|tripled|quadrupled)\b)",
    re.IGNORECASE,
)
_TUNES = re.compile(  # a setting without its value: Sweep the learning rate
    r"^\W*(?:please |let's |then |now |also )*(?:change|adjust|tweak|modify|optimi[sz]e|grid|sweep|vary|scan|tune"
    r"|ablate"
    r"|grid[- ]search|increase|decrease|raise"
    r"|lower"
    r"|reduce)\s+(?:(?:over|the|our|on|across)\s+)*$",
    re.IGNORECASE,
)
_COMPARES = re.compile(  # Try a smaller batch
    r"^\W*(?:please |let's |then |now |also )*(?:try|use|test|run|train)\s+(?:with )?(?:an? |the |some )?(?:much "
    r"|slightly |even |far )?"
    r"(?:smaller|larger|bigger|lower|higher|greater|longer|shorter|more|fewer|less)\s+$",
    re.IGNORECASE,
)
_WITHOUT = re.compile(r"\W*(?:try |use |run |train )?(?:with )?(?:no|without|zero)\s+(?:any )?$", re.IGNORECASE)
_ASSIGNMENTS = re.compile(  # L=12, bs=4096: and nothing else
    r"(?:[A-Za-z][\w.]* ?= ?-?[0-9][0-9.e-]*(?:\s*(?:,|;|&|/|\band\b)\s*|\s*$))+"
)
_NO_SETTING = re.compile(  # what is counted or measured; seeds, budgets and thresholds, which others read
    r"\w*(?:loss|bpb|sigma|std|noise|mean|mfu|vram|memory|param|token|flop|model_dim|n_head|width|heads|time|cost"
    r"|step|iter|epoch|seed|budget|run|rep|cap|gain|threshold|margin)\w*|n|p",
    re.IGNORECASE,
)
_RESHAPES = re.compile(  # Widen the MLP to 6x
    r"^\W*(?:please |let's |then |also )*(?:widen|narrow|deepen|shrink|grow|enlarge|scale|stretch)\b[^.;]{0,60}?"
    r"\bto\s+(?P<values>[0-9]+(?:\.[0-9]+)?\s*[x\u00d7]?)\W*$",
    re.IGNORECASE,
)
_DEEP = re.compile(
    r"\b[0-9]+-(?P<name>[a-z]+) (?:model|network|transformer|gpt|net|version|variant)s?\b", re.IGNORECASE
)
_SHAPES = re.compile(
    r"\b[0-9]+\s*[x\u00d7]\s*[0-9]{2,}\b.*\b[0-9]+\s*[x\u00d7]\s*[0-9]{2,}\b|\([0-9]+, ?[0-9]+\).*\([0-9]+, ?[0-9]+\)"
)
_ASKS = re.compile(
    r"\b(?:try|run|test|compare|sweep|set|use|vary|with|scan|raise|lower|increase|decrease|reduce|tune|double|halve"
    r"|change|go(?:es)?|grid)\b",
    re.IGNORECASE,
)
_HALVES = re.compile(r"^(?:the )?(?:\S+ ){1,4}?(?:is|are|gets?) (?:doubled|halved|tripled|quadrupled)\b", re.IGNORECASE)
_EVERY = re.compile(r"(?<!\bare )(?<!\bwere )\b(?:all|every\w*|each|throughout|globally|both)\b", re.IGNORECASE)
_COMMANDS = re.compile(
    r"^(?:please |also |and |then |but |here |always |instead |otherwise |now )*(?:use|set|fix|keep|hold|take|train"
    r"|run|try|test"
    r"|raise|lower|increase|decrease|reduce|change|switch|double|halve|pin|make|with|start)\b",
    re.IGNORECASE,
)
_DESCRIBES = re.compile(
    r"\b(?:is|are|has|have|had|was|were|gives?|gave|gets?|got|today|currently|upstream|defaults?|baseline|measured|published"
    r"|h100|literature|paper|report(?:s|ed)?|recommends?|suggests?|showed|found|works?|helps?|helped|hurts?|won|lost|costs?|needs?|means"
    r"|made|saw|seen|did|took|observed|picks?|picked|used|tried|would|might|may|could|seems?|looks?|because|than"
    r"|issue|et al|they|others?)\b|^see (?:also |the |https?:|#)",
    re.IGNORECASE,
)
_REPEATS = re.compile(  # variants of another issue, or of none
    r"^(?:please |then |also |now |and |just |only )*(?:re-?)?(?:run|do|try|train|test|start|repeat|reproduce"
    r"|replicate|redo|launch|queue"
    r"|skip|continue)\s+"
    r"(?:the )?(?:variants? |rows? |experiments? |both |again )*(?:[`*]*(?:[0-9]{1,3}(?!x\b)[A-Z]|[A-Z][0-9]{1,3})\b"
    r"|.*\b(?:from|of|in) (?:issue |#|experiment )\s*#?[0-9]+\b|(?:issue |#)\s*#?[0-9]+\b)"
    r"|^(?:the )?same\b.*\b(?:as|of|in) (?:issue |#)\s*#?[0-9]+\b",
    re.IGNORECASE,
)
_OWN = "an issue runs its own variants: copy the rows, under new IDs, into a table of this one"
_ADVICE = (
    "list the variants in a table or in the settings block (variants:, or grid: for all combinations); "
    "for an editor to write the change, say there: strategy: freeform"
)


def check_no_settings(page: IssueDocument, names: Vocabulary) -> None:
    """Raise BadInput, with the line, where text without a table gives a constant another value than it has."""
    for first, text in _texts(page):
        for at, line in enumerate(text.split("\n"), first):
            for name, values in given_values(line, names):
                if not all(_is_present(name, value, names) for value in values):
                    shown = " ".join(line.split())[:100]
                    raise page.error(f"{shown!r} gives {name} a value, and there is no table", at, _ADVICE)
    for sentence in sentences(page):
        if not sentence.in_the_past:
            _check_alone(page, names, sentence)


def _check_alone(page: IssueDocument, names: Vocabulary, sentence: Sentence) -> None:
    """Raise BadInput where a sentence names shapes, a size or variants in other words than those of a constant."""
    plain = sentence.plain[:400]
    deep = _DEEP.search(plain)
    if _SHAPES.search(plain) or (deep and names.knows(f"{deep['name']}s")):
        raise page.error(f"{plain[:100]!r} gives shapes, and there is no table", sentence.line, _ADVICE)
    _check_known(page, names, sentence)
    if _RESHAPES.search(plain):
        raise page.error(f"{plain[:100]!r} gives a constant a value, and there is no table", sentence.line, _ADVICE)
    if _REPEATS.search(plain):
        problem = f"{plain[:100]!r} names variants, and there is no table"
        raise page.error(problem, sentence.line, f"{_OWN}; {_ADVICE}")


def check_beside(page: IssueDocument, names: Vocabulary, variants: Sequence[Variant]) -> None:
    """Raise BadInput, with the line, where text beside the variants gives a constant a value that none of them has."""
    ids = VariantNames(tuple(one.name for one in variants))
    for sentence in sentences(page):
        if not (sentence.in_the_past or sentence.in_outcomes):
            _check_sentence(page, names, ids, variants, sentence)
    for at, line in code_in_force(page):
        assigns = re.match(r"\W*[\w.]+\W*[=:]", line) and not line.startswith("-")  # what a diff takes out
        for name, values in given_values(line, names) if assigns else ():
            if not all(_is_present(name, value, names) or value in _set(variants, name, names) for value in values):
                raise _beside(page, line, at, name)


def _check_sentence(
    page: IssueDocument, names: Vocabulary, ids: VariantNames, variants: Sequence[Variant], sentence: Sentence
) -> None:
    every = _EVERY.search(sentence.plain)
    named = {ids.name(word) for _, word in ids.mentions(sentence.plain)} - {None}
    given = list(given_values(sentence.plain, names))
    demands = every or named or _COMMANDS.search(sentence.plain) or _HALVES.search(sentence.plain)
    _check_known(page, names, sentence)
    reshaped = _RESHAPES.search(sentence.plain)
    if reshaped and not _is_set(variants, reshaped["values"], sentence.plain):
        raise _beside(page, sentence.plain, sentence.line, "a constant")
    if not demands and _DESCRIBES.search(sentence.plain):
        return
    chosen = [one for one in variants if one.name in named] or variants
    for name, values in given:
        allowed = set() if every and not named else _set(chosen, name, names)
        if not all(_is_present(name, value, names) or value in allowed for value in values):
            raise _beside(page, sentence.plain, sentence.line, name)


def _check_known(page: IssueDocument, names: Vocabulary, sentence: Sentence) -> None:
    """Raise BadInput for a sentence of settings alone, one of which is of no constant."""
    if not _ASSIGNMENTS.fullmatch(sentence.plain[:400]):
        return
    for name in re.findall(r"([A-Za-z][\w.]*) ?=", sentence.plain):
        unknown = names.resolve(name)
        if isinstance(unknown, Unknown) and name != names.track.metric and not _NO_SETTING.fullmatch(name):
            raise page.error(f"{sentence.plain[:100]!r}: {unknown.problem}", sentence.line, unknown.next_step)


def _beside(page: IssueDocument, text: str, line: int, name: str) -> Exception:
    problem = f"{' '.join(text.split())[:100]!r} gives {name} a value beside the table"
    return page.error(problem, line, f"give {name} a column in the table, or take the sentence out")


def _is_set(variants: Sequence[Variant], text: str, plain: str) -> bool:
    """Return whether a variant gives the number of `6x` to a constant that has a word of the sentence in its name."""
    value, words = number(text.rstrip(" x\u00d7")), set(re.findall(r"[a-z]+", plain.casefold()))
    edits = [edit for one in variants for edit in one.edits if isinstance(edit, SetConstant)]
    return any(edit.value == value and words & set(edit.name.casefold().split("_")) for edit in edits)


def _set(variants: Sequence[Variant], name: str, names: Vocabulary) -> set[str]:
    """Return the values that variants give a constant, in the words of a text; a change of it in general too."""
    target = names.resolve(name)
    values = [
        edit.value for one in variants for edit in one.edits if isinstance(edit, SetConstant) and edit.name == target
    ]
    return {shown for value in values for shown in (str(value), f"{value:g}" if isinstance(value, float) else "", "")}


def _texts(page: IssueDocument) -> Iterator[tuple[int, str]]:
    read = set[int]()
    for prose in page.prose:
        read |= set(range(*prose.lines))
        if not any(heading.casefold().startswith(PAST) for heading in prose.headings):
            yield prose.lines[0], prose.text
    yield from page.titles
    yield from ((at, line) for at, line in enumerate(page.lines) if at not in read and re.search(r"[=:]", line))  # code


def code_in_force(page: IssueDocument) -> Iterator[tuple[int, str]]:
    """Yield the lines of code, each with its number, but for those under headings such as Background."""
    for fence in (fence for fence in page.fences if fence not in page.blocks):
        above = [title for at, title in page.titles if at < lines_of(fence)[0]]
        if not (above and above[-1].casefold().startswith(PAST)):
            yield from code_lines(fence)


def given_values(line: str, names: Vocabulary, *, near: bool = True) -> Iterator[tuple[str, list[str]]]:
    """Yield each name in a line that is given values, and the values; an empty one where it is changed by a factor.

    `near` is whether a number some words behind a name is its value, where the line asks for something.
    """
    line = re.sub(r"https?://[^\s)>\]]+", lambda link: " " * len(link[0]), line[:2000])
    for match in re.finditer(f"{_spoken(names)}|{_NAME}", line):
        spoken = [one for one in (match[0], match[0].lower(), match[0].rstrip("s")) if names.knows(one)]
        if not spoken:
            continue
        value = None if _SCALES.match(line, match.end()) else _value_of(line, match, spoken[0], names, near)
        if value:
            words = [one.rstrip(".,") for one in re.findall(rf"{_ONE}|[A-Za-z][\w-]+", value["values"])]
            yield spoken[0], [str(_SPELLED.get(one.lower(), one)) for one in words]
        elif _is_changed(line, match):
            yield spoken[0], [""]


def _value_of(line: str, match: re.Match[str], name: str, names: Vocabulary, near: bool) -> re.Match[str] | None:
    """Return where a line gives a name its values: behind it, or before it as in `12 layers`."""
    value = _ASSIGNS.match(line, match.end()) or _COUNTED.search(line, 0, match.start())
    value = value or _COUNTED_IN_WORDS.search(line, 0, match.start()) or _SPELLED_OUT.match(line, match.end())
    if value is None and _is_text(name, names):
        value = _WORD.match(line, match.end())
    behind = _NEAR.match(line, match.end()) if value is None else None
    if behind and ((near and _ASKS.search(line)) or len(re.findall(_ONE, behind["values"])) > 1):  # or: rates, 1 and 2
        return behind
    return value


def _is_changed(line: str, match: re.Match[str]) -> bool:
    """Return whether a line changes what it names, and says no value: by a factor, to less, to nothing."""
    if _SCALES.match(line, match.end()):
        return True
    off = _WITHOUT.match(line[: match.start()]) and not re.search(r"\w", line[match.end() :])
    return bool(off) or any(form.search(line, 0, match.start()) for form in (_SCALED, _TUNES, _COMPARES))


def _is_text(name: str, names: Vocabulary) -> bool:
    target = names.resolve(name)
    return isinstance(target, str) and isinstance(names.constants[target], str)


def _spoken(names: Vocabulary) -> str:
    """Return a pattern of what people call constants in words of their own, such as `learning rate`."""
    plain = (name for name, value in names.constants.items() if type(value) in EXPECTED)
    own = (name.rpartition(".")[2].lower().replace("_", " ") for name in plain)
    aliases = {alias for known in names.track.aliases.values() for alias in known if alias.islower()} | set(own)
    return "|".join(rf"\b(?i:{re.escape(alias)})s?\b" for alias in sorted(aliases, key=len, reverse=True)) or "(?!)"


def states_present(text: str, names: Vocabulary) -> bool:
    """Return whether a text gives constants the values that they have, and no other: Keep HEAD_DIM at 128."""
    pieces = re.split(r"\s*(?:[,;]|\b(?:and|but|with|for)\b)\s*", text)
    given = [list(given_values(piece, names)) for piece in pieces]
    return all(
        one and all(_is_present(name, value, names) for name, values in one for value in values) for one in given
    )


def _is_present(name: str, value: str, names: Vocabulary) -> bool:
    """Return whether a constant has just this value: a text that says so describes."""
    target = names.resolve(name)
    if value in ("and", "or", "vs", "to"):
        return True
    return isinstance(target, str) and value != "" and names.constants[target] in (number(value), value)

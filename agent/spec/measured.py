"""The seeds that an issue gives in prose, and issues that only measure the baseline. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from agent.core.experiment import ReadAs
from agent.spec.markdown import IssueDocument
from agent.spec.sentences import Sentence, sentences

_LIST = r"(?P<list>[0-9]+(?:(?:\s*,\s*|\s+and\s+|\s*,\s*and\s+)[0-9]+)*)"
_COUNT = r"(?P<count>[0-9]{1,2}|two|three|four|five|six|seven|eight|nine|ten)"
_WORDS = dict(zip("two three four five six seven eight nine ten".split(), range(2, 11), strict=True))  # noqa: SIM905
_BASELINE = re.compile(
    r"(?:please )?(?:run|measure|train|repeat|re-?run) (?:only )?(?:the )?(?:current )?baseline"
    r"(?: only| alone)?\s*(?:again )?"
    rf"(?:(?:with|on|for|over|using|at) (?:the )?(?:seeds?:? {_LIST}|{_COUNT} (?:different |fresh )?seeds)"
    r"|(?P<times>[0-9]{1,2}|two|three|four|five) times)",
    re.IGNORECASE,
)
_SEEDS = re.compile(
    r"(?:(?:use|with|on|run (?:everything|all|all variants|each variant|every variant) (?:with|on)) )?"
    rf"(?:the )?seeds?\s*(?::|=|are|is)?\s*{_LIST}",
    re.IGNORECASE,
)
_SPEAKS = re.compile(r"\bseeds?\b", re.IGNORECASE)
_NO_CHANGE = re.compile(
    r"(?:there are )?no (?:code )?changes?(?: (?:to|of|in) .*)?|nothing (?:else )?(?:changes|is changed)"
    r"|change nothing",
    re.IGNORECASE,
)
# What begins like this asks for something: beside a baseline that is only measured there may be no such sentence.
_ASKS = re.compile(
    r"(?:please |then |also |and |next,? )*"
    r"(?:try|replace|add|use|change|set|increase|decrease|reduce|raise|lower|remove|swap|test|compare|implement|write|make"
    r"|double|halve|switch|tune|sweep|vary|run|train|measure|repeat|skip|give|put|move|apply)\b",
    re.IGNORECASE,
)


_ASKS_BASELINE = re.compile(
    r"^(?:please |just |only |then |also )*(?:re-?)?(?:run|measure|repeat|train|calibrate|evaluate)\b"
    r".{0,24}\b(?:baseline|noise)\b"
    r"|^(?:just |only )*(?:the )?baseline(?: only| alone|,| x |:|$)|\bseeds?\b.*\b(?:baseline|unchanged)\b"
    r"|\bbaseline\b.*\bseeds?\b|^calibrate\b|\b(?:just|only|nothing but) (?:run |measure )?the baseline\b"
    r"|^(?:the )?baseline\s*[x\u00d7]\s*[0-9]|^how (?:noisy|stable|variable)\b.*\bbaseline\b"
    r"|^(?:please |just |only )*(?:re-?)?(?:run|train|measure|repeat)\b.{0,40}\b(?:unchanged|unmodified|as[- ]is"
    r"|as it (?:is|stands)"
    r"|current (?:code|script|main|config\w*|version)|without (?:any )?(?:code )?changes?|no changes|on main)\b",
    re.IGNORECASE,
)
_ASKS_SEEDS = re.compile(  # wherever it stands, but in the past
    r"^(?:please )?(?:use|run|average|repeat|train|measure|take|report)\b.*\bseeds?\b"
    r"|^(?:random |the )?seeds?\b\W{0,4}[0-9]"
    r"|\b(?:each|every|per|all) (?:variants?|runs?|rows?)\b.*\bseeds?\b|\bseeds? (?:per|for each|each)\b",
    re.IGNORECASE,
)


_FEW = r"(?:[0-9]{1,3}|two|three|four|five|six|ten|several|multiple)"
_GIVES_SEEDS = re.compile(  # seed 42, 3 seeds, SEED = 42, the seed is fixed to 42
    r"\bseeds?\b\W{0,3}(?:(?:to|is|are|of|no|number|values?|fixed|set|pinned|at|from|in|range|be|should|must|stays?|remains?)\b\W{0,3}){0,4}[0-9]+(?![0-9]*\.[0-9])"
    rf"|\b{_FEW} (?:\w+ ){{0,2}}seeds?\b|\bseed(?:ed)? (?:\w+ ){{0,3}}(?:with|to|at|as)\s+[0-9]+\b"
    rf"|seed\w*\s*[(=:]\s*[0-9]+"
    rf"|\b{_FEW} (?:\w+ )?(?:runs|trials|trainings|measurements)\s*(?:per|for each|each|of each|a|/)(?!\w)"
    rf"|\b(?:each|every|per)\b.{{0,30}}\b{_FEW} (?:\w+ )?(?:runs|trials|tries|attempts|shots|goes)\b"
    rf"|\b{_FEW}\s*[x\u00d7] (?:each|per|every)\b|\b(?:each|every|all) (?:\w+ "
    rf")?[x\u00d7]?{_FEW}(?:\s*[x\u00d7](?!\w)| times\b)"
    rf"|\b(?:replicas?|replicates?|repeats?|repetitions?|n_runs|num_runs|rng)\b\s*[:=]?\s*[0-9]|\bn\s*=\s*[0-9]+\b"
    rf"|\b{_FEW} (?:\w+ )?(?:repeats|replicates|repetitions|replicas|reps)\b"
    rf"|^(?:please )?(?:do (?:it|this|that|everything) |run (?:it|them|this|everything|all|each|every"
    rf"|(?:the )?(?:baseline|variants|rows|experiments?|table))\b.{{0,24}} "
    rf"|repeat (?:\w+ ){{0,3}}"
    rf"|re-?run (?:\w+ ){{0,3}}|train (?:\w+ ){{0,3}})(?:twice|thrice|{_FEW} times|once more)\b|^(?:twice|thrice"
    rf"|{_FEW} times)(?: each)?$"
    rf"|\brepeat\w*\s*[:=]\s*[0-9]|\b(?:fresh|different|new|other|another|own) seeds?\b.*\b(?:each|every|per|all)\b",
    re.IGNORECASE,
)
_TELLS = re.compile(  # of seeds as they were, or of what they do
    r"\b(?:was|were|had|did|took|gave|showed|measured|used|ran|seen|found|differ\w*|spread|vary|varies|noise|moves?|sigma|std|deviation"
    r"|error bars?|trained|earlier|previous\w*|average[sd]?|mean|as (?:always|usual|before|ever))\b",
    re.IGNORECASE,
)
_COMMANDS = re.compile(
    r"^(?:please )?(?:use|run|average|repeat|train|measure|take|report|set|fix|pin|do|re-?run|each|all)\b",
    re.IGNORECASE,
)


class StatedSeeds(NamedTuple):
    """Seeds, and the sentence that gave them."""

    seeds: tuple[int, ...]
    read: ReadAs


def baseline_seeds(page: IssueDocument) -> StatedSeeds | None:
    """Return the seeds of `Run the baseline with seeds 42, 43, 44.`; None where the issue asks for something else.

    Raises BadInput where it asks for both.
    """
    asks = [(one, _BASELINE.fullmatch(one.plain)) for one in sentences(page)]
    first = next(((one, match) for one, match in asks if match), None)
    if first is None:
        _check_no_baseline(page)
        return None
    sentence, match = first
    for other, also in asks:
        if other is not sentence and (also or _ASKS.match(other.plain)) and not _NO_CHANGE.fullmatch(other.plain):
            advice = (
                "say baseline_only: true and seeds: in the settings block, and file the rest as an issue of its own"
            )
            raise page.error(f"{other.plain[:100]!r} asks for more than a run of the baseline", other.line, advice)
    seeds = _numbers(match["list"]) if match["list"] else tuple(range(_count(match["count"] or match["times"])))
    means = f"measures the baseline alone, on the seeds {', '.join(map(str, seeds))}"
    return StatedSeeds(_distinct(page, sentence, seeds), page.read_as(sentence.line, sentence.text, means))


def _check_no_baseline(page: IssueDocument) -> None:
    """Raise BadInput for a sentence that may ask for runs of the baseline, in no form that is read."""
    for sentence in sentences(page):
        if _ASKS_BASELINE.search(sentence.plain[:400]) and not sentence.in_the_past:
            advice = "write: Run the baseline with seeds 42, 43 and 44. Or in the settings block: baseline_only: true"
            raise page.error(f"{sentence.plain[:100]!r} is in no form that is read", sentence.line, advice)


def stated_seeds(page: IssueDocument) -> StatedSeeds | None:
    """Return the seeds of `Use seeds 42, 43 and 44.` Raises BadInput for what is like it, in no form that is read."""
    stated = None
    for sentence in _speaking(page):
        match = _SEEDS.fullmatch(sentence.plain)
        asks = not sentence.in_the_past and not sentence.in_outcomes and _asks(sentence.plain[:400])
        if match is None and (sentence.in_execution or asks):
            advice = "write: Use seeds 42, 43 and 44. Or in the settings block: seeds: [42, 43, 44]"
            raise page.error(f"{sentence.plain[:100]!r} is in no form that is read", sentence.line, advice)
        if match is None:
            continue
        seeds = _distinct(page, sentence, _numbers(match["list"]))
        if stated is not None and stated.seeds != seeds:
            raise page.error(
                f"two lists of seeds: {stated.read.text!r} and {sentence.plain!r}", sentence.line, "keep one of them"
            )
        stated = StatedSeeds(
            seeds, page.read_as(sentence.line, sentence.text, f"seeds {', '.join(map(str, seeds))}, in this order")
        )
    return stated


def _speaking(page: IssueDocument) -> Iterator[Sentence]:
    for sentence in sentences(page):
        plain = sentence.plain
        counted = re.search(r"\d|\b(?:two|three|four|five|several|more)\b", plain, re.IGNORECASE)
        if (_SPEAKS.search(plain) and counted) or _GIVES_SEEDS.search(plain[:400]):
            yield sentence


def _asks(plain: str) -> bool:
    """Return whether a sentence says on which seeds, or how often, something is to run."""
    if _ASKS_SEEDS.search(plain):
        return True
    return _GIVES_SEEDS.search(plain) is not None and (_COMMANDS.search(plain) is not None or not _TELLS.search(plain))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def _count(text: str) -> int:
    return _WORDS.get(text.lower(), 0) or int(text)


def _distinct(page: IssueDocument, sentence: Sentence, seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds) or not seeds or max(seeds) >= 2**32:
        raise page.error(
            f"{sentence.plain[:100]!r}: a seed is given twice, or too large",
            sentence.line,
            "give each once, below 2**32",
        )
    return seeds

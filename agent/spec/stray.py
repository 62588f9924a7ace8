"""What prose says of how a campaign runs and no reader reads (corpus, profile, gate, flags, phases): refused. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agent.core.experiment import ReadAs
from agent.spec.markdown import IssueDocument
from agent.spec.names import Vocabulary
from agent.spec.sentences import Sentence, is_read, sentences
from agent.spec.settings import Settings

_TAKE_OUT = "; or take the sentence out"
_COMMAND_LINE = "the command line says that, not the issue: python agent/run.py --issue N {flag}" + _TAKE_OUT
_BLOCK = "say it in the settings block: {key}" + _TAKE_OUT
_FORMS = "docs/writing-issues.md has the forms, and the settings block says the rest"
_GATES = "gate: lowest (one run each, the lowest wins), or gate: confirmed"
_FLAG = re.compile(r"(?<![\w-])--(?!issue\b|plan\b|status\b|help\b)[a-z][a-z-]+")
_KEY_LINE = re.compile(
    r"(?:the )?(?P<key>track|strategy|gate|decision gate|order|run order|skip|only|describe|grid|space|variants"
    r"|baseline[_ ]only|confirm"
    r"|confirmations?|profile|corpus|data ?set|data|clock|editor|reader|executor|seeds?|cap|min[_ ]gain"
    r"|budget)\s*[:=]\s*(?P<value>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_CORPUS = re.compile(
    r"^(?:please |only |all |everything |each (?:run )?)*(?:use|train(?:ed)?|run|switch|evaluate|on|with|take|do)\b.*"
    r"\b(?:corpus|corpora|data ?sets?|climbmix|tinystories|fineweb\w*|openwebtext|wikitext\w*|the pile|stdlib"
    r"|shards?)\b",
    re.IGNORECASE,
)
_PROFILE = re.compile(
    r"\b(?P<a>full|mini)(?:[- ](?:size|scale))?[- ]profile\b|\bprofile[\s:=`'\"]*(?P<b>full|mini)\b"
    r"|\b(?:on|in|at|with|use) (?:the )?`?(?P<c>full|mini)`?(?=[\s.,]*$)",
    re.IGNORECASE,
)
_GATE = re.compile(
    r"\b(?:lowest|best|single) (?:val_bpb|metric|number|value|score|run|loss)? ?(?:wins|decides|is adopted)\b"
    r"|\b(?:use|with) (?:the )?"
    r"(?:lowest|confirmed) gate\b|\bgate\W+lowest\b|\b(?:no|skip|without|omit|drop|fewer|more|extra|don't|do not"
    r"|never)\b.{0,16}\bconfirm\w*\b"
    r"|\b(?:one|a single|1) run (?:each|per variant)\b.*\b(?:wins|enough|decides)\b|\bdon't confirm\b|\b(?:one"
    r"|a single|1) run each[,;:]? "
    r"|\b(?:without|no|skip|disable) (?:the )?(?:audit|gate|significance test)\w*\b",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"^(?:please |only |all )*(?:use|run|train|needs?|requires?|with|on)\b(?! the same).{0,30}?"
    r"(?:\b(?:[0-9]+|two|four|eight|multiple|several)\s*x?\s*(?:gpus?|[ahv][0-9]{2,3}s?|nodes?|workers?|machines?"
    r"|cores?|tpus?)\b|\bin parallel\b"
    r"|\bon (?:the )?(?:cpu|tpu|slurm|ray|cluster)\b)",
    re.IGNORECASE,
)
_BASE = re.compile(
    r"^(?:please |all |everything |each )*(?:start|branch|base[ds]?|build|run|rebase|fork|use|resume|continue"
    r"|initiali[sz]e|warm[- ]?start|fine-?tune"
    r"|load)\b.{0,40}\b(?:(?:from|on|off|the|against) (?:the )?(?:branch|commit|tag|checkpoint|weights|sha"
    r"|pull request|pr)\b|checkpoints?\b"
    r"|commit [0-9a-f]{6,}|pretrained)",
    re.IGNORECASE,
)
_INSTRUCTS = re.compile(  # in Execution a sentence that begins so asks for something
    r"^(?:please |then |also |and |finally,? |afterwards,? |next,? |always |only |now )*(?:use|set|fix|pin|keep|take"
    r"|combine|stack|merge|try|sweep"
    r"|extend|continue|resume|load|warm|enable|disable|turn|switch|increase|decrease|raise|lower|reduce|double|halve|freeze|apply|repeat|rerun|re-run"
    r"|average|retry|wait|pause|test|tune|evaluate on|train on|run on|run with|train with|skip|drop|cherry-pick)\b",
    re.IGNORECASE,
)
_WINNER = re.compile(
    r"\b(?:use|using|take|taking|start\w*|based|build\w*|on top|on|run\w*|appl\w+|with|from|inherit\w*|keep\w*"
    r"|fix\w*|carr\w+|combin\w+|stack\w*|add\w*"
    r"|repeat\w*|extend\w*|given|set|to)\b[^.;]{0,40}\b(?:winners?|winning|best|better one|leader)\b",
    re.IGNORECASE,
)
_PHASE = r"(?:phase|stage|round|step|part|wave|block|sweep|table)\s*(?:[0-9]+|[a-c]|one|two|three|i{1,3})\b"
_NEXT = re.compile(
    rf"\b(?:only )?(?:if|when|once|after|unless|depends? on|depending on|until|provided|assuming|given)\b.*\b{_PHASE}"
    rf"|\b{_PHASE}.*\b(?:only if|if|when|once|after|unless|depends?|depending|until|conditional|optional|inherits?"
    rf"|builds? on|starts? from|winner|best)\b"
    rf"|\b(?:winner|best|result|outcome)s? (?:of|from|in) (?:the )?(?:{_PHASE}|(?:first|previous|last|prior"
    rf"|above) \w+|above\b)",
    re.IGNORECASE,
)
_ISSUE_BASE = re.compile(
    r"\b(?:start|build|base|from|on top|use|take|continue|given)\w*\b.*\b(?:winner|best|result|baseline"
    r"|outcome)s? (?:of|from|in) (?:issue )?#?(?P<number>[0-9]+)\b"
    r"(?!\.[0-9])",
    re.IGNORECASE,
)
_CONDITIONAL = re.compile(
    r"\b(?:only if|only when|if|unless|once|depending|depends|conditional|optional|maybe|later|tbd|when)\b"
    r"|\b(?:winner|best) of\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"^(?:rehearsed|ran|measured|tried|tested|trained|was|were|we (?:ran|used|measured|trained|tried)|i (?:ran|used))\b"
    r"|\b(?:was|were|had been|has been|have been|ran|used to|took)\b",
    re.IGNORECASE,
)
_OWN_ISSUE = "each variant starts from the baseline: file the second phase as an issue of its own that says: after #N"


class Stray(NamedTuple):
    """What is refused: its problem, its line (from 0), and what to write."""

    problem: str
    line: int
    next_step: str


def check_stray(
    page: IssueDocument, names: Vocabulary, block: Settings, reads: Sequence[ReadAs], *, tables: int
) -> None:
    """Raise BadInput for the first sentence or heading that says how to run and is not among `reads`.

    `tables` is how many tables of experiments the issue has. A key of the settings block answers what it is about.
    """
    stray = [*_headings(page, names, block, tables), *_sentences(page, names, block, reads, tables)]
    if stray:
        first = min(stray, key=lambda one: one.line)
        raise page.error(first.problem, first.line, first.next_step)


def _sentences(
    page: IssueDocument, names: Vocabulary, block: Settings, reads: Sequence[ReadAs], tables: int
) -> Iterator[Stray]:
    for sentence in sentences(page):
        plain = sentence.plain[:400]
        if sentence.in_the_past or _PAST.search(plain):
            continue
        advice = _advice(plain, sentence, names, block, tables)
        if advice is not None and not is_read(page, sentence, reads):
            yield Stray(f"{plain[:100]!r} is in no form that is read", sentence.line, advice)


def _advice(plain: str, sentence: Sentence, names: Vocabulary, block: Settings, tables: int) -> str | None:
    """Return what to write in the place of a sentence; None where it says nothing of how to run."""
    if flag := _FLAG.search(plain):
        return _COMMAND_LINE.format(flag=flag[0])
    if key := _KEY_LINE.fullmatch(plain):
        return _of_key(key["key"].lower().replace(" ", "_"), key["value"], names, block)
    if (phase := _of_phase(plain, sentence, block, tables)) is not None:
        return phase
    if sentence.in_outcomes or re.match(r"(?:if|when)\b.*\bwin", plain, re.IGNORECASE):
        return None
    return _of_rules(plain, sentence, names, block)


def _of_rules(plain: str, sentence: Sentence, names: Vocabulary, block: Settings) -> str | None:
    """Return what to write in the place of a sentence that speaks of what the command line or the block settles."""
    profile = _PROFILE.search(plain)
    other_profile = profile and (profile["a"] or profile["b"] or profile["c"]).lower() != names.profile
    chosen = block.order or block.skip or block.only
    rules = (
        (_CORPUS.search(plain), _COMMAND_LINE.format(flag="--corpus C")),
        (other_profile, _COMMAND_LINE.format(flag="--profile full")),
        (block.gate is None and _GATE.search(plain), _BLOCK.format(key=_GATES)),
        (not chosen and _MACHINE.search(plain), "one run at a time, on the machine where the command runs" + _TAKE_OUT),
        (_BASE.search(plain), "every variant starts from the track's baseline branch" + _TAKE_OUT),
        (sentence.in_execution and not block.lines and _INSTRUCTS.search(plain), _FORMS + _TAKE_OUT),
    )
    return next((advice for holds, advice in rules if holds), None)


def _of_key(key: str, value: str, names: Vocabulary, block: Settings) -> str | None:
    """Return what to write in the place of `key: value` in prose; None where that is so anyhow."""
    word = value.strip(" `*.'\"").casefold()
    known = {"track": names.track.name, "profile": names.profile, "strategy": block.strategy, "gate": block.gate}
    if word == str(known.get(key)).casefold() or key.rstrip("s") in {name.rstrip("s") for name in block.lines}:
        return None
    if key in ("profile", "corpus", "dataset", "data_set", "data", "clock", "editor", "reader", "executor"):
        return _COMMAND_LINE.format(flag="--corpus C" if key.startswith("data") else f"--{key} {value[:20]}")
    return _BLOCK.format(key="gate: lowest" if key in ("decision_gate", "gate") else f"{key}: ...")


def _of_phase(plain: str, sentence: Sentence, block: Settings, tables: int) -> str | None:
    """Return what to write in the place of a sentence that has variants start from what others give."""
    if issue := _ISSUE_BASE.search(plain):
        return f"write: after #{issue['number']}. The issue then starts from the baseline that issue leaves" + _TAKE_OUT
    if sentence.in_gate or block.tables or block.order:
        return None
    under = any(re.search(rf"\b{_PHASE}", heading, re.IGNORECASE) for heading in sentence.prose.headings)
    phases = tables > 1 or under
    if _NEXT.search(plain) or (
        _WINNER.search(plain) and (phases or sentence.in_execution) and not sentence.in_outcomes
    ):
        return _OWN_ISSUE + _TAKE_OUT
    return None


def _headings(page: IssueDocument, names: Vocabulary, block: Settings, tables: int) -> Iterator[Stray]:
    """Yield what headings say of how to run: a key with its value (as front matter is), a phase that waits."""
    for at, title in page.titles:
        for number, line in enumerate(title.split("\n"), at):
            key = _KEY_LINE.fullmatch(line.strip())
            advice = _of_key(key["key"].lower().replace(" ", "_"), key["value"], names, block) if key else None
            if advice is not None:
                yield Stray(f"{line.strip()[:100]!r} is a heading, and no setting is read of it", number, advice)
    for table in () if block.tables else page.tables:
        waits = next(
            (one for one in table.headings if re.search(_PHASE, one, re.IGNORECASE) and _CONDITIONAL.search(one)), None
        )
        if waits and tables > 1:
            yield Stray(f"{waits[:100]!r} is on a condition, which is not obeyed", table.line, _OWN_ISSUE)

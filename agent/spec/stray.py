"""What prose says of how a campaign runs and no reader reads (corpus, profile, gate, flags, phases): refused. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from agent.core.experiment import ReadAs
from agent.spec.loose import code_in_force, states_present
from agent.spec.markdown import IssueDocument
from agent.spec.names import Vocabulary
from agent.spec.sentences import Sentence, is_read, sentences
from agent.spec.settings import Settings

_TAKE_OUT = "; or take the sentence out"
_COMMAND_LINE = "the command line says that, not the issue: python agent/run.py --issue N {flag}" + _TAKE_OUT
_BLOCK = "say it in the settings block: {key}" + _TAKE_OUT
_FORMS = "docs/writing-issues.md has the forms, and the settings block says the rest"
_CODE = "no constant of the script says that: it is a change of code, for an issue in prose; or put it under Background"
_GATES = "gate: lowest (one run each, the lowest wins), or gate: confirmed"
_FLAG = re.compile(r"(?<![\w-])--(?!issue\b|plan\b|status\b|help\b)[a-z][a-z-]+")
_KEY_LINE = re.compile(
    r"(?:the )?(?P<key>track|strategy|gate|decision gate|order|run order|skip|exclude|excluding|ignore|leave out"
    r"|priority(?=\s*[:=]\s*[0-9]+[A-Za-z])|only|describe|grid|space|variants"
    r"|baseline[_ ]only|confirm"
    r"|confirmations?|profile|corpus|data ?set|data|clock|editor|reader|executor|seeds?|cap|min[_ ]gain"
    r"|budget)\s*[:=]\s*(?P<value>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_FOREIGN = re.compile(  # settings that the script has not, or the fixed side holds
    r"(?:the )?(?:optimi[sz]er|precision|activation|schedul\w+|lr schedule|warm-?up(?: steps| ratio)?|dropout"
    r"|context(?: length| window)?"
    r"|seq(?:uence)?[ _-]?len(?:gth)?|vocab(?:ulary)?(?:[ _]size)?|init(?:iali[sz]ation)?"
    r"|grad(?:ient)?[ _-](?:clip\w*|accum\w*)|ema|compile|amp"
    r"|norm(?:ali[sz]ation)?|tokeni[sz]er|flash[ _-]?attention|n_kv_heads?|kv heads|n_embd)\s*(?:[:=]|(?=[0-9])"
    r"|\bis (?:set )?)\s*(?P<value>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_AS_EVER = re.compile(
    r"\b(?:baseline|unchanged|same|as (?:is|before|ever|usual|they are)|current|defaults?|upstream|ours)\b",
    re.IGNORECASE,
)
_NOTHING_NEW = re.compile(  # Use the standard settings: that is so anyhow
    r"\b(?:defaults?|standard|usual|unchanged|as (?:is|it is|they are|before|ever|usual)|same)\b", re.IGNORECASE
)
_LONGER = re.compile(
    r"^(?:please |just |let's |then |also )*(?:train|run)\b.{0,30}\b(?:longer|shorter|(?:twice|half) as long|(?:more"
    r"|fewer) steps)\b"
    r"|^(?:please |just |let's )*(?:double|halve|half|twice|triple|extend|increase|reduce|shorten|raise"
    r"|lower) (?:the )?"
    r"(?:training |run |time |per-run )*(?:budget|time|duration|steps)\b",
    re.IGNORECASE,
)
_CORPUS = re.compile(
    r"^(?:please |only |all |everything |each (?:run )?)*(?:use|train(?:ed)?|run|switch|evaluate|on|with|take|do)\b.*"
    r"\b(?:corpus|corpora|data ?sets?|climbmix|tinystories|fineweb\w*|openwebtext|wikitext\w*|the pile|stdlib"
    r"|shards?)\b",
    re.IGNORECASE,
)
_DATA = r"(?:corpus|corpora|data ?sets?|data|climbmix|tinystories|fineweb\w*|openwebtext|wikitext\w*|stdlib)"
_WISHES_CORPUS = re.compile(
    rf"\b{_DATA}\b.{{0,40}}\b(?:should|must|please|instead|rather than|needs? to|ha(?:s|ve) to|will be)\b"
    rf"|\b(?:want|need|prefer|should|must|please|let's|instead)\b.*\b{_DATA.replace('|data|', '|')}\b",
    re.IGNORECASE,
)
_PROFILE = re.compile(
    r"\b(?:on|in|at|with|use) (?:the )?(?P<d>full|mini)[- ](?:scale|size|model)\b|"
    r"\b(?P<a>full|mini)(?:[- ](?:size|scale))?[- ]profile\b|\bprofile[\s:=`'\"]*(?P<b>full|mini)\b"
    r"|\b(?:on|in|at|with|use) (?:the )?`?(?P<c>full|mini)`?(?=[\s.,]*$)",
    re.IGNORECASE,
)
_GATE = re.compile(
    r"\b(?:one|1|a single) run (?:per|for each|each)\b|\b(?:each|every|all|everything)(?: \w+){0,2} once$|"
    r"\blowest\b.*\b(?:one|1|a single|the first|each) runs?\b|\b(?:one|1|a single) (?:run|seed)\b.*\b(?:lowest"
    r"|decides?|enough|suffices?)\b|"
    r"\b(?:lowest|best|single) (?:val_bpb|metric|number|value|score|run|loss)? ?(?:wins|decides|is adopted)\b"
    r"|\b(?:use|with) (?:the )?"
    r"(?:lowest|confirmed) gate\b|\bgate\W+lowest\b|\b(?:no|skip|without|omit|drop|fewer|more|extra|don't|do not"
    r"|never|not)\b.{0,30}\bconfirm\w*\b"
    r"|\b(?:one|a single|1) run (?:each|per variant)\b.*\b(?:wins|enough|decides)\b|\bdon't confirm\b|\b(?:one"
    r"|a single|1) run each[,;:]? "
    r"|\b(?:without|no|skip|disable) (?:the )?(?:audit|gate|significance test)\w*\b",
    re.IGNORECASE,
)
_MACHINE = re.compile(
    r"^(?:please |only |all )*(?:use|run|train|needs?|requires?|with|on)\b(?! the same).{0,30}?"
    r"(?:\b(?:[0-9]+|two|four|eight|multiple|several)\s*x?\s*(?:gpus?|[ahv][0-9]{2,3}s?|nodes?|workers?|machines?"
    r"|cores?|tpus?)\b|\bin parallel\b"
    r"|\bon (?:an? |the |one )?(?:cpu|tpu|slurm|ray|cluster|[abhv][0-9]{2,3}s?)\b)",
    re.IGNORECASE,
)
_TECHNIQUE = (
    r"(?:[gm]qa|mla|swiglu|geglu|gelu|silu|relu\w*|rope|alibi|adamw?|lion|sgd|shampoo|soap|fp8|bf16|fp16|int8|dropout"
    r"|weight[- ]tying|tied \w+|ema|moe|mixture of experts|layer ?norm|rms ?norm|qk[- ]?norm|flash ?attention"
    r"|torch\.compile|label smoothing|gradient \w+|grad clip\w*|warm-?up|cosine|lora|distillation|curriculum)"
)
_CODE_CHANGE = re.compile(  # beside a table: no row has it
    rf"^(?:please |also |then |and |let's |here |(?:we|i) (?:should|could|also|will|want to) )*(?:also |ideally )*"
    rf"(?:try|use|add|adopt|replace|swap|switch to|enable|disable|remove|implement|consider|apply|turn (?:on|off))\b"
    rf".{{0,40}}\b{_TECHNIQUE}(?![\w.])"
    rf"|^(?:and |also |with |a |much )*(?:longer|shorter|larger|smaller|bigger|more|less) "
    rf"(?:context|sequences?|vocab\w*|warm-?up|dropout|data)(?: (?:length|size|window))?$",
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
    r"|average|retry|wait|pause|kill|abort|stop|checkpoint|prune|restart|cap|limit|test|tune|evaluate on|train on"
    r"|run on|run with|train with|skip|drop|cherry-pick)\b",
    re.IGNORECASE,
)
_FRAGMENT = re.compile(  # no more than values: bs 4096; d12 w768; 14 instead of 8 layers; overnight
    r"(?:overnight|[0-9]\S*|[a-z]{1,4} ?[0-9]\S*)(?: \S+){0,5}", re.IGNORECASE
)
_WATCHES = re.compile(r"^(?:please |also )*keep an eye on\b", re.IGNORECASE)
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
_WAITS_FOR = re.compile(  # another issue, in other words than the queue reads
    r"\b(?:blocked (?:by|on)|requires|needs|wait(?:s|ing)? (?:for|on)|(?:not|never|don't) (?:\w+ ){0,3}before|once"
    r"|until|when|prerequisites?:?)\s+(?:issue )?#(?P<number>[0-9]{1,9})\b",
    re.IGNORECASE,
)
_SECOND_PASS = re.compile(
    r"^(?:then,? |and |a |the )*(?:2nd|second|third|3rd|another|next|final) (?:pass|round|sweep|phase|stage|wave)\b",
    re.IGNORECASE,
)
_MEASURED = (
    r"(?:(?:peak|gpu|total|training|wall[- ]clock|tokens? per|steps? per|validation|inference) )*"
    r"(?:memory(?: use| usage)?|vram|mfu|flops|throughput|latency|speed|time|second|parameters?|params|accuracy"
    r"|perplexity|cost|energy|size)"
)
_OTHER_METRIC = re.compile(
    rf"^(?:please |we )?(?:minimi[sz]e|maximi[sz]e|optimi[sz]e(?: for)?) (?:the )?{_MEASURED}\b.*"
    rf"|(?:the )?{_MEASURED} (?:must|has to|have to|needs? to|should|may not|cannot)\b.*\b(?:under|below|above|over"
    rf"|at least|at most|exceed|more than|less than|within)\b.*[0-9].*"
    r"|(?:the |our |target |primary )*metric\s*(?:[:=]|is)\s*.*|^(?:evaluate|score|judge|rank|select)\b.*\b(?:on"
    r"|by)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITIONAL = re.compile(
    r"\b(?:only if|only when|if|unless|once|depending|depends|conditional|optional|maybe|later|tbd|when|winning"
    r"|settled|promising|after)\b"
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
    page: IssueDocument, names: Vocabulary, block: Settings, reads: Sequence[ReadAs], *, tables: Sequence[int]
) -> None:
    """Raise BadInput for the first sentence or heading that says how to run and is not among `reads`.

    `tables` has the lines of the issue's tables of experiments. A key of the settings block answers what it is about.
    """
    obeyed = [read for read in reads if not read.means.startswith("describes")]
    stray = [*_code(page), *_headings(page, names, block, tables), *_sentences(page, names, block, obeyed, tables)]
    if stray:
        first = min(stray, key=lambda one: one.line)
        raise page.error(first.problem, first.line, first.next_step)


def _sentences(
    page: IssueDocument, names: Vocabulary, block: Settings, reads: Sequence[ReadAs], tables: Sequence[int]
) -> Iterator[Stray]:
    for sentence in sentences(page):
        plain = sentence.plain[:400]
        if sentence.in_the_past or _PAST.search(plain):
            continue
        advice = _advice(plain, sentence, names, block, tables)
        if advice is not None and not is_read(page, sentence, reads):
            yield Stray(f"{plain[:100]!r} is in no form that is read", sentence.line, advice)


def _advice(plain: str, sentence: Sentence, names: Vocabulary, block: Settings, tables: Sequence[int]) -> str | None:
    """Return what to write in the place of a sentence; None where it says nothing of how to run."""
    if flag := _FLAG.search(plain):
        return _COMMAND_LINE.format(flag=flag[0])
    if key := _KEY_LINE.fullmatch(plain):
        return _of_key(key["key"].lower().replace(" ", "_"), key["value"], names, block)
    if (phase := _of_phase(plain, sentence, block, tables)) is not None:
        return phase
    if sentence.in_outcomes or re.match(r"(?:if|when)\b.*\bwin", plain, re.IGNORECASE):
        return None
    if (tables or block.variants or block.grid) and _CODE_CHANGE.search(plain) and not _NOTHING_NEW.search(plain):
        return _CODE
    return _of_rules(plain, sentence, names, block)


def _of_rules(plain: str, sentence: Sentence, names: Vocabulary, block: Settings) -> str | None:
    """Return what to write in the place of a sentence that speaks of what the command line or the block settles."""
    profile = _PROFILE.search(plain)
    other_profile = profile and next(filter(None, profile.groups())).lower() != names.profile
    chosen = block.order or block.skip or block.only
    rules = (
        (_CORPUS.search(plain) or _WISHES_CORPUS.search(plain), _COMMAND_LINE.format(flag="--corpus C")),
        (other_profile, _COMMAND_LINE.format(flag="--profile full")),
        (block.gate is None and _GATE.search(plain), _BLOCK.format(key=_GATES)),
        (not chosen and _MACHINE.search(plain), "one run at a time, on the machine where the command runs" + _TAKE_OUT),
        (not block.lines and _LONGER.search(plain), _BLOCK.format(key="budget: 10 minutes")),
        (_FOREIGN.fullmatch(plain) and not _AS_EVER.search(plain), _CODE),
        (_OTHER_METRIC.fullmatch(plain) and names.track.metric not in plain, "the track's metric decides" + _TAKE_OUT),
        (_BASE.search(plain), "every variant starts from the track's baseline branch" + _TAKE_OUT),
        (sentence.in_execution and not block.lines and _asks(plain, names), _FORMS + _TAKE_OUT),
    )
    return next((advice for holds, advice in rules if holds), None)


def _asks(plain: str, names: Vocabulary) -> bool:
    """Return whether a sentence in Execution asks for something that is not so anyhow."""
    same = _NOTHING_NEW.search(plain) and not re.search(r"\d|\b(?:but|except|other than|instead)\b", plain)
    asks = _INSTRUCTS.search(plain) or _FRAGMENT.fullmatch(plain)
    present = "instead" not in plain and states_present(plain, names)
    return asks is not None and not (same or _WATCHES.search(plain) or present)


def _of_key(key: str, value: str, names: Vocabulary, block: Settings) -> str | None:
    """Return what to write in the place of `key: value` in prose; None where that is so anyhow."""
    word = value.strip(" `*.'\"").casefold()
    known = {"track": names.track.name, "profile": names.profile, "strategy": block.strategy, "gate": block.gate}
    if word == str(known.get(key)).casefold() or key.rstrip("s") in {name.rstrip("s") for name in block.lines}:
        return None
    if key in ("profile", "corpus", "dataset", "data_set", "data", "clock", "editor", "reader", "executor"):
        return _COMMAND_LINE.format(flag="--corpus C" if key.startswith("data") else f"--{key} {value[:20]}")
    return _BLOCK.format(key="gate: lowest" if key in ("decision_gate", "gate") else f"{key}: ...")


def _of_phase(plain: str, sentence: Sentence, block: Settings, tables: Sequence[int]) -> str | None:
    """Return what to write in the place of a sentence that has variants start from what others give."""
    if issue := _ISSUE_BASE.search(plain):
        return f"write: after #{issue['number']}. The issue then starts from the baseline that issue leaves" + _TAKE_OUT
    if (other := _WAITS_FOR.search(plain)) and not re.search(
        rf"\b(?:after|depends\s+on)\b.*#{other['number']}\b", plain
    ):
        return f"the queue reads: after #{other['number']}" + _TAKE_OUT
    if sentence.in_gate or block.tables or block.order:
        return None
    under = any(re.search(rf"\b{_PHASE}", heading, re.IGNORECASE) for heading in sentence.prose.headings)
    phases = len(tables) > 1 or under
    if (
        _NEXT.search(plain)
        or _SECOND_PASS.search(plain)
        or (_WINNER.search(plain) and (phases or sentence.in_execution) and not sentence.in_outcomes)
    ):
        return _OWN_ISSUE + _TAKE_OUT
    return None


def _code(page: IssueDocument) -> Iterator[Stray]:
    """Yield commands in code that run the harness, or the script, in another way than it is run."""
    for at, line in code_in_force(page):
        flag = _FLAG.search(line) if re.search(r"\b(?:run|train)\.py\b|\bautoresearch\b", line) else None
        named = re.search(r"\bAUTORESEARCH_[A-Z]+(?==)", line)
        if flag or named:
            given = flag[0] if flag else named[0] if named else ""
            advice = _COMMAND_LINE.format(flag=given) + ", or put it under Background"
            yield Stray(f"{line.strip()[:100]!r} gives {given}, and it is not obeyed", at, advice)


def _headings(page: IssueDocument, names: Vocabulary, block: Settings, tables: Sequence[int]) -> Iterator[Stray]:
    """Yield what headings say of how to run: a key with its value (as front matter is), a phase that waits."""
    for at, title in page.titles:
        for number, line in enumerate(title.split("\n"), at):
            key = _KEY_LINE.fullmatch(line.strip())
            advice = _of_key(key["key"].lower().replace(" ", "_"), key["value"], names, block) if key else None
            if advice is not None:
                yield Stray(f"{line.strip()[:100]!r} is a heading, and no setting is read of it", number, advice)
    for table in () if block.tables else (one for one in page.tables if one.line in tables[1:]):
        waits = next((one for one in table.headings if _CONDITIONAL.search(one)), None)
        if waits:
            yield Stray(f"{waits[:100]!r} is on a condition, which is not obeyed", table.line, _OWN_ISSUE)

"""Slash commands in issue comments: which lines are commands, and what they make of what is to run. Pure.

A command is a line that begins with / outside of code and quotes. CommandRecords keep what is obeyed; `replay` makes
of them what a plan needs, so that a restart comes to the same selection.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from markdown_it import MarkdownIt

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Constant, HumanComment, SetConstant, Variant
from agent.core.frozen import frozen
from agent.core.records import CommandRecord
from agent.core.sanitize import end_line, strip_hidden
from agent.core.values import EXPECTED, MOST_MORE, NAMES, is_name, join, parse_as, suggest
from agent.spec.amounts import parse_budget

COMMANDS = "/stop, /skip 1B, /budget 120, /run 1E DEPTH=9 ASPECT_RATIO=128, /more 2, /go"
LONGEST = 500  # characters of a command


@frozen
class Stop:
    """End after the run under way."""


@frozen
class Skip:
    """Leave a variant out."""

    name: str


@frozen
class SetBudget:
    """Give every run another budget."""

    budget: Budget


@frozen
class Add:
    """Run one variant more."""

    variant: Variant


@frozen
class Go:
    """Run what was read of the issue: a person has looked at it."""


@frozen
class More:
    """Run the leader and the baseline so often once more, after an inconclusive verdict."""

    count: int


@frozen
class Refusal:
    """Why a command is not obeyed, and what would be."""

    reason: str


Command = Stop | Skip | SetBudget | Add | More | Go


@frozen
class AddressedCommand:
    """A line that begins with /: its words, and the issue that it is addressed to by `#3` where it is."""

    text: str
    issue: int | None


@frozen
class Script:
    """What /run may set: the constants of the track's script."""

    path: str
    constants: Mapping[str, object]


@frozen
class Selection:
    """What is to run by now: the variants that are left, those skipped, the budget where it was changed, more runs."""

    variants: tuple[Variant, ...]
    skipped: tuple[str, ...] = ()
    budget: Budget | None = None
    more: tuple[int, ...] = ()  # further runs, for one inconclusive verdict after the other


# --- lines ------------------------------------------------------------------------------------------------


def lines(text: str) -> list[AddressedCommand]:
    """Return the command lines of a text in order, as a person sees them: none in code, in a quote or in a comment."""
    return [_addressed(line) for line, is_command in _sorted(text) if is_command]


def guidance(remarks: Sequence[HumanComment]) -> str:
    """Return what comments say that is no command: for whoever writes changes."""
    texts = ("\n".join(line for line, is_command in _sorted(one.text) if not is_command) for one in remarks)
    return "\n\n".join(stripped for text in texts if (stripped := text.strip()))


def _sorted(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines of a text, and whether each is a command."""
    shown = strip_hidden(text)
    blocks = (token for token in MarkdownIt("commonmark").parse(end_line(shown)) if token.type in _SILENT and token.map)
    silent = {number for token in blocks for number in range(*(token.map or ()))}
    for number, line in enumerate(shown.split("\n")):
        yield line, number not in silent and re.match(" {0,3}/", line) is not None


_SILENT = ("fence", "code_block", "html_block")


def _addressed(line: str) -> AddressedCommand:
    words = " ".join(line.split())
    addressed = re.fullmatch(r"(.*\S)\s+#(\d{1,9})", words)
    if addressed is None:
        return AddressedCommand(words[:LONGEST], None)
    return AddressedCommand(addressed[1][:LONGEST], int(addressed[2]))


# --- commands ---------------------------------------------------------------------------------------------


def parse(line: str, script: Script) -> Command | Refusal:
    """Return the command that a line gives. A refusal says what would be valid."""
    word = _word(line)
    reader = _READERS.get(word.lower())
    if reader is None:
        return Refusal(f"{line.split(' ')[0][:40]} is no command; there are {COMMANDS}")
    if len(line) >= LONGEST:
        return Refusal(f"a command has fewer than {LONGEST} characters")
    return reader(line[len(word) :].strip(), script)


def _word(line: str) -> str:
    """Return the command's own word; empty where the line begins with something else, such as a path."""
    word = re.match(r"/[A-Za-z]+(?![\w/.-])", line)
    return word[0] if word else ""


def _stop(_: str, __: Script) -> Command | Refusal:
    return Stop()  # whatever follows it: who says /stop, please means it


def _skip(rest: str, _: Script) -> Command | Refusal:
    return Skip(rest) if is_name(rest) else Refusal("name one variant: /skip 1B; for more, a line each")


def _budget(rest: str, _: Script) -> Command | Refusal:
    try:
        return SetBudget(parse_budget(rest))
    except BadInput as error:
        return Refusal(f"{error.problem}; {error.next_step}")


def _more(rest: str, _: Script) -> Command | Refusal:
    count = int(rest) if re.fullmatch(r"[0-9]{1,2}", rest) else 0
    return More(count) if 1 <= count <= MOST_MORE else Refusal(f"say how many: /more 2, at most {MOST_MORE}")


_SETTING = r"""([A-Za-z_][\w.]*)=("[^"]*"|'[^']*'|[^\s"']+)"""


def _run(rest: str, script: Script) -> Command | Refusal:
    name, _, words = rest.partition(" ")
    if not is_name(name):
        return Refusal(f"{name[:40]!r} cannot be an ID; {NAMES}" if name else "/run needs an ID, then what it sets")
    if not re.fullmatch(rf"{_SETTING}(?:\s+{_SETTING})*", words.strip()):
        return Refusal(f"say what {name} sets, without blanks around =: /run {name} DEPTH=9 ASPECT_RATIO=128")
    settings: list[tuple[str, str]] = re.findall(_SETTING, words)
    wrong = _wrong(settings, script)
    if wrong:
        return Refusal(wrong)
    edits = tuple(SetConstant(script.path, key, _value(key, cell, script)) for key, cell in settings)
    return Add(Variant(name, edits, where=f"/run {name}"))


def _wrong(settings: Sequence[tuple[str, str]], script: Script) -> str:
    """Return what is wrong with the first setting that cannot be made; empty where all can."""
    names = [name for name, _ in settings]
    for name, cell in settings:
        if names.count(name) > 1:
            return f"{name} is set twice"
        if name not in script.constants:
            return f"{script.path} has no constant {name}; {suggest(name, script.constants)}"
        present = script.constants[name]
        if type(present) not in EXPECTED:
            return f"{name} is a {type(present).__name__}; int, float, str and bool constants can be set"
        if _value(name, cell, script) is None:
            return f"{name}={cell} is not {EXPECTED[type(present)]}; write {EXPECTED[type(present)]} such as {present}"
    return ""


def _value(name: str, cell: str, script: Script) -> Constant:
    return parse_as(cell, script.constants[name])


_READERS: Mapping[str, Callable[[str, Script], Command | Refusal]] = {
    "/stop": _stop,
    "/skip": _skip,
    "/budget": _budget,
    "/run": _run,
    "/more": _more,
    "/go": lambda _, __: Go(),
}


def changes(record: CommandRecord) -> bool:
    """Return whether a command that was obeyed changes what is to run; /stop and /go do not."""
    return _word(record.command).lower() not in ("/stop", "/go")


def is_go(record: CommandRecord) -> bool:
    """Return whether a command says that what was read of an issue is to run."""
    return _word(record.command).lower() == "/go"


# --- the selection ----------------------------------------------------------------------------------------


def apply(selection: Selection, command: Command) -> Selection | Refusal:
    """Return the selection after a command, or why the command cannot be obeyed."""
    match command:
        case Skip(name):
            return _without(selection, name)
        case Add(variant):
            return _with(selection, variant)
        case SetBudget(budget):
            return replace(selection, budget=budget)
        case More(count):
            return replace(selection, more=(*selection.more, count))
    return selection


def _without(selection: Selection, name: str) -> Selection | Refusal:
    if name.lower() in map(str.lower, selection.skipped):
        return Refusal(f"{name} is skipped already")
    names = [variant.name for variant in selection.variants]
    gone = next((known for known in names if known.lower() == name.lower()), None)
    if gone is None:
        return Refusal(f"there is no variant {name}; there are {join(names)}")
    if len(names) == 1:
        return Refusal(f"{gone} is the only variant left, and a campaign needs one: /stop ends it")
    left = tuple(variant for variant in selection.variants if variant.name != gone)
    return replace(selection, variants=left, skipped=(*selection.skipped, gone))


def _with(selection: Selection, variant: Variant) -> Selection | Refusal:
    taken = [known.name for known in selection.variants]
    if variant.name.lower() in map(str.lower, taken):
        return Refusal(f"there is a variant {variant.name} already; take another ID")
    if variant.name.lower() in map(str.lower, selection.skipped):
        return Refusal(f"{variant.name} was skipped; to run the same after all, give it another ID")
    return replace(selection, variants=(*selection.variants, variant))


def replay(variants: Sequence[Variant], records: Sequence[CommandRecord], script: Script) -> Selection:
    """Return the selection that the obeyed commands give. Raises BadInput for one that today's script cannot follow.

    Where other variants are proposed than when it was given, a command that they leave no room for has no effect.
    """
    selection = Selection(tuple(variants))
    for record in (record for record in records if record.obeyed):
        command = parse(record.command, script)
        if isinstance(command, Refusal):
            raise BadInput(
                f"{record.command} was obeyed and cannot be any more: {command.reason}",
                where=f"{record.remark} by {record.author or 'somebody'}",
                next_step="edit the issue's text: commands given before that no longer count",
            )
        after = apply(selection, command)
        selection = selection if isinstance(after, Refusal) else after
    return selection

"""Where a strategy looks, and the variants that it makes of what an issue lists: `base:`, `space:`, rungs. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from agent.core.errors import BadInput
from agent.core.experiment import Axis, Choice, Constant, Range, SetConstant, Variant
from agent.core.values import is_name
from agent.spec.markdown import IssueDocument
from agent.spec.settings import RangeSettings, Settings, Value

Assign = Callable[[int | None, str, str, object], SetConstant]  # line, what it is for, name, value
LISTED = ("ladder", "sweep")  # strategies of the variants that an issue lists
SEARCHED = ("evolve", "search")  # strategies of a space
EXPLORING = (*LISTED, *SEARCHED)


def check_strategy(page: IssueDocument, block: Settings) -> None:
    """Raise BadInput where the block's keys do not fit its strategy."""
    strategy, line = block.strategy or "table", block.line("strategy")
    if strategy in SEARCHED and not block.space:
        step = "add space: with the constants to try, such as space: {DEPTH: [4, 6, 8]}"
        raise page.error(f"strategy {strategy} has no space to look in", line, step)
    if strategy in SEARCHED and (block.variants or block.grid or block.tables):
        problem = f"strategy {strategy} finds its variants itself, in space:"
        raise page.error(problem, line, "take out variants:, grid: and table:")
    _check_mix(page, block)
    if block.space and not block.mix and strategy not in (*SEARCHED, "sweep"):
        problem, step = "space: is for the strategies evolve, search and sweep", "write grid: for all combinations"
        raise page.error(problem, block.line("space"), step)
    for key, owners in (("base", EXPLORING), ("evolve", ("evolve",)), ("search", ("search",))):
        if block.line(key) is not None and strategy not in owners and not (key == "search" and block.mix):
            problem = f"{key}: is for strategy {', '.join(owners)}, and this is {strategy}"
            raise page.error(problem, block.line(key), f"write strategy: {owners[0]}, or take {key}: out")
    if not block.promote and strategy in ("table", "freeform"):
        problem = "promote: false is for strategies that explore"
        raise page.error(problem, block.line("promote"), f"write strategy: {LISTED[0]}, or take it out")


def _check_mix(page: IssueDocument, block: Settings) -> None:
    if block.mix and block.strategy != "freeform":
        problem = "mix: is for an issue in prose, of whose proposals search makes a share"
        raise page.error(problem, block.line("mix"), "take it out, or write strategy: freeform")
    if block.mix and not block.space:
        raise page.error("mix: has no space to look in", block.line("mix"), "add space: {DEPTH: [4, 6, 8]}")


def read_base(block: Settings, assign: Assign) -> tuple[SetConstant, ...]:
    """Return what all variants set."""
    return tuple(assign(block.line("base"), "base", name, value) for name, value in block.base.items())


def read_space(
    page: IssueDocument, block: Settings, assign: Assign, constants: Mapping[str, object]
) -> dict[str, Axis]:
    """Return the axes of the block's space, by the constant's full name. Raises BadInput for one that has no value."""
    line, space = block.line("space"), dict[str, Axis]()
    for name, given in block.space.items():
        if isinstance(given, RangeSettings):
            full, axis = _range(page, line, name, given, assign, constants)
        else:
            full, axis = _choice(page, line, name, given, assign)
        if full in space:
            raise page.error(f"space gives {full} twice", line, "keep one of the two")
        space[full] = axis
    return space


def _choice(
    page: IssueDocument, line: int | None, name: str, given: Sequence[Value], assign: Assign
) -> tuple[str, Axis]:
    edits = [assign(line, "space", name, value) for value in given]
    values = [edit.value for edit in edits]
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise page.error(f"space, {name}: {twice} is there twice", line, "keep one of the two")
    return edits[0].name, Choice(tuple(values))


def _range(
    page: IssueDocument,
    line: int | None,
    name: str,
    given: RangeSettings,
    assign: Assign,
    constants: Mapping[str, object],
) -> tuple[str, Axis]:
    """Return a range; that of a whole number goes in whole steps."""
    low, _ = (assign(line, "space", name, value) for value in (given.low, given.high))
    present, where = constants[low.name], f"space, {name}: from {given.low} to {given.high}"
    if isinstance(present, bool) or not isinstance(present, int | float):
        raise page.error(f"{where}, and {name} is no number", line, f"list its values: {name}: [...]")
    if given.low >= given.high:
        raise page.error(f"{where} is empty", line, "give the smaller number as low")
    if given.log and given.low <= 0:
        raise page.error(f"{where} cannot be scaled by its logarithm", line, "take log: out, or begin above 0")
    step = given.step if given.step is not None else 1 if isinstance(present, int) and not given.log else None
    if step is not None and (step <= 0 or (isinstance(present, int) and step != int(step))):
        raise page.error(f"{where} in steps of {step}", line, "give a whole step above 0")
    return low.name, Range(given.low, given.high, step, given.log)


# --- the variants -----------------------------------------------------------------------------------------


def with_base(base: Sequence[SetConstant], variants: Sequence[Variant]) -> list[Variant]:
    """Return variants that set the base's constants, too, where they do not set them otherwise."""
    return [replace(one, edits=_merged(base, _constants(one))) for one in variants]


def cumulative(rungs: Sequence[Variant]) -> list[Variant]:
    """Return the rungs of a ladder, each on top of the one before. Raises BadInput for one that adds nothing."""
    climbed, before = list[Variant](), tuple[SetConstant, ...]()
    for rung in rungs:
        edits = _merged(before, _constants(rung))
        if climbed and edits == before:
            problem = f"rung {rung.name} changes nothing of the rung before it"
            raise BadInput(problem, where=rung.where, next_step="take it out, or have it set what it adds")
        climbed.append(replace(rung, edits=edits))
        before = edits
    return climbed


def one_at_a_time(
    page: IssueDocument, space: Mapping[str, Axis], base: Mapping[str, object], script: str, line: int | None
) -> list[Variant]:
    """Return a variant for each value of each axis that is not the base's own."""
    variants = []
    for name, axis in space.items():
        if not isinstance(axis, Choice):
            raise page.error(f"space, {name}: a sweep takes values, not a range", line, "list them: [2, 4, 8]")
        for value in axis.values:
            if value != base.get(name):
                edits = (SetConstant(script, name, value),)
                variants.append(Variant(_level_name(name, value), edits, where=page.where(line)))
    return variants


def _level_name(name: str, value: Constant) -> str:
    text = f"{name.rpartition('.')[2]}-{value}"
    return text if is_name(text) else "".join(char if char.isalnum() else "-" for char in text).strip("-")


def _constants(variant: Variant) -> tuple[SetConstant, ...]:
    return tuple(edit for edit in variant.edits if isinstance(edit, SetConstant))


def _merged(before: Sequence[SetConstant], after: Sequence[SetConstant]) -> tuple[SetConstant, ...]:
    return tuple({edit.name: edit for edit in (*before, *after)}.values())

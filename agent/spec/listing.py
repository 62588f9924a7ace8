"""The variants that an issue lists: in its settings block, a grid or its tables, as its strategy has them. Pure."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import partial

from agent.core.errors import BadInput
from agent.core.experiment import (
    Axis,
    Budget,
    ReadAs,
    SetConstant,
    StatedValue,
    Variant,
)
from agent.core.frozen import frozen
from agent.core.values import NAMES, is_name
from agent.spec import spaces, tables
from agent.spec.cells import Misread, read_cell
from agent.spec.loose import check_beside
from agent.spec.markdown import IssueDocument
from agent.spec.names import Unknown, Vocabulary
from agent.spec.settings import Settings

PROSE = "freeform"  # the strategy of an issue that has no table: an editor reads it
MOST_VARIANTS = 10_000  # of a grid


@frozen
class Listing:
    """The variants of an issue as listed, the rank of each, and what else their list says."""

    variants: Sequence[Variant] = ()
    ranks: Sequence[int] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    budget: Budget | None = None
    baseline_stated: tuple[StatedValue, ...] = ()
    tables: tuple[int, ...] = ()  # the line of each


def read_space(
    page: IssueDocument, names: Vocabulary, block: Settings
) -> tuple[tuple[SetConstant, ...], dict[str, Axis]]:
    """Return what all variants of a ladder or a sweep set, and where a strategy looks."""
    assign = partial(_set, page, names)
    return spaces.read_base(block, assign), spaces.read_space(page, block, assign, names.constants)


def shaped(
    page: IssueDocument,
    names: Vocabulary,
    block: Settings,
    listed: Listing,
    base: Sequence[SetConstant],
    space: Mapping[str, Axis],
) -> Listing:
    """Return the variants as their strategy has them: a ladder's rungs add up, a sweep has a level for each value."""
    variants = listed.variants
    if block.strategy == "ladder":
        variants = spaces.cumulative(variants)
    if block.strategy == "sweep" and space:
        present = {**names.constants, **{edit.name: edit.value for edit in base}}
        variants = spaces.one_at_a_time(page, space, present, names.track.script, block.line("space"))
        _check_distinct(variants)
    if base and block.strategy != "evolve":  # whose first generation is of the space alone
        own = [Variant("base", (), where=page.where(block.line("base")))]
        variants = spaces.with_base(base, [*own, *variants])
    ranks = listed.ranks if len(listed.ranks) == len(variants) else [0] * len(variants)
    return replace(listed, variants=variants, ranks=ranks)


def read_listed(page: IssueDocument, names: Vocabulary, block: Settings, reads: list[ReadAs]) -> Listing:
    """Return the variants that the block lists or spans, else those of the tables; none of an issue in prose."""
    if block.variants or block.grid:
        variants = _from_block(page, names, block) if block.variants else _from_grid(page, names, block)
        reads += [
            page.read_as(one.line, f"table with {', '.join(one.header)}", "not read: the block has the variants")
            for one in page.tables
        ]
        return Listing(variants, [0] * len(variants))
    if block.strategy == PROSE and not block.tables:
        return Listing()
    chosen = tables.find_tables(page, names, block, reads)
    tables.check_tables(page, names, chosen)
    if chosen:
        tables.check_unread(page, names, [line for table in chosen for line in table.lines])
    for table in chosen:
        table.check_seeds(block.seeds)
        reads += table.read_as()
    variants = [variant for table in chosen for variant in table.variants()]
    _check_distinct(variants)
    if variants:
        check_beside(page, names, variants)
    given = [budget for table in chosen if (budget := table.budget())]
    reads += [read for _, read in given]
    return Listing(
        variants,
        [rank for table in chosen for rank in table.ranks()],
        {name: why for table in chosen for name, why in table.skipped().items()},
        given[0][0] if given else None,
        tuple(stated for table in chosen for stated in table.baseline_stated()),
        tuple(table.line for table in chosen),
    )


def _check_distinct(variants: Sequence[Variant]) -> None:
    seen: dict[str, Variant] = {}
    for variant in variants:
        twin = seen.setdefault(variant.name.lower(), variant)
        if twin is not variant:
            problem = f"ID {variant.name} is there twice, first at {twin.where}"
            raise BadInput(problem, where=variant.where, next_step="rename one of the two rows")


def _from_block(page: IssueDocument, names: Vocabulary, block: Settings) -> list[Variant]:
    variants = []
    for one in block.variants:
        if not is_name(one.name):
            raise page.error(f"{one.name[:80]!r} cannot be an ID", one.line, NAMES)
        edits = [_set(page, names, one.line, f"variant {one.name}", name, value) for name, value in one.values.items()]
        _check_once(page, one.line, f"variant {one.name}", [edit.name for edit in edits])
        variants.append(Variant(one.name, tuple(edits), why=one.why, where=page.where(one.line)))
    _check_distinct(variants)
    return variants


def _check_once(page: IssueDocument, line: int | None, what: str, given: Sequence[object]) -> None:
    twice = next((one for one in given if given.count(one) > 1), None)
    if twice is not None:
        raise page.error(f"{what} gives {twice} twice", line, "keep one of the two")


def _set(page: IssueDocument, names: Vocabulary, line: int | None, what: str, name: str, value: object) -> SetConstant:
    target = names.resolve(name)
    if isinstance(target, Unknown):
        raise page.error(f"{what}: {target.problem}", line, target.next_step)
    read = read_cell(str(value), names.constants[target])
    if isinstance(read, Misread) or read is None:
        problem = read.problem if isinstance(read, Misread) else f"{value!r} is no value"
        step = read.next_step if isinstance(read, Misread) else "leave the constant out to keep it as it is"
        raise page.error(f"{what}, {name}: {problem}", line, step)
    return SetConstant(names.track.script, target, read)


def _from_grid(page: IssueDocument, names: Vocabulary, block: Settings) -> list[Variant]:
    """Return a variant, G1 and so on, for every combination of the grid's values but the baseline's."""
    line, axes = block.line("grid"), list[list[SetConstant]]()
    for name, values in block.grid.items():
        axes.append([_set(page, names, line, "grid", name, value) for value in values])
    _check_once(page, line, "grid", [axis[0].name for axis in axes])
    for axis in axes:
        _check_once(page, line, f"grid, {axis[0].name}", [edit.value for edit in axis])
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MOST_VARIANTS:
        raise page.error(f"the grid has {count:,} combinations", line, f"take fewer values: {MOST_VARIANTS:,} at most")
    combined = [
        one for one in itertools.product(*axes) if any(names.constants[edit.name] != edit.value for edit in one)
    ]
    if not combined:
        raise page.error("grid: its one combination is the baseline", line, "add values that differ from it")
    return [Variant(f"G{at}", edits, where=page.where(line)) for at, edits in enumerate(combined, 1)]

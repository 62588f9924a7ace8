"""The settings block of an issue: fenced yaml whose first line is `# autoresearch`. Errors name the line. Pure."""

import difflib
import itertools
import re
from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.core.errors import BadInput
from agent.core.experiment import Budget, EvolveOptions, GateKind, ReadAs, SearchOptions
from agent.core.frozen import frozen
from agent.spec.amounts import parse_budget
from agent.spec.markdown import IssueDocument, code_lines, is_config, lines_of

if TYPE_CHECKING:
    from pydantic import ValidationError

    from agent.spec.schema import Range as RangeBlock
    from agent.spec.schema import SettingsBlock

PROPOSALS = 3  # of an issue in prose, where it does not say how many
_KEYS = (
    "track, strategy, budget, cap, seeds, gate, min_gain, order, skip, only, table, describe, grid, space, claims, "
    "variants, baseline_only, confirm, promote, base, evolve, search, mix"
)
_HELP = f"keys: {_KEYS}; `--schema` says what each takes, such as budget: 5 minutes, seeds: [0, 1], gate: lowest"
KEYS = (*_KEYS.split(", "), "seed", "steps", "profile", "corpus")  # and what else a table of settings may hold
SAY_IT = f"say it in the settings block, a yaml block that begins with # autoresearch; {_HELP}"
_AS_TEXT = "if it is no setting, begin the block with ```text"
_KEY = re.compile(r"""(?:^\s{0,3}|[{,]\s*)["']?(\w+)["']?\s*[:=](?![=:])""")
Value = int | float | str | bool


@frozen
class ListedVariant:
    """A variant of the block: its name, the values that it sets by whatever name, why, and its line (from 0)."""

    name: str
    values: Mapping[str, Value]
    why: str
    line: int


@frozen
class ListedClaim:
    """A claim of the block: its text, or the fields of its form (agent/spec/schema.py), and its line (from 0)."""

    stated: str | Mapping[str, object]
    line: int


@frozen
class RangeSettings:
    """A range of the block's `space:`."""

    low: int | float
    high: int | float
    step: int | float | None
    log: bool


@frozen
class Settings:
    """What the block says; None, empty and False where it says nothing. `lines` has the line of each key, from 0."""

    track: str | None = None
    strategy: str | None = None
    budget: Budget | None = None
    cap_s: float | None = None
    seeds: tuple[int, ...] | None = None
    gate: GateKind | None = None
    min_gain: float | None = None
    order: tuple[str, ...] = ()
    skip: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    tables: tuple[int | str, ...] = ()
    describe: tuple[str, ...] = ()
    grid: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    space: Mapping[str, tuple[Value, ...] | RangeSettings] = field(default_factory=dict)
    claims: tuple[ListedClaim, ...] = ()
    variants: tuple[ListedVariant, ...] = ()
    proposals: int = PROPOSALS
    baseline_only: bool = False
    confirm: bool = False
    promote: bool = True
    base: Mapping[str, Value] = field(default_factory=dict)
    evolve: EvolveOptions = field(default_factory=EvolveOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    mix: float = 0.0
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, key: str) -> int | None:
        return self.lines.get(key)


def read_settings(page: IssueDocument) -> Settings:
    """Return what the page's one settings block says, or the defaults. Raises BadInput, with the line."""
    if not page.blocks:
        _check_unmarked(page)
        return Settings()
    if len(page.blocks) > 1:
        raise page.error("a second autoresearch block", lines_of(page.blocks[1])[0], "keep one of the two")
    block, first = page.blocks[0].content, lines_of(page.blocks[0])[0] + 1
    lines = _key_lines(page, block, first)
    loaded = _loaded(page, block, first)
    _check_given(page, loaded, lines)
    return _settings(page, _checked(page, loaded, lines, first), lines)


def _ends(line: str) -> bool:
    """Return whether a line has a key and nothing behind it, not even `null`."""
    return re.fullmatch(r"\s*\w+\s*:\s*(?:#.*)?", line) is not None


def _check_given(page: IssueDocument, loaded: object, lines: Mapping[str, int]) -> None:
    """Raise BadInput for a key without a value, and for a cap without its unit: 2 may be hours to whoever wrote it."""
    values = loaded if isinstance(loaded, dict) else {}
    for key in (key for key in lines if key in values and values[key] is None and _ends(page.lines[lines[key]])):
        raise page.error(f"{key}: has no value", lines.get(key), f"give it one, or take the line out; {_HELP}")
    if re.fullmatch(r"[0-9.]+", str(values.get("cap", ""))):
        raise page.error(f"cap: {values['cap']} has no unit", lines.get("cap"), "write such as cap: 2 hours")


def keys_of(block: str) -> list[str]:
    """Return the keys that a block has at its margin."""
    return re.findall(r"^(\w+)\s*:", block, re.MULTILINE)


def _check_unmarked(page: IssueDocument) -> None:
    """Raise BadInput for a block that has a key of this one, in whatever language, and not its first line."""
    for fence in page.fences:
        if not is_config(fence):
            continue
        for at, line in code_lines(fence):
            keys = {key.lower() for key in _KEY.findall(line)} & {*_KEYS.split(", "), "seed"}
            if keys:
                problem = f"a block with {min(keys)}, without the first line of the settings block, is not read"
                raise page.error(problem, at, f"begin a yaml block with the line # autoresearch; {_HELP}; {_AS_TEXT}")


def _checked(page: IssueDocument, loaded: object, lines: Mapping[str, int], first: int) -> "SettingsBlock":
    """Return the block as the schema has it. Raises BadInput, with the line of the key that does not fit."""
    from pydantic import ValidationError  # a tenth of a second, and most issues have no block

    from agent.spec.schema import SettingsBlock

    try:
        return SettingsBlock.model_validate(loaded)
    except ValidationError as error:
        raise _misfit(page, error, lines, first) from None


def _misfit(page: IssueDocument, error: "ValidationError", lines: Mapping[str, int], first: int) -> BadInput:
    """Return the error that names the innermost place at which a block does not fit the schema."""
    errors = error.errors(include_input=False, include_url=False)
    worst = max(errors, key=lambda one: len(one["loc"]))
    place = worst["loc"]
    key = str([*place, "the block"][0])
    if worst["type"] == "extra_forbidden" and len(place) == 1:
        return page.error(f"unknown key {key!r}", lines.get(key, first), _nearest(key))
    inner = ".".join(str(part) for part in place if not re.search(r"[\[({-]|^(?:int|str|float|bool)$", str(part)))
    at = next((part for part in place[1:2] if isinstance(part, int)), None)
    line = lines.get(key, first) if at is None else _line_of_item(page, lines.get(key, first), at)
    kinds = {one["type"] for one in errors if one["loc"][:1] == (key,)}
    problem = "Input should be a number" if kinds == {"int_type", "float_type"} else worst["msg"]
    return page.error(f"{inner or key}: {problem}", line, _HELP)


def _settings(page: IssueDocument, block: "SettingsBlock", lines: Mapping[str, int]) -> Settings:
    listed = block.variants if isinstance(block.variants, list) else []
    tables = block.table if isinstance(block.table, list) else [] if block.table is None else [block.table]
    return Settings(
        track=block.track,
        strategy=block.strategy,
        budget=None if block.budget is None else parse_budget(str(block.budget)),
        cap_s=None if block.cap is None else parse_budget(str(block.cap)).amount,
        seeds=None if block.seeds is None else tuple(block.seeds),
        gate=block.gate,
        min_gain=None if block.min_gain is None else float(block.min_gain),
        order=tuple(map(str, block.order or ())),
        skip=dict(block.skip) if isinstance(block.skip, dict) else dict.fromkeys(map(str, block.skip or ()), ""),
        only=tuple(map(str, block.only or ())),
        tables=tuple(tables),
        describe=tuple(block.describe or ()),
        grid={name: tuple(values) for name, values in (block.grid or {}).items()},
        space={name: _axis(given) for name, given in (block.space or {}).items()},
        claims=tuple(
            ListedClaim(one if isinstance(one, str) else one.model_dump(), _line_of_item(page, lines["claims"], at))
            for at, one in enumerate(block.claims or ())
        ),
        variants=tuple(
            ListedVariant(str(one.id), one.set, one.why, _line_of_id(page, str(one.id), lines["variants"]))
            for one in listed
        ),
        proposals=block.variants if isinstance(block.variants, int) else PROPOSALS,
        baseline_only=block.baseline_only,
        confirm=block.confirm,
        promote=block.promote,
        mix=float(block.mix or 0),
        base=dict(block.base or {}),
        evolve=EvolveOptions(**block.evolve.model_dump()) if block.evolve else EvolveOptions(),
        search=SearchOptions(**block.search.model_dump()) if block.search else SearchOptions(),
        lines=lines,
    )


def _axis(given: "list[Value] | RangeBlock") -> tuple[Value, ...] | RangeSettings:
    return tuple(given) if isinstance(given, list) else RangeSettings(given.low, given.high, given.step, given.log)


_SAID_ELSEWHERE = {  # keys that people try, and what to write instead
    "steps": "write budget: 500steps",
    "tokens": "write budget: 5Mtok",
    "profile": "the command line says it: --profile full",
    "corpus": "the command line says it: --corpus C",
    "priority": "a label of the issue says it: priority: high",
}


def _nearest(key: str) -> str:
    if key.lower() in _SAID_ELSEWHERE:
        return f"{_SAID_ELSEWHERE[key.lower()]}; {_HELP}"
    near = difflib.get_close_matches(key, _KEYS.split(", "), n=1)
    return f"did you mean {near[0]}? {_HELP}" if near else _HELP


def _line_of_id(page: IssueDocument, name: str, first: int) -> int:
    """Return the line that gives a variant of the block its ID."""
    pattern = re.compile(rf"\bid:\s*[\"']?{re.escape(name)}\b")
    return next((at for at in range(first, len(page.lines)) if pattern.search(page.lines[at])), first)


def _line_of_item(page: IssueDocument, key: int, number: int) -> int:
    """Return the line of an item, from 0, of the list below the line of its key; that one where it has no dashes."""
    below = itertools.takewhile(lambda at: not re.match(r"\w|```|~~~", page.lines[at]), range(key + 1, len(page.lines)))
    dashed = [(at, dash.end()) for at in below if (dash := re.match(r" *-(?= )", page.lines[at]))]
    items = [at for at, margin in dashed if margin == dashed[0][1]]
    return items[number] if number < len(items) else key


def _key_lines(page: IssueDocument, block: str, first: int) -> dict[str, int]:
    """Return the line of each key of the block, whose first line is `first`."""
    lines: dict[str, int] = {}
    for at, line in enumerate(block.split("\n"), first):
        key = re.match(r"(\w+)\s*:", line)
        if key and lines.setdefault(key[1], at) != at:  # YAML would take the last and say nothing
            raise page.error(f"key {key[1]!r} is given twice", at, "keep one of the two")
    return lines


def _loaded(page: IssueDocument, block: str, first: int) -> object:
    """Return what YAML makes of the block."""
    import yaml  # as pydantic

    class Loader(yaml.SafeLoader):
        """To which 042 is no octal and 1:30 no number in base sixty: what looks so is text, and is read exactly."""

    plain = {
        "i": re.compile(r"[-+]?(?:0|[1-9][0-9]*)"),
        "f": re.compile(
            r"[-+]?(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+\.(?:[0-9]+)?|[-+]?\.(?:inf|nan)"
        ),
    }
    kept = {"tag:yaml.org,2002:int": plain["i"], "tag:yaml.org,2002:float": plain["f"]}
    Loader.yaml_implicit_resolvers = {
        first: [
            (tag, re.compile(f"(?:{kept[tag].pattern})$") if tag in kept else pattern) for tag, pattern in resolvers
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(block, Loader) or {}
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # all but the first come from YAML's own constructors: `!!int ''` is an IndexError
        mark = getattr(error, "problem_mark", None)
        line = min(mark.line, block.rstrip("\n").count("\n")) if mark else 0  # what is open ends below the block
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise page.error(f"the block is no YAML: {problem}", first + line, _HELP) from None


def read_as(page: IssueDocument, settings: Settings) -> list[ReadAs]:
    """Return what is shown of the block: each key, as it is written."""
    fence = lines_of(page.blocks[0])[1] - 1 if page.blocks else 0
    ends = dict(pairwise([*sorted(settings.lines.values()), fence]))
    return [
        page.read_as(at, " ".join(page.lines[at : max(ends[at], at + 1)]), f"settings block: {key}")
        for key, at in settings.lines.items()
    ]

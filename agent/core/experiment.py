"""The nouns of the harness: frozen dataclasses, one error tree. Standard library only, no effects."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal, Self

from agent.core.claims import Claim
from agent.core.frozen import frozen
from agent.core.sizes import ModelSize

Constant = int | float | str | bool | None
Profile = Literal["full", "mini"]
Clock = Literal["wall", "calibrated", "steps"]
BudgetKind = Literal["seconds", "steps", "tokens"]
GateKind = Literal["confirmed", "fixed", "lowest", "baseline", "report"]  # the last two decide nothing: see GateRules
STRATEGIES = ("table", "freeform", "ladder", "sweep", "evolve", "search")
IssueStatus = Literal["queued", "running", "review", "done"]

BASELINE = "baseline"  # the name the baseline goes by where a variant's name is expected


# --- what is asked for ------------------------------------------------------------------------------------


@frozen
class Bounds:
    """What a number may be: `least` and `most` themselves too, more than `above`, less than `below`; None: no limit."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether a value is within."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        limits = (("at least", self.least), ("at most", self.most), ("above", self.above), ("below", self.below))
        return " and ".join(f"{word} {limit:g}" for word, limit in limits if limit is not None)


@frozen
class Track:
    """One script and its metric: the file an experiment edits, and how its number is read."""

    name: str
    script: str
    metric: str
    goal: Literal["min", "max"]
    budget: "Budget"  # of a run, where neither the user nor the issue gives one
    editable: tuple[str, ...]
    seeds: tuple[int, ...]
    min_gain: float
    prepare: str | None = None  # the script that prepares a corpus
    threads: int | None = None  # of the processor that a run takes; None: as many as there are
    corpus: str = "stdlib"  # the one that it trains on where the user names none
    fixed: tuple[str, ...] = ()  # files, and folders with a slash at their end, that no experiment edits
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what people call a constant, by its own name
    absent: Mapping[str, str] = field(default_factory=dict)  # what people look for and the script lacks, and why
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what a constant is counted in, by its own name
    ranges: Mapping[str, Bounds] = field(default_factory=dict)  # what a constant may be, by its own name

    def is_fixed(self, path: str) -> bool:
        """Return whether a file belongs to the fixed side."""
        return any(path == place or (place.endswith("/") and path.startswith(place)) for place in self.fixed)


@frozen
class Issue:
    """An issue as its tracker gives it. `first_line` is the line of the source on which the body begins."""

    number: int
    title: str
    body: str
    labels: tuple[str, ...] = ()
    author: str = ""
    url: str = ""
    state: str = "open"
    source: str = ""
    first_line: int = 1


@frozen
class HumanComment:
    """What somebody with write access said about an issue: a comment on it, or an issue labelled `human`.

    `id` tells it from all others of its tracker (comment-12, issue-7); `at` is when it was last changed.
    """

    id: str
    author: str
    text: str
    at: str


@frozen
class SetConstant:
    """Give the top-level constant `name` of file `path` the value `value`."""

    path: str
    name: str
    value: Constant


@frozen
class Replace:
    """Replace the one occurrence of `old` in file `path` by `new`."""

    path: str
    old: str
    new: str


@frozen
class Rewrite:
    """Give file `path` the whole text `text`."""

    path: str
    text: str


Edit = SetConstant | Replace | Rewrite


@frozen
class StatedValue:
    """A derived value that an issue states for a variant, to be checked and never to be set."""

    column: str
    value: int
    where: str


@frozen
class Variant:
    """One candidate: a name, the edits that make it from its parent, and what the issue says of it."""

    name: str
    edits: tuple[Edit, ...]
    parent: str = BASELINE
    why: str = ""
    stated: tuple[StatedValue, ...] = ()
    where: str = ""
    usd: float = 0.0  # what it cost to write
    commit: str = ""  # where it is committed already, as an accepted proposal is
    sizes: Mapping[str, ModelSize] = field(default_factory=dict)  # by profile, where its model was built

    @property
    def only_sets_constants(self) -> bool:
        """Whether it sets constants and does nothing else; what does more, a model may have written."""
        return all(isinstance(edit, SetConstant) for edit in self.edits)


_UNITS: Mapping[BudgetKind, tuple[str, float]] = {"seconds": ("s", 1), "steps": ("steps", 1), "tokens": ("Mtok", 1e6)}


@frozen
class Budget:
    """How much training a run gets: seconds, optimizer steps, or tokens. Its text is what --budget takes.

    The amount is kept to ten digits, which is what its text has: a budget is equal to what is read back from the text.
    """

    kind: BudgetKind
    amount: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "amount", float(f"{self.amount:.10g}"))

    def __str__(self) -> str:
        unit, scale = _UNITS[self.kind]
        return f"{self.amount / scale:.10g}{unit}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the budget that has this text. Raises ValueError where none has."""
        for kind, (unit, scale) in _UNITS.items():
            number = text.removesuffix(unit)
            if number != text and number[-1:].isdigit():
                return cls(kind, float(number) * scale)
        raise ValueError(f"{text!r} is not the text of a budget")


@frozen
class Outcome:
    """'If 1D (wider) wins: ...': what the issue expects to conclude when `variant` wins, in its own words.

    `variant` is empty for what it expects when nobody wins. The outcome holds for a gain from `min_gain` up to
    `max_gain` (None: any); `unchecked` is a condition beside these that nobody but a person can judge.
    """

    variant: str
    text: str
    min_gain: float | None = None
    max_gain: float | None = None
    unchecked: str = ""

    def holds(self, gain: float | None) -> bool:
        """Return whether a winner's gain is within the outcome's bounds."""
        low, high = self.min_gain, self.max_gain
        if low is None and high is None:
            return True
        return gain is not None and (low is None or gain > low) and (high is None or gain < high)


@frozen
class ReadAs:
    """How something in an issue was read: its line there (None: it has none), its words, and what they mean."""

    line: int | None
    text: str
    means: str


@frozen
class Choice:
    """An axis of a space that takes one of some values, in the order of their size where they have one."""

    values: tuple[Constant, ...]


@frozen
class Range:
    """An axis of a space from `low` to `high`, both included. `step` is None for a real number; `log`: scaled so."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


Axis = Choice | Range
Space = Mapping[str, Axis]  # by the constant's full name


@frozen(kw_only=True)
class EvolveOptions:
    """What an issue may choose of an evolution. `parsimony` times ln(parameters x steps) is added to the loss.

    blacklist_above: a species is left out after two losses above this (in the metric's unit, lower is better); None:
    none is. not_species: discrete constants that do not make a species, by the last part of their name, in any case.
    """

    generations: int = 10
    population: int = 8
    parsimony: float = 0.0
    blacklist_above: float | None = None
    not_species: tuple[str, ...] = ("LR", "STEPS")


@frozen(kw_only=True)
class SearchOptions:
    """What an issue may choose of a search: how many trials, proposed by what, how many at once."""

    trials: int = 30
    sampler: Literal["tpe", "gp", "random"] = "tpe"
    batch: int = 1


@frozen
class GateRules:
    """The decision gate, fixed before the first run. `min_gain` is in units of the metric.

    `seeds` are used in this order, by the baseline first; when they run out, the smallest unused numbers follow. Runs
    that the ledger has already are used before any is made, whatever their seeds. kind `baseline` has no variants: the
    baseline is measured on every one of `seeds`. kind `report` measures what a strategy asks for and moves no baseline.
    `baseline_runs` are those of the baseline before the screens. `confirm_runs` are the confirmations: the most of a
    candidate for `confirmed`, which looks after each, and exactly those of the leader for `fixed`, which looks once and
    alone measures the baseline after every `remeasure_every` other runs. `more` are the further runs of the leader and
    of the baseline that a person asked for, one number for each inconclusive verdict.
    """

    kind: GateKind = "confirmed"
    seeds: tuple[int, ...] = ()
    baseline_runs: int = 2
    confirm_runs: int = 5
    alpha: float = 0.05
    min_gain: float = 0.0
    goal: Literal["min", "max"] = "min"
    remeasure_every: int = 10
    more: tuple[int, ...] = ()


@frozen
class Spec:
    """An issue, understood. `variants` stand in the order in which they run, without those that are `skipped`.

    skipped: why each variant that does not run is left out, by name. min_gain: in units of the metric; None leaves it
    to the track. baseline_only: nothing but the baseline is measured, on every one of `seeds`. baseline_stated: what
    the issue states of the baseline, to be checked. read_by: `strict`, or the model that wrote the settings block.
    """

    issue: Issue
    track: str
    strategy: str
    variants: tuple[Variant, ...]
    budget: Budget | None
    cap_s: float | None
    gate: GateKind | None
    outcomes: tuple[Outcome, ...]
    body_sha256: str
    seeds: tuple[int, ...] | None = None
    proposals: int = 0  # how many variants an editor is asked for, each round
    min_gain: float | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    baseline_only: bool = False
    baseline_stated: tuple[StatedValue, ...] = ()
    confirm: bool = False  # a person's /go is waited for before anything runs
    promote: bool = True  # False: the strategy reports, and no baseline moves
    base: Mapping[str, Constant] = field(default_factory=dict)  # what all variants set, by the constant's full name
    space: Mapping[str, Axis] = field(default_factory=dict)  # where a strategy looks, by the constant's full name
    evolve: EvolveOptions = field(default_factory=EvolveOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    mix: float = 0.0  # share of an editor's proposals that are search's
    claims: tuple[Claim, ...] = ()  # what somebody says will be seen
    read_as: tuple[ReadAs, ...] = ()
    read_by: str = "strict"

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(variant.name for variant in self.variants)


@frozen
class Shape:
    """What DEPTH, ASPECT_RATIO and HEAD_DIM resolve to on one profile."""

    depth: int
    aspect_ratio: int
    head_dim: int
    model_dim: int
    n_head: int
    params: int
    flops_per_token: int
    memory_mb: int


# --- what is run, and what comes back ---------------------------------------------------------------------

"""What a strategy is given and what it answers: candidates, trials, the next step, the findings. No effects."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol

from agent.core.experiment import Constant
from agent.core.frozen import frozen


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


@frozen(kw_only=True)
class Candidate:
    """A variant as a strategy knows it: the constants that it sets, where it comes from, in which generation."""

    name: str
    sets: Mapping[str, Constant]
    origin: str = ""
    parents: tuple[str, ...] = ()
    generation: int = 0


@frozen(kw_only=True)
class Trial:
    """A candidate and what its runs said. `values`: the metric by seed, signed so that lower is better.

    failure: why it is out; empty while it is not. refused: it is out before any run, because preflight refused it.
    metrics: what its runs report besides, each the mean over them.
    """

    candidate: Candidate
    values: Mapping[int, float] = field(default_factory=dict)
    failure: str = ""
    refused: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.candidate.name


@frozen(kw_only=True)
class Question:
    """What a strategy is to find out, fixed before the first run. Random numbers come from `issue` and the trials.

    seeds: of the first run of each candidate, then of its replicates. base: the constants that candidates start from.
    variants: those that the issue lists, in its order. space: where others may be looked for.
    """

    issue: int
    seeds: tuple[int, ...]
    base: Mapping[str, Constant]
    variants: tuple[Candidate, ...] = ()
    space: Space = field(default_factory=dict)
    evolve: EvolveOptions = EvolveOptions()
    search: SearchOptions = SearchOptions()


@frozen
class ExploreRun:
    """A run that a strategy needs of a candidate."""

    name: str
    seed: int


@frozen
class Step:
    """What is to be done next: candidates that are new, then runs; with neither the strategy has seen enough.

    All runs of one step are needed whatever the others say, so they may run at the same time.
    """

    candidates: tuple[Candidate, ...] = ()
    runs: tuple[ExploreRun, ...] = ()


@frozen
class Effect:
    """How much better one thing is than another, in units of the metric (positive is better), with 90 % bounds."""

    name: str
    gain: float
    interval: tuple[float, float] | None
    n: int


@frozen
class Table:
    """A table of a report: its cells are text, ready to be shown."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@frozen
class Findings:
    """What a strategy concludes: a sentence, effects, and tables for a reader."""

    summary: str
    effects: tuple[Effect, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


class Exploration(Protocol):
    """A strategy that explores before the gate decides. Pure: the trials are its state, so resuming is free."""

    def next_step(self, question: Question, trials: Sequence[Trial]) -> Step:
        """Return what is to be done next. `trials` has every candidate so far, those of the issue first."""

    def best(self, question: Question, trials: Sequence[Trial]) -> str | None:
        """Return the candidate to be confirmed by the gate on fresh seeds; None where none has a value."""

    def conclude(self, question: Question, trials: Sequence[Trial]) -> Findings:
        """Return what the trials say."""


# --- claims: what somebody says will be seen ----------------------------------------------------------------


@frozen(kw_only=True)
class Claim:
    """A claim of an issue in its own words; nobody can check what is no more than this. source: who says so."""

    text: str
    source: str = ""


@frozen(kw_only=True)
class BetterClaim(Claim):
    """One candidate is better than another, by `by` or more in units of the metric; 0: by whatever."""

    better: str
    than: str
    by: float = 0.0


@frozen(kw_only=True)
class OrderClaim(Claim):
    """The spread of each of these factors (full names) is larger than that of the next."""

    factors: tuple[str, ...]


@frozen(kw_only=True)
class ValueClaim(Claim):
    """A candidate's metric, as its runs report it, is from `low` to `high`."""

    name: str
    low: float
    high: float


@frozen(kw_only=True)
class FlatClaim(Claim):
    """No level of a factor above `after` is better than that one by more than `within`, in units of the metric."""

    factor: str
    after: float
    within: float


@frozen(kw_only=True)
class ParametersClaim(Claim):
    """A candidate has exactly so many parameters."""

    name: str
    count: int


ClaimOutcome = Literal["held", "not held", "undecided", "not checkable"]


@frozen
class ClaimResult:
    """What the trials say of a claim: the outcome, the figures behind it, and their 90 % bounds where they have any."""

    claim: Claim
    outcome: ClaimOutcome
    figures: str = ""
    interval: tuple[float, float] | None = None

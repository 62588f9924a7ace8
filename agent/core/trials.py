"""What a strategy is given and what it answers: candidates, trials, the next step, the findings. No effects."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import NamedTuple, Protocol

from agent.core.claims import Claim
from agent.core.experiment import Constant, EvolveOptions, SearchOptions, Space
from agent.core.frozen import frozen


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
    variants: those that the issue lists, in its order. space: where others may be looked for. claims: what somebody
    says will be seen.
    """

    issue: int
    seeds: tuple[int, ...]
    base: Mapping[str, Constant]
    variants: tuple[Candidate, ...] = ()
    space: Space = field(default_factory=dict)
    evolve: EvolveOptions = field(default_factory=EvolveOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    claims: tuple[Claim, ...] = ()


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

    headline: str
    effects: tuple[Effect, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


# --- pictures: what they show, not how they are drawn; values are signed so that lower is better ----------


Points = tuple[tuple[float, float], ...]


@frozen
class EffectPicture:
    """Effects one below the other, each with its interval. measure: what they are, `gain` or `spread`."""

    name: str
    title: str
    effects: tuple[Effect, ...]
    measure: str = "gain"


@frozen
class ParameterPicture:
    """Values against parameters: of each trial its parameters (a count), its value and its name."""

    name: str
    title: str
    trials: tuple[tuple[float, float, str], ...]


@frozen(kw_only=True)
class CurvePicture:
    """One line over numbers that rise, and single points about it. across: what rises.

    is_step: the line holds its value until the next point, as a best so far does. base: a level that the line is held
    against; None: there is none.
    """

    name: str
    title: str
    across: str
    line: Points
    line_name: str
    points: Points = ()
    points_name: str = ""
    is_step: bool = False
    base: float | None = None


class Ancestor(NamedTuple):
    """An organism in one generation. fitness: as known after that generation, lower is better; infinity: it failed.

    origin: the generation that bore it shows where it comes from; as the elite of a later one it is `elite`, or
    `re-eval` where a championship evaluates it once more.
    """

    name: str
    generation: int
    origin: str
    parents: tuple[str, ...]
    fitness: float


@frozen
class LineagePicture:
    """Organisms by generation and fitness; `beside`: those of random search, which descend from nothing."""

    name: str
    title: str
    organisms: tuple[Ancestor, ...]
    beside: tuple[Ancestor, ...] = ()


@frozen
class LearningPicture:
    """Training loss by optimizer step, a line a run, by the name of its variant."""

    name: str
    title: str
    lines: tuple[tuple[str, Points], ...]


Picture = EffectPicture | ParameterPicture | CurvePicture | LearningPicture | LineagePicture


class Exploration(Protocol):
    """A strategy that explores before the gate decides. Pure: the trials are its state, so resuming is free."""

    def check(self, question: Question) -> None:
        """Raise BadInput for what cannot be explored: a space without a point, a package that is not installed."""

    def next_step(self, question: Question, trials: Sequence[Trial]) -> Step:
        """Return what is to be done next. `trials` has every candidate so far, those of the issue first."""

    def best(self, question: Question, trials: Sequence[Trial]) -> str | None:
        """Return the candidate to be confirmed by the gate on fresh seeds; None where none has a value."""

    def conclude(self, question: Question, trials: Sequence[Trial]) -> Findings:
        """Return what the trials say."""

    def pictures(self, question: Question, trials: Sequence[Trial]) -> tuple[Picture, ...]:
        """Return what a reader is to see of the trials, without those pictures that would be empty."""

    def size(self, question: Question) -> int:
        """Return the most runs that the exploration takes when none fails and none is contended."""

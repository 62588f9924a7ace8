"""What somebody says will be seen, in forms that trials can be held against, and what they say of it. No effects."""

from typing import Literal

from agent.core.frozen import frozen

BEST = "best"  # the name that a claim calls the candidate by which a strategy finds best


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

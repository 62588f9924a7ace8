"""Whether what an issue claims is what its trials show: held, not held, or undecided, each with figures. Pure."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from agent.core.claims import (
    BEST,
    BetterClaim,
    Claim,
    ClaimOutcome,
    ClaimResult,
    FlatClaim,
    OrderClaim,
    ParametersClaim,
    ValueClaim,
)
from agent.core.trials import Question, Table, Trial
from agent.gate.stats import LEVEL, spread
from agent.strategies.effects import gain, mean_of, noise, shown, shown_parameters, sound
from agent.strategies.factors import Design, design_of

Bounds = tuple[float, float]
_MORE = math.ulp(0.0)  # above nothing: what is better is so by more than 0


def judge_claims(
    claims: Sequence[Claim], question: Question, trials: Sequence[Trial], goal: Literal["min", "max"] = "min"
) -> tuple[ClaimResult, ...]:
    """Return what the trials say of each claim, each at 90 % by itself.

    goal: of the metric, in whose sign a ValueClaim is stated while values of trials are signed so that lower is better.
    A claim holds when the whole interval agrees with it, and does not when none of the interval does.
    """
    judge = _Judge(question, trials, goal)
    return tuple(judge.result(claim) for claim in claims)


def outcome(bounds: Bounds | None, low: float, high: float) -> ClaimOutcome:
    """Return whether a figure with these bounds is from `low` to `high`; undecided where the bounds are unknown."""
    if bounds is None:
        return "undecided"
    if low <= bounds[0] and bounds[1] <= high:
        return "held"
    return "not held" if bounds[1] < low or bounds[0] > high else "undecided"


def claims_table(results: Sequence[ClaimResult]) -> Table:
    """Return the claims of an issue with their outcomes; who made them is a column where somebody is named."""
    named = any(one.claim.source for one in results)
    head = ("claim", "outcome", "figures", "90 %")
    rows = tuple(_row(one, named) for one in results)
    return Table("Claims", (*head, "source") if named else head, rows)


def _row(result: ClaimResult, named: bool) -> tuple[str, ...]:
    bounds = "–" if result.interval is None else "{:.4f} to {:.4f}".format(*result.interval)
    cells = (result.claim.text, result.outcome, result.figures or "–", bounds)
    return (*cells, result.claim.source or "–") if named else cells


class _Judge:
    """The trials of a question, by name and by factor. Their noise is that of all, whoever a claim names."""

    def __init__(self, question: Question, trials: Sequence[Trial], goal: Literal["min", "max"]) -> None:
        self._by_name = {trial.name: trial for trial in trials}
        self._design: Design = design_of(question, trials)
        self._noise = noise([trial for trial in trials if trial.name != BEST])  # which is one of the others once more
        self._sign = 1 if goal == "min" else -1

    def result(self, claim: Claim) -> ClaimResult:
        match claim:
            case BetterClaim():
                return self._better(claim)
            case OrderClaim():
                return self._order(claim)
            case ValueClaim():
                return self._value(claim)
            case FlatClaim():
                return self._flat(claim)
            case ParametersClaim():
                return self._parameters(claim)
        return ClaimResult(claim, "not checkable")

    def _better(self, claim: BetterClaim) -> ClaimResult:
        if missing := self._missing(claim.better, claim.than):
            return ClaimResult(claim, "undecided", missing)
        better, than = self._by_name[claim.better], self._by_name[claim.than]
        effect = gain(claim.better, than, better, self._noise)
        bounds = effect.interval if effect else None
        figures = f"gain {effect.gain:+.4f}" if effect else ""
        return ClaimResult(claim, outcome(bounds, max(claim.by, _MORE), math.inf), figures, bounds)

    def _value(self, claim: ValueClaim) -> ClaimResult:
        if missing := self._missing(claim.name):
            return ClaimResult(claim, "undecided", missing)
        trial = self._by_name[claim.name]
        value, half = self._sign * mean_of(trial), spread(self._noise, len(trial.values))
        bounds = None if half is None else (value - half, value + half)
        return ClaimResult(claim, outcome(bounds, claim.low, claim.high), shown(value), bounds)

    def _parameters(self, claim: ParametersClaim) -> ClaimResult:
        """Compare a count, which has no noise: one run decides."""
        trial = self._by_name.get(claim.name)
        count = "–" if trial is None else shown_parameters(trial)
        if count == "–":
            return ClaimResult(claim, "undecided", f"no run of {claim.name} reports its parameters")
        return ClaimResult(claim, "held" if count == f"{claim.count:,}" else "not held", f"{count} parameters")

    def _order(self, claim: OrderClaim) -> ClaimResult:
        """Compare the spreads of neighbours, by bounds that hold for all factors together (Bonferroni)."""
        factors = [self._design.factor(name) for name in claim.factors]
        spreads = [factor and self._design.spread(factor, 2 * LEVEL / len(factors)) for factor in factors]
        known = [one for one in spreads if one]
        if len(known) < len(spreads):
            lacking = [name for name, one in zip(claim.factors, spreads, strict=True) if one is None]
            return ClaimResult(claim, "undecided", f"fewer than two levels of {', '.join(lacking)} have a value")
        figures = ", ".join(f"{one.name.removeprefix('spread of ')} {shown(one.gain)}" for one in known)
        bounds = [one.interval for one in known if one.interval]
        if len(bounds) < len(known):
            return ClaimResult(claim, "undecided", figures)
        pairs = list(pairwise(bounds))
        least = min(large[0] - small[1] for large, small in pairs), min(large[1] - small[0] for large, small in pairs)
        return ClaimResult(claim, outcome(least, _MORE, math.inf), f"{figures}; the smallest difference", least)

    def _flat(self, claim: FlatClaim) -> ClaimResult:
        """Compare every level above with the one named, by bounds that hold for all of them together (Bonferroni)."""
        factor = self._design.factor(claim.factor)
        levels = {level: trial for level, trial in factor.levels if isinstance(level, int | float)} if factor else {}
        start, above = levels.get(claim.after), {level: one for level, one in levels.items() if level > claim.after}
        if start is None or not above or not sound([start]):
            return ClaimResult(claim, "undecided", f"no value at {claim.after:g} or at no level above it")
        tail, deviation = LEVEL / len(above), self._design.noise
        effects = {level: gain(one.name, start, one, deviation, tail) for level, one in above.items()}
        gains = {level: effect for level, effect in effects.items() if effect}
        figures = ", ".join(f"{effect.gain:+.4f} at {level:g}" for level, effect in gains.items())
        known = [effect.interval for effect in gains.values() if effect.interval]
        if not known:
            return ClaimResult(claim, "undecided", figures or f"no level above {claim.after:g} has a value")
        highest = math.inf if len(known) < len(above) else max(high for _, high in known)
        bounds = max(low for low, _ in known), highest
        shown_bounds = None if math.isinf(highest) else bounds
        return ClaimResult(claim, outcome(bounds, -math.inf, claim.within), figures, shown_bounds)

    def _missing(self, *names: str) -> str:
        """Return why one of these has no value; empty where all have one."""
        for name in names:
            trial = self._by_name.get(name)
            if trial is None or not sound([trial]):
                return f"{name} failed: {trial.failure}" if trial and trial.failure else f"{name} has no value"
        return ""

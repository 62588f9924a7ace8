"""The tables of a sweep's report: spreads, levels, pairs. Pure."""

from collections.abc import Sequence

from agent.core.trials import Effect, Table, Trial
from agent.strategies.effects import (
    PARAMETERS,
    STEP_SECONDS,
    gain,
    mean_of,
    score_names,
    sets_text,
    shown,
    shown_effect,
    shown_mean,
    shown_parameters,
    sound,
)
from agent.strategies.factors import Design, Factor, Spread, per_million


def spread_table(design: Design, spreads: Sequence[Spread]) -> Table:
    """Return a row a factor, the largest spread first."""
    head = ("factor", "levels", "spread", "90 %", "best", "gain a million parameters", "90 %", "slowest / fastest step")
    return Table("Spread by factor", head, tuple(_spread_row(design, one) for one in spreads))


def _spread_row(design: Design, spread: Spread) -> tuple[str, ...]:
    levels = spread.factor.sound
    best = min(levels, key=lambda level: mean_of(level[1]))[0] if levels else "–"
    return (
        spread.factor.label,
        ", ".join(str(level) for level, _ in spread.factor.levels),
        *_unsigned(spread.effect),
        str(best),
        *shown_effect(_along(design, spread.factor)),
        _slowdown([trial for _, trial in levels]),
    )


def _unsigned(effect: Effect | None) -> tuple[str, str]:
    """Return a spread, which has no sign, and its interval."""
    value, bounds = shown_effect(effect)
    return value.replace("+", ""), bounds.replace("+", "")


def _along(design: Design, factor: Factor) -> Effect | None:
    """Return the gain a million parameters from a factor's smallest model to its largest."""
    trials = sorted((trial for _, trial in factor.sound), key=lambda trial: trial.metrics.get(PARAMETERS, 0.0))
    return per_million(trials[0], trials[-1], design.noise) if trials else None


def _slowdown(trials: Sequence[Trial]) -> str:
    seconds = [trial.metrics[STEP_SECONDS] for trial in trials if trial.metrics.get(STEP_SECONDS)]
    return f"{max(seconds) / min(seconds):.2f}" if len(seconds) > 1 else "–"


# --- levels -----------------------------------------------------------------------------------------------


def level_table(design: Design) -> Table:
    """Return a row for each level of each factor: its mean, what it gains on the level before, cost and scores."""
    scores = score_names(design.trials)
    head = ("factor", "level", "variant", "value", "n", "gain on the level before", "90 %", "parameters")
    rows = tuple(row for factor in design.factors for row in _level_rows(design, factor, scores))
    return Table("Levels", (*head, "gain a million", "ms a step", *scores), rows)


def _level_rows(design: Design, factor: Factor, scores: Sequence[str]) -> list[tuple[str, ...]]:
    rows, before = [], None
    for level, trial in factor.levels:
        rows.append(_level_row(design, factor, (str(level), trial), before, scores))
        before = trial if sound([trial]) else before
    return rows


def _level_row(
    design: Design, factor: Factor, level: tuple[str, Trial], before: Trial | None, scores: Sequence[str]
) -> tuple[str, ...]:
    name, trial = level
    step = gain(trial.name, before, trial, design.noise) if before else None
    density = per_million(before, trial, design.noise) if before else None
    return (
        factor.label,
        name,
        trial.name,
        "failed" if trial.failure else shown_mean(trial, design.noise),
        str(len(trial.values)),
        *shown_effect(step),
        shown_parameters(trial),
        shown_effect(density)[0],
        shown(_milliseconds(trial), 1),
        *(shown(trial.metrics.get(score)) for score in scores),
    )


def _milliseconds(trial: Trial) -> float | None:
    seconds = trial.metrics.get(STEP_SECONDS)
    return None if seconds is None else 1000 * seconds


# --- pairs ------------------------------------------------------------------------------------------------


def pair_table(design: Design) -> Table:
    """Return a row for each trial that differs from the reference in two factors or more, the lowest mean first."""
    effects = design.interactions()
    several = [trial for values, trial in design.cells.items() if len(design.differing(values)) > 1]
    rows = (_pair_row(design, trial, effects.get(trial.name)) for trial in sorted(several, key=mean_of))
    head = ("variant", "sets", "value", "n", "sum of its factors", "beyond the sum", "90 %", "parameters", "ms a step")
    return Table("Pairs", head, tuple(rows))


def _pair_row(design: Design, trial: Trial, beyond: Effect | None) -> tuple[str, ...]:
    return (
        trial.name,
        sets_text(trial.candidate.sets),
        "failed" if trial.failure else shown_mean(trial, design.noise),
        str(len(trial.values)),
        shown(mean_of(trial) + beyond.gain if beyond else None),
        *shown_effect(beyond),
        shown_parameters(trial),
        shown(_milliseconds(trial), 1),
    )

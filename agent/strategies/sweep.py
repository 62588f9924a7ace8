"""The strategy of a sweep or a grid: what each factor is worth around a base, and what pairs do beside. Pure."""

from collections.abc import Sequence

from agent.core.experiment import BASELINE
from agent.core.trials import Candidate, CurvePicture, Effect, Findings, Picture, Question, Step, Trial
from agent.strategies.axes import is_number
from agent.strategies.effects import best_of, effect_pictures, gain, mean_of, parameter_pictures, shown
from agent.strategies.factors import Design, Factor, Spread, design_of
from agent.strategies.replicates import missing_runs
from agent.strategies.sweep_tables import level_table, pair_table, spread_table


def check(_: Question) -> None:
    """Raise nothing: the levels were checked when the issue was read."""


def next_step(question: Question, trials: Sequence[Trial]) -> Step:
    """Return the runs that are missing: every combination of values once on every seed, all on one seed first.

    The base is a level of each factor: where no variant has its values, it is a candidate of its own, BASELINE.
    """
    design = design_of(question, trials)
    missing = design.needs_base and BASELINE not in {trial.name for trial in trials}
    base = (Candidate(name=BASELINE, sets={}, origin="base"),) if missing else ()
    return Step(base, missing_runs(question.seeds, design.trials))


def best(question: Question, trials: Sequence[Trial]) -> str | None:
    """Return the variant with the lowest mean; None where none has a value, or none is lower than the base."""
    design = design_of(question, trials)
    base = design.base_trial
    others = [trial for trial in design.trials if trial is not base]
    name = best_of(others)
    if name is None or base is None:
        return name
    return name if min(map(mean_of, others)) < mean_of(base) else None


def size(question: Question) -> int:
    """Return the runs of all variants, and of the base where it is none of them."""
    needs_base = design_of(question, [Trial(candidate=one) for one in question.variants]).needs_base
    return (len(question.variants) + needs_base) * len(question.seeds)


def conclude(question: Question, trials: Sequence[Trial]) -> Findings:
    """Return the spread of each factor, the gain of each variant over the reference, and what pairs do beside."""
    design = design_of(question, trials)
    spreads = design.spreads()
    pairs = pair_table(design)
    tables = [spread_table(design, spreads), level_table(design)] if spreads else []
    return Findings(
        headline=_summary(design, spreads),
        effects=(*(one.effect for one in spreads if one.effect), *_gains(design), *design.interactions().values()),
        tables=(*tables, *([pairs] if pairs.rows else [])),
        notes=tuple(_notes(design)),
    )


def pictures(question: Question, trials: Sequence[Trial]) -> tuple[Picture, ...]:
    """Return the spreads, what pairs do beside, the levels of each factor of three numbers or more, the parameters."""
    design = design_of(question, trials)
    spreads = [one.effect for one in design.spreads() if one.effect]
    curves = [_levels(factor) for factor in design.factors if _is_curve(factor)]
    return (
        *effect_pictures("spread", "Spread of each factor", spreads, "spread"),
        *effect_pictures("pairs", "Pairs, beyond their sum", list(design.interactions().values())),
        *curves,
        *parameter_pictures(design.trials),
    )


def _is_curve(factor: Factor) -> bool:
    return len(factor.sound) > 2 and all(is_number(level) for level, _ in factor.sound)


def _levels(factor: Factor) -> CurvePicture:
    """Return the mean at each level of a factor, and its runs one by one."""
    levels = [(float(level or 0), trial) for level, trial in factor.sound]
    return CurvePicture(
        name=f"levels-of-{factor.label}",
        title=f"Levels of {factor.label}",
        across=factor.label,
        line=tuple((level, mean_of(trial)) for level, trial in levels),
        line_name="mean",
        points=tuple((level, value) for level, trial in levels for value in sorted(trial.values.values())),
        points_name="runs",
    )


def _gains(design: Design) -> list[Effect]:
    """Return the gain of each trial over the one with the reference's values."""
    before = design.reference_trial
    if before is None:
        return []
    gains = (gain(trial.name, before, trial, design.noise) for trial in design.trials if trial is not before)
    return [effect for effect in gains if effect]


def _summary(design: Design, spreads: Sequence[Spread]) -> str:
    known = [f"{one.factor.label} {shown(one.effect.gain)}" for one in spreads if one.effect]
    if not any(trial.values for trial in design.trials):
        return "no variant has a value"
    text = (
        f"spread a factor, the largest first: {', '.join(known)}" if known else "no factor has two levels with a value"
    )
    pairs = design.interactions()
    beyond = [name for name, one in pairs.items() if one.interval and not one.interval[0] <= 0 <= one.interval[1]]
    return f"{text}; {len(beyond)} of {len(pairs)} pairs deviate from the sum of their factors" if pairs else text


def _notes(design: Design) -> list[str]:
    notes = [f"{trial.name} failed: {trial.failure}" for trial in design.trials if trial.failure]
    if design.noise.dof == 0:
        return [*notes, "no variant has two runs, so the noise is unknown and nothing has an interval"]
    notes.append(
        "a spread is the largest mean of a factor's levels less the smallest, which noise alone makes larger than 0: "
        "its interval holds for all pairs of levels together (Tukey-Kramer), so the choice of the two is allowed for"
    )
    return notes

"""The strategy of a ladder: each rung adds to the one before, and the report says what each is worth. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from agent.core.experiment import Constant
from agent.core.frozen import frozen
from agent.core.trials import Effect, Findings, Picture, Question, Step, Table, Trial
from agent.gate.stats import Noise
from agent.strategies.effects import (
    added,
    best_of,
    effect_pictures,
    gain,
    mean_of,
    noise,
    parameter_pictures,
    score_names,
    sets_text,
    shown,
    shown_effect,
    shown_mean,
    shown_parameters,
)
from agent.strategies.replicates import missing_runs, trials_of


def check(_: Question) -> None:
    """Raise nothing: the rungs were checked when the issue was read."""


def next_step(question: Question, trials: Sequence[Trial]) -> Step:
    """Return the runs that are missing: every rung on every seed, all rungs on one seed first."""
    return Step(runs=missing_runs(question.seeds, trials_of(question.variants, trials)))


def best(question: Question, trials: Sequence[Trial]) -> str | None:
    """Return the rung with the lowest mean; None where none has a value."""
    return best_of(trials_of(question.variants, trials))


def size(question: Question) -> int:
    """Return the runs of all rungs."""
    return len(question.variants) * len(question.seeds)


def conclude(question: Question, trials: Sequence[Trial]) -> Findings:
    """Return each rung's own effect, over the last sound rung before it, and the cumulative one, over the first."""
    rungs = _rungs(question, trials)
    first = next((rung.trial for rung in rungs if rung.is_sound), None)
    own = [rung.own for rung in rungs if rung.own]
    whole = [rung.cumulative for rung in rungs if rung.cumulative and rung.before is not first]
    return Findings(
        headline=_summary(rungs),
        effects=(*own, *whole),
        tables=(_table(question, rungs),),
        notes=tuple(_notes(rungs)),
    )


def pictures(question: Question, trials: Sequence[Trial]) -> tuple[Picture, ...]:
    """Return what each rung gains over the sound one before it, and the loss against parameters."""
    own = [rung.own for rung in _rungs(question, trials) if rung.own]
    steps = effect_pictures("ladder", "Each rung, over the one before", own)
    return (*steps, *parameter_pictures(trials_of(question.variants, trials)))


@frozen
class _Rung:
    """A rung, the sound one before it that it is compared with, and its effects over that one and over the first."""

    trial: Trial
    before: Trial | None
    own: Effect | None
    cumulative: Effect | None
    noise: Noise

    @property
    def is_sound(self) -> bool:
        return bool(self.trial.values) and not self.trial.failure


def _rungs(question: Question, trials: Sequence[Trial]) -> list[_Rung]:
    listed = trials_of(question.variants, trials)
    sigma = noise(listed)
    rungs: list[_Rung] = []
    for trial in listed:
        sound = [rung.trial for rung in rungs if rung.is_sound]
        before = sound[-1] if sound else None
        own = gain(trial.name, before, trial, sigma) if before else None
        whole = gain(f"{sound[0].name} to {trial.name}", sound[0], trial, sigma) if before else None
        rungs.append(_Rung(trial, before, own, whole, sigma))
    return rungs


# --- the report -------------------------------------------------------------------------------------------


def _summary(rungs: Sequence[_Rung]) -> str:
    sound = [rung for rung in rungs if rung.is_sound]
    if not sound:
        return "no rung has a value"
    first, last = sound[0].trial, min(sound, key=lambda rung: mean_of(rung.trial)).trial
    text = f"{len(sound)} of {len(rungs)} rungs have a value; from {first.name}, {shown(mean_of(first))}, "
    text += f"to {last.name}, {shown(mean_of(last))}"
    largest = max((rung.own for rung in sound if rung.own), key=lambda own: own.gain, default=None)
    return f"{text}; the largest step is {largest.name}, {_with_bounds(largest)}" if largest else text


def _with_bounds(effect: Effect) -> str:
    value, bounds = shown_effect(effect)
    return value if effect.interval is None else f"{value} ({bounds})"


def _table(question: Question, rungs: Sequence[_Rung]) -> Table:
    scores = score_names([rung.trial for rung in rungs])
    head = ("rung", "sets", "parameters", "value", "own effect", "90 %", "cumulative", "90 %", "n")
    return Table("Ladder", (*head, *scores), tuple(_row(question.base, rung, scores) for rung in rungs))


def _row(base: Mapping[str, Constant], rung: _Rung, scores: Sequence[str]) -> tuple[str, ...]:
    trial = rung.trial
    return (
        trial.name,
        sets_text(added(base, rung.before.candidate.sets if rung.before else {}, trial.candidate.sets)) or "–",
        shown_parameters(trial),
        "failed" if trial.failure else shown_mean(trial, rung.noise),
        *shown_effect(rung.own),
        *shown_effect(rung.cumulative),
        str(len(trial.values)),
        *(shown(trial.metrics.get(score)) for score in scores),
    )


def _notes(rungs: Sequence[_Rung]) -> list[str]:
    notes = [f"{rung.trial.name} failed: {rung.trial.failure}" for rung in rungs if rung.trial.failure]
    for above, rung in pairwise(rungs):
        if not above.is_sound and rung.is_sound and rung.before:
            missing = "failed" if above.trial.failure else "has no value"
            notes.append(f"{rung.trial.name} is compared with {rung.before.name}, because {above.trial.name} {missing}")
    if any(rung.own and rung.own.interval is None for rung in rungs):
        notes.append("no rung has two runs, so the noise is unknown and no effect has an interval")
    return notes

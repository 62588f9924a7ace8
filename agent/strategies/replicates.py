"""The runs of a strategy that tries every variant of an issue on every seed. Pure."""

from collections.abc import Iterable, Sequence

from agent.core.trials import Candidate, ExploreRun, Trial


def trials_of(candidates: Iterable[Candidate], trials: Sequence[Trial]) -> list[Trial]:
    """Return the trial of each candidate, in the order of the candidates; an empty one where nothing ran yet."""
    by_name = {trial.name: trial for trial in trials}
    return [by_name.get(one.name, Trial(candidate=one)) for one in candidates]


def missing_runs(seeds: Sequence[int], trials: Sequence[Trial]) -> tuple[ExploreRun, ...]:
    """Return the runs without a value: all trials on one seed, then all on the next. What failed gets no more."""
    return tuple(
        ExploreRun(trial.name, seed)
        for seed in seeds
        for trial in trials
        if not trial.failure and seed not in trial.values
    )

"""A mean that does not believe in luck: each drawn to the mean of all, the more so the fewer its runs. Pure."""

import math
from collections.abc import Sequence

from agent.core.frozen import frozen
from agent.core.trials import Trial
from agent.gate.stats import Noise
from agent.strategies.effects import mean_of, sound


@frozen
class Prior:
    """What is believed of a candidate before its runs: normal around `mean`; `noise` is that of its runs."""

    mean: float
    variance: float
    noise: Noise


def prior_of(trials: Sequence[Trial], noise: Noise) -> Prior:
    """Return the prior that a population makes: its weighted mean, and the variance between its true means.

    The variance is the method of moments of the one-way random model with unequal group sizes, at least 0 (Searle,
    Casella and McCulloch, Variance Components, 1992, 3.6; the same as DerSimonian and Laird, 1986):
    (sum n (y - m)^2 - (k - 1) sigma^2) / (N - sum n^2 / N), with m the mean of all N runs.
    """
    groups = [(len(one.values), mean_of(one)) for one in sound(trials)]
    total = sum(n for n, _ in groups)
    if not total:
        return Prior(math.nan, 0.0, noise)
    mean = math.fsum(n * y for n, y in groups) / total
    between = math.fsum(n * (y - mean) ** 2 for n, y in groups) - (len(groups) - 1) * noise.sigma**2
    scale = total - sum(n * n for n, _ in groups) / total
    return Prior(mean, max(0.0, between / scale) if scale else 0.0, noise)


def shrunken(trial: Trial, prior: Prior) -> float:
    """Return a trial's mean shrunk to the prior's, lower is better; infinity where it failed or has no value.

    m + b (y - m) with b = variance / (variance + sigma^2 / n): the posterior mean of the normal model, its parameters
    estimated (parametric empirical Bayes: Efron and Morris 1975; Morris 1983). Noise that is unknown shrinks nothing.
    """
    value = mean_of(trial)
    error = prior.noise.sigma**2 / len(trial.values) if trial.values else 0.0
    if not math.isfinite(value) or not error:
        return value
    return prior.mean + prior.variance / (prior.variance + error) * (value - prior.mean)

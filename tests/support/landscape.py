"""A made objective for strategies that explore: a smooth loss over a small space, with noise, and whoever runs it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random

from agent.core.experiment import Choice, Constant, EvolveOptions, Range, Space
from agent.core.trials import Candidate, ExploreRun, Question, Step, Trial
from agent.strategies import evolve

SPACE: Space = {
    "train.EMB": Choice((4, 8, 16, 24, 32)),
    "train.HEADS": Choice((1, 2, 4)),
    "train.LAYERS": Range(1, 7, 1),
    "train.CTX": Range(8, 24, 4),
    "train.LR": Range(1e-4, 1e-1, log=True),
    "train.STEPS": Choice((300, 500, 750, 1000)),
}
BASE: Mapping[str, Constant] = {
    "train.EMB": 4,
    "train.HEADS": 1,
    "train.LAYERS": 1,
    "train.CTX": 8,
    "train.LR": 0.01,
    "train.STEPS": 300,
}
Objective = Callable[[Mapping[str, Constant], int], float | str]  # a loss, or why it failed


def question(**options: object) -> Question:
    """A question over SPACE; `issue`, `seeds`, `space` and `variants` as named, the rest options of the evolution."""
    own = {name: options.pop(name) for name in ("issue", "seeds", "space", "variants", "base") if name in options}
    return Question(
        **{"issue": 21, "seeds": (42, 43), "base": BASE, "space": SPACE, **own}, evolve=EvolveOptions(**options)
    )


def smooth(sigma: float = 0.01) -> Objective:
    """A loss that is best, 1.5, at EMB 24, HEADS 2, LAYERS 4, CTX 24, LR 0.01, STEPS 1000, and rises smoothly."""

    def loss(sets: Mapping[str, Constant], seed: int) -> float:
        off = (
            0.3 * (math.log2(sets["train.EMB"] / 24)) ** 2
            + 0.2 * (sets["train.HEADS"] - 2) ** 2
            + 0.1 * (sets["train.LAYERS"] - 4) ** 2
            + 0.02 * (24 - sets["train.CTX"])
            + 0.3 * (math.log10(sets["train.LR"] / 0.01)) ** 2
            + 0.0005 * (1000 - sets["train.STEPS"])
        )
        return 1.5 + off + noise(sets, seed, sigma)

    return loss


def noise(sets: Mapping[str, Constant], seed: int, sigma: float) -> float:
    """What a run's seed adds: normal, the same for the same run."""
    return Random(f"{sorted(sets.items())}/{seed}").gauss(0, sigma)


@dataclass
class Lab:
    """Who records candidates and runs them. `broken`: why a candidate is refused before any run; empty: it is not."""

    question: Question
    objective: Objective
    broken: Callable[[Mapping[str, Constant]], str] = lambda _: ""
    trials: dict[str, Trial] = field(default_factory=dict)
    ran: list[ExploreRun] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trials |= {one.name: Trial(candidate=one) for one in self.question.variants}

    def step(self) -> Step:
        """What is to be done next, on record."""
        step = evolve.next_step(self.question, list(self.trials.values()))
        self.steps.append(step)
        return step

    def record(self, candidate: Candidate) -> None:
        assert candidate.name not in self.trials
        self.trials[candidate.name] = Trial(candidate=candidate, failure=self.broken(candidate.sets))

    def run(self, run: ExploreRun) -> None:
        """Run once, unless the candidate is out already."""
        trial = self.trials[run.name]
        if trial.failure:
            return
        assert run.seed not in trial.values
        self.ran.append(run)
        result = self.objective({**BASE, **trial.candidate.sets}, run.seed)
        sets = {**BASE, **trial.candidate.sets}
        size = 12 * sets["train.LAYERS"] * sets["train.EMB"] ** 2 / 1e6 if "train.EMB" in sets else 1.0
        if isinstance(result, str):
            self.trials[run.name] = replace(trial, failure=result)
        else:
            metrics = {"num_params_M": size, "num_steps": sets.get("train.STEPS", 1)}
            self.trials[run.name] = replace(trial, values={**trial.values, run.seed: result}, metrics=metrics)

    def finish(self) -> "Lab":
        """Do all that is to be done, a step at a time."""
        while (step := self.step()) != Step():
            assert len(self.steps) < 200
            for candidate in step.candidates:
                self.record(candidate)
            for run in step.runs:
                self.run(run)
        return self

    def finish_interrupted(self, rng: Random) -> "Lab":
        """As `finish`, but stopped over and over after a few candidates or runs, these in any order."""
        while (step := self.step()) != Step():
            assert len(self.steps) < 5000
            recorded = step.candidates[: rng.randint(0, len(step.candidates))]
            for candidate in recorded:
                self.record(candidate)
            runs = [run for run in step.runs if run.name in self.trials]
            for run in rng.sample(runs, rng.randint(0, min(9, len(runs)))):
                self.run(run)
        return self

    def of(self, origin: str) -> list[Trial]:
        return [one for one in self.trials.values() if one.candidate.origin == origin]

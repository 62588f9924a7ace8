"""What a run takes of its budget, counted where it is taken: backward passes in autograd's engine, tokens drawn.

The script has no say in it. Gradients that are computed by hand, or in a process of their own, are not seen here.
"""

from dataclasses import dataclass
from typing import Any


@dataclass
class Work:
    """passes: backward passes so far. tokens: those that the loader gave. largest: tokens of its largest batch."""

    passes: int = 0
    tokens: int = 0
    largest: int = 0

    def draw(self, tokens: int) -> None:
        """Count a batch of the loader's."""
        self.tokens += tokens
        self.largest = max(self.largest, tokens)

    def steps(self, counted: int, tokens_per_step: int) -> float:
        """Return the optimizer steps that all passes amount to, at least those `counted`.

        A pass is over as many tokens as the loader's largest batch has. Where the loader has given less than the
        counted steps are made of, nobody knows what the passes were over: then each is a step.
        """
        known = self.tokens >= counted * tokens_per_step
        share = min(1.0, self.largest / tokens_per_step) if known and self.largest else 1.0
        return max(float(counted), self.passes * share)


class _Engine:
    """Stands before autograd's engine. A pass inside another (of a checkpointed block) is not one of its own."""

    def __init__(self, engine: Any, work: Work) -> None:
        self.engine, self._work, self._depth = engine, work, 0

    def run_backward(self, *args: Any, **kwargs: Any) -> Any:
        self._work.passes += self._depth == 0
        self._depth += 1
        try:
            return self.engine.run_backward(*args, **kwargs)
        finally:
            self._depth -= 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def count_passes(work: Work) -> None:
    """Count every backward pass of this process from now on: what torch.autograd has to offer ends in its engine."""
    from torch.autograd import Variable

    engine = Variable._execution_engine
    counting: Any = _Engine(getattr(engine, "engine", engine), work)
    Variable._execution_engine = counting

"""The budget: seconds, steps and tokens, counted over every real optimizer step and every backward pass."""

import gc
import math
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from fixed.result import not_finite
from fixed.runtime import Run

if TYPE_CHECKING:
    import torch

LINES = 40  # of progress that a log has at least, where there are as many steps: a curve
PROBE_STEPS = 10  # a probe takes at least so many: from fewer no step time can be told on a busy machine


class BudgetClock:
    """The budget. Counts seconds, steps and tokens from `start` to `finish`: every real optimizer step is inside.

    A budget in steps or tokens is charged by backward passes, as the fixed side counts them (work.py): a script that
    makes two for each step (sharpness-aware minimization does) makes half as many steps, and one that trained before
    `start` as many fewer. `steps` are those that were ticked, `charged` those that the budget has paid for.

    On CUDA the host runs `LAG` steps ahead of what it looks at, so that no step waits for the host; the loss that
    is printed and checked is that of the step which has just been completed.
    """

    LAG = 2
    DIVERGED = 2.0  # times the loss of a model that knows nothing, ln(vocab_size)

    def __init__(self, run: Run, tokens_per_step: int, max_steps: float = math.inf) -> None:
        """Count steps of `tokens_per_step` tokens; after `max_steps` of them the budget is used up, whatever it is."""
        self.settings, self.device = run.settings, run.device
        self.tokens_per_step, self.max_steps = tokens_per_step, max_steps
        self.limit = self.DIVERGED * math.log(run.corpus.vocab_size)
        self.lag = self.LAG if run.device.type == "cuda" else 0
        self.steps = 0
        self.charged = 0.0
        self._work = run.work
        self.step_seconds: list[float] = []
        self.loss: float | None = None  # smoothed, in nats a token
        self.seconds = 0.0
        self._pending: deque[tuple[torch.Tensor, torch.cuda.Event | None]] = deque()
        self._started = self._last = self._printed = self._next_share = 0.0

    def start(self) -> None:
        self.charge()
        self._started = self._last = self._printed = time.perf_counter()

    @property
    def progress(self) -> float:
        """The share of the budget that is used up, in [0, 1]."""
        return min(1.0, max(self._used() / self.settings.amount, self.charged / self.max_steps))

    def done(self) -> bool:
        fewest = PROBE_STEPS if self.settings.probe and self.settings.kind == "seconds" else 1
        return self.steps >= fewest and self.progress >= 1.0

    def _used(self) -> float:
        if self.settings.kind == "seconds":
            return time.perf_counter() - self._started
        return self.charged * (self.tokens_per_step if self.settings.kind == "tokens" else 1)

    def charge(self) -> float:
        """Bring `charged` up to the passes that were made, and return it."""
        self.charged = self._work.steps(self.steps, self.tokens_per_step)
        return self.charged

    def tick(self, loss: "torch.Tensor") -> None:
        """Count one optimizer step with its loss. Raises RunFailure where a loss is not finite or has diverged."""
        self.steps += 1
        self.charge()
        self._pending.append(_to_host(loss))
        while len(self._pending) > self.lag:
            self._settle()
        if self.steps == 1:  # what lives now lives to the end: a collection in the middle of training only stalls it
            gc.collect()
            gc.freeze()
            gc.disable()

    def _settle(self) -> None:
        value, event = self._pending.popleft()
        if event is not None:
            event.synchronize()
        now, loss = time.perf_counter(), float(value)
        if not loss <= self.limit:
            raise not_finite(f"the loss of step {self.steps - len(self._pending)} is {loss:g}: training diverged")
        self.step_seconds.append(now - self._last)
        self._last = now
        self.loss = loss if self.loss is None else self.loss + 0.1 * (loss - self.loss)
        if now - self._printed >= (0.1 if sys.stdout.isatty() else 1.0) or self.progress >= self._next_share:
            self._printed, self._next_share = now, self.progress + 1 / LINES
            self._show()

    def finish(self) -> None:
        """Wait for the last step and stop the clock."""
        while self._pending:
            self._settle()
        self.seconds = time.perf_counter() - self._started
        gc.enable()
        self._show()
        print(flush=True, end="\n" if sys.stdout.isatty() else "")

    def _show(self) -> None:
        elapsed = time.perf_counter() - self._started
        share = self.progress
        eta = elapsed * (1 - share) / share if share else 0.0
        rate = self.steps * self.tokens_per_step / elapsed
        line = f"step {self.steps:05d} | {share:.1%} | loss {self.loss:.4f} | {rate:,.0f} tok/s | eta {eta:.0f}s"
        print(f"\r{line}\x1b[K" if sys.stdout.isatty() else f"{line}\n", end="", flush=True)


def _to_host(loss: "torch.Tensor") -> tuple["torch.Tensor", "torch.cuda.Event | None"]:
    """The loss on its way to the host, and on CUDA the event after which it (and its step) is complete."""
    import torch

    loss = loss.detach()
    if loss.device.type != "cuda":
        return loss, None
    landed = torch.empty((), dtype=torch.float32, pin_memory=True)
    landed.copy_(loss, non_blocking=True)
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record()
    return landed, event

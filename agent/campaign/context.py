"""The parts of a campaign, as run.py picks them."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.protocols import Event, Executor, Tracker
from agent.execution.machine import Machine
from agent.execution.sandbox import Sandbox
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking.outbox import Outbox


class Throttle:
    """Says when it is time again: no sooner than `seconds` after the last time."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, -math.inf

    def ready(self) -> bool:
        """Whether it is time; if so, it is not for a while."""
        time_now = time.monotonic()
        if time_now - self._last < self._seconds:
            return False
        self._last = time_now
        return True


@dataclass(frozen=True)
class CampaignContext:
    """What a campaign is made of. `env` goes to every run; `python` is the interpreter that runs the scripts.

    `throttle` says how often the tracker is asked between runs what people say.
    """

    repo: Repository
    ledger: Ledger
    tracker: Tracker
    executor: Executor
    machine: Machine
    sandbox: Sandbox
    python: str
    env: Mapping[str, str]
    emit: Callable[[Event], None]
    throttle: Throttle = field(default_factory=lambda: Throttle(0.0))
    pull: bool = False  # a promoted winner is proposed for merging
    close: bool = False  # an issue whose verdict waits for nobody is closed

    @property
    def outbox(self) -> Outbox:
        """The way to the tracker."""
        return Outbox(self.repo, self.ledger, self.tracker, self.emit)

    @property
    def logs(self) -> Path:
        return self.repo.root / "logs"

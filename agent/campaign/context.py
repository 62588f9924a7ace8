"""What a campaign works with, as app/wiring.py picks it."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from pathlib import Path

from agent.core.frozen import frozen
from agent.core.protocols import Event, Executor, Tracker
from agent.execution.machine import Machine
from agent.execution.sandbox import Sandbox
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking.outbox import Outbox


class Throttle:
    """Says when to poll: no sooner than `seconds` after the last time, and only where something may have changed."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last, self._revision = seconds, -math.inf, ""

    def ready(self, revision: str = "") -> bool:
        """Return whether to poll now; `revision` tells what there is now from what there was, empty if unknown."""
        time_now = time.monotonic()
        if time_now - self._last < self._seconds or (revision and revision == self._revision):
            return False
        self._last = time_now
        return True

    def done(self, revision: str) -> None:
        """Note that what there was at `revision` has been read."""
        self._revision = revision


@frozen
class CampaignContext:
    """What a campaign works with. `env` goes to every run; `python` is the interpreter that runs the scripts.

    `throttle` says when the tracker is polled between runs for what people write.
    """

    repo: Repository
    ledger: Ledger
    tracker: Tracker
    make_executor: Callable[[], Executor]
    machine: Machine
    sandbox: Sandbox
    python: str
    env: Mapping[str, str]
    emit: Callable[[Event], None]
    throttle: Throttle = field(default_factory=lambda: Throttle(0.0))
    pull: bool = False  # a promoted winner is proposed for merging
    close: bool = False  # an issue whose verdict waits for nobody is closed

    @cached_property
    def executor(self) -> Executor:
        """What runs jobs, made for the first of them: it has locks, threads and warm workers."""
        return self.make_executor()

    @property
    def outbox(self) -> Outbox:
        """The way to the tracker."""
        return Outbox(self.repo, self.ledger, self.tracker, self.emit)

    @property
    def logs(self) -> Path:
        """The folder of the runs' logs."""
        return self.repo.root / "logs"

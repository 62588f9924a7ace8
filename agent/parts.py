"""The parts of a campaign, as run.py picks them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.core import Event, Executor, Tracker
from agent.ledger import Ledger
from agent.machine import Machine
from agent.repo import Repository
from agent.sandbox import Sandbox


@dataclass(frozen=True)
class Parts:
    """What a campaign is made of. `env` goes to every run; `python` is the interpreter that runs the scripts."""

    repo: Repository
    ledger: Ledger
    tracker: Tracker
    executor: Executor
    machine: Machine
    walls: Sandbox
    python: str
    env: Mapping[str, str]
    tell: Callable[[Event], None]
    pull: bool = False  # a promoted winner is proposed for merging
    close: bool = False  # an issue whose verdict waits for nobody is closed

    @property
    def logs(self) -> Path:
        return self.repo.root / "logs"


def now() -> str:
    """The time, for a record."""
    return datetime.now(UTC).isoformat(timespec="microseconds")

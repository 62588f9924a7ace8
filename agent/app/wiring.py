"""Picks the parts of a campaign by what was asked for: tracker, executor, editor, ledger, environment."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from agent.campaign.context import CampaignContext, Throttle
from agent.campaign.plan import CampaignRequest, Plan, make_plan
from agent.core.errors import BadInput
from agent.core.protocols import Editor, Event, Executor, Notice, RunOutput, Tracker
from agent.core.records import SpendRecord
from agent.editors.command import Command
from agent.editors.spending import Spending
from agent.execution import machine, sandbox
from agent.execution.local import LocalExecutor
from agent.execution.locks import exclusive
from agent.execution.machine import Machine
from agent.execution.sandbox import Sandbox
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking import address
from agent.tracking.local import MarkdownTracker
from agent.tracking.outbox import Outbox
from agent.tracking.terminal import PlainView, View

Emit = Callable[[Event], None]


def tracker(args: argparse.Namespace, repo: Repository) -> Tracker:
    """Where issues are. Raises BadInput for what only GitHub has where they are elsewhere."""
    told = address.automatic(repo.addresses("origin"), os.environ) if args.tracker == "auto" else None
    if told:
        print(told, file=sys.stderr)
    chosen = ("github" if told else "markdown") if args.tracker == "auto" else args.tracker
    found = _github(repo.root) if chosen == "github" else MarkdownTracker(repo.root)
    if (args.pr or args.close) and found.upstream is None:
        raise BadInput("--pr and --close are for issues on GitHub", next_step="add --tracker github, or leave them out")
    return found


def _github(root: Path) -> Tracker:
    from agent.tracking.github import connect  # PyGithub takes long to import, and most commands do without

    return connect(root)


def editor(args: argparse.Namespace, parts: CampaignContext, since: str) -> Editor:
    """Whoever writes the changes of an issue; money spent from `since` on counts. Raises BadInput for a missing key."""
    if args.editor != "anthropic":
        return Command(args.editor)
    from agent.editors import models  # with the SDK it takes a third of a second, and few commands need it
    from agent.editors.anthropic import Claude

    settings = models.read(os.environ, args.model, args.max_usd)
    before = [one for one in parts.ledger.records_of(SpendRecord, args.issue) if one.at >= since]
    again = shlex.join(["python", "agent/run.py", *sys.argv[1:]])
    return Claude(settings, Spending(args.issue, settings, before, parts.ledger.append), again=again)


def view(stream: IO[str]) -> View:
    """Return the live view where `stream` is a terminal, else plain lines."""
    if not stream.isatty():
        return PlainView(stream)
    from agent.tracking.live import LiveView  # rich is a tenth of a command's start, and a pipe has no use for it

    return LiveView(stream)


def say(event: Event) -> None:
    """Emit a notice where no campaign shows it."""
    if isinstance(event, Notice):
        print(event.text, file=sys.stderr)


@dataclass(frozen=True)
class Workspace:
    """What is chosen before the issue is read."""

    repo: Repository
    tracker: Tracker
    here: Machine
    executor: str
    walls: Sandbox = sandbox.NO_SANDBOX  # what runs get; found out where something is to run
    pull: bool = False
    close: bool = False

    def ledger(self) -> Ledger:
        """The ledger as it is now."""
        path = self.repo.root / "experiments" / "ledger.jsonl"
        return Ledger(path, self.state / "ledger.lock")

    def ready(self, asked: CampaignRequest, emit: Emit, ledger: Ledger | None = None) -> tuple[Plan, CampaignContext]:
        """Make the plan and pick the parts. `emit` gets the events."""
        ledger = self.ledger() if ledger is None else ledger
        plan = make_plan(asked, self.repo, ledger, self.tracker, self.here)
        return plan, self.parts(ledger, plan, emit)

    def parts(self, ledger: Ledger, plan: Plan, emit: Emit) -> CampaignContext:
        """The parts for a plan that is made."""
        return CampaignContext(
            self.repo,
            ledger,
            self.tracker,
            self._executor(plan, emit),
            self.here,
            self.walls,
            sys.executable,
            _run_env(),
            emit,
            Throttle(self.tracker.upstream.poll_s if self.tracker.upstream else 0.0),
            self.pull,
            self.close,
        )

    def outbox(self) -> Outbox:
        """The way to the tracker where there is no campaign."""
        return Outbox(self.repo, self.ledger(), self.tracker, say)

    @property
    def state(self) -> Path:
        """The folder of what the harness keeps for itself."""
        return self.repo.git_dir / "autoresearch"

    def alone(self, what: str) -> AbstractContextManager[None]:
        """The repository to ourselves. Raises InUse at once where another harness has it."""
        return exclusive(self.state / "repository.lock", what)

    def _executor(self, plan: Plan, emit: Emit) -> Executor:
        return LocalExecutor(
            self.here.gpus if plan.profile == "full" else (),
            machine.locks(),
            self.repo.export,
            on_line=lambda job, line: emit(RunOutput(job, line)),
            on_wait=lambda holder: emit(Notice(f"waiting: the device is in use by {holder}")),
            sandbox=self.walls,
        )


def _run_env() -> dict[str, str]:
    """What every run is told of this machine."""
    data = machine.folder("AUTORESEARCH_DATA")
    shared = {"AUTORESEARCH_DATA": str(data)} if data else {}
    return {"AUTORESEARCH_CACHE": str(machine.cache()), **shared}

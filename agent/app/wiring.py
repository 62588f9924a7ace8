"""Picks what a command works with: tracker, executor, editor, ledger, environment."""

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from agent.campaign import explore
from agent.campaign.context import CampaignContext, Throttle
from agent.campaign.plan import CampaignRequest, Plan, make_plan
from agent.campaign.question import find_complete
from agent.campaign.reading import Readers, reading_folder
from agent.core.errors import BadInput
from agent.core.frozen import frozen
from agent.core.protocols import Editor, Event, Executor, Notice, Reader, RunOutput, Tracker
from agent.core.records import SpendRecord
from agent.execution import machine as machine_module
from agent.execution.locks import exclusive
from agent.execution.machine import Machine
from agent.execution.sandbox import NO_SANDBOX, Sandbox
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.tracking import address
from agent.tracking.local import MarkdownTracker
from agent.tracking.outbox import Outbox
from agent.tracking.terminal import PlainView, View

if TYPE_CHECKING:
    from agent.editors.anthropic import Claude
    from agent.editors.models import Settings

Emit = Callable[[Event], None]


def choose_tracker(args: argparse.Namespace, repo: Repository) -> Tracker:
    """Return where issues are. Raises BadInput for what only GitHub has where they are elsewhere."""
    look = args.tracker == "auto" and address.token(os.environ)  # without one, git need not be started to know
    reason = address.automatic(repo.addresses("origin"), os.environ) if look else None
    if reason:
        print(reason, file=sys.stderr)
    tracker = _github(repo.root) if reason or args.tracker == "github" else _local(repo.root)
    if (args.pr or args.close) and tracker.upstream is None:
        raise BadInput("--pr and --close are for issues on GitHub", next_step="add --tracker github, or leave them out")
    return tracker


def _local(root: Path) -> Tracker:
    return MarkdownTracker(root)


def _github(root: Path) -> Tracker:
    from agent.tracking.github import connect  # PyGithub takes long to import, and most commands do without

    return connect(root)


def make_editor(args: argparse.Namespace, issue: int, ctx: CampaignContext, since: str) -> Editor:
    """Return who writes the changes of an issue; money spent from `since` on counts. Raises BadInput without a key."""
    if args.editor != "anthropic":
        from agent.editors.command import Command

        return Command(args.editor)
    return _claude(_models(args), issue, ctx.ledger, since)


def choose_readers(args: argparse.Namespace) -> Callable[["Workspace"], Readers]:
    """Return who reads an issue that strict reading refuses: by `auto`, Claude where a key is set."""
    if args.reader == "strict" or (args.reader == "auto" and not os.environ.get("ANTHROPIC_API_KEY", "").strip()):
        return lambda _: None
    return lambda workspace: partial(_reader, args, workspace)


def _reader(args: argparse.Namespace, workspace: "Workspace", issue: int) -> Reader:
    """Return the reader of an issue. Raises BadInput without a key."""
    if not os.environ.get("ANTHROPIC_API_KEY", "").strip():
        advice = "export ANTHROPIC_API_KEY=..., or take --reader strict, which says what to mend in the issue"
        raise BadInput("--reader claude: ANTHROPIC_API_KEY is not set", next_step=advice)
    from agent.editors.anthropic import ClaudeReader

    settings = _models(args)
    folder = reading_folder(workspace.repo.root / "logs", issue)
    return ClaudeReader(_claude(settings, issue, workspace.ledger, ""), settings.model, folder)


def _models(args: argparse.Namespace) -> "Settings":
    from agent.editors import models

    return models.read(os.environ, args.model, args.max_usd)


def _claude(settings: "Settings", issue: int, ledger: Ledger, since: str) -> "Claude":
    """Return Claude for an issue; the money spent on it from `since` on counts."""
    from agent.editors.anthropic import Claude  # with the SDK it takes a third of a second, and few commands need it
    from agent.editors.spending import Spending

    before = [one for one in ledger.records_of(SpendRecord, issue) if one.at >= since]
    resume_command = shlex.join(["python", "agent/run.py", *sys.argv[1:]])
    return Claude(settings, Spending(issue, settings, before, ledger.append), resume_command=resume_command)


def make_view(stream: IO[str]) -> View:
    """Return the live view where `stream` is a terminal, else plain lines."""
    if not stream.isatty():
        return PlainView(stream)
    from agent.tracking.live import LiveView  # rich is a tenth of a command's start, and a pipe has no use for it

    return LiveView(stream)


def print_notice(event: Event) -> None:
    """Print a notice where no view shows it."""
    if isinstance(event, Notice):
        print(event.text, file=sys.stderr)


@frozen
class Workspace:
    """The repository that a command works in, with its tracker, its machine and its ledger."""

    repo: Repository
    tracker: Tracker
    machine: Machine
    readers: Callable[["Workspace"], Readers] = lambda _: None  # who reads what strict reading refuses

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger as it is when it is first needed: under the lock, where there is one."""
        return Ledger(self.repo.root / "experiments" / "ledger.jsonl", self.state / "ledger.lock")

    @property
    def state(self) -> Path:
        """The folder of what the harness keeps for itself."""
        return self.repo.git_dir / "autoresearch"

    def reopened(self) -> Self:
        """Return the same with the ledger as it is now: another harness may have written to it."""
        return replace(self)

    def lock(self, purpose: str) -> AbstractContextManager[None]:
        """Hold the repository while a block runs. Raises InUse at once where another harness holds it."""
        return exclusive(self.state / "repository.lock", purpose)

    def plan(self, request: CampaignRequest) -> Plan:
        """Return the plan that answers a request. Raises BadInput for whatever would stop its campaign."""
        plan = make_plan(request, self.repo, self.ledger, self.tracker, self.machine, self.readers(self))
        if plan.explores and not request.answered:
            explore.check(plan)
        return plan

    def context(self, plan: Plan, emit: Emit = print_notice, sandbox: Sandbox = NO_SANDBOX) -> CampaignContext:
        """Return what a plan's campaign works with; `emit` hears its events."""
        return CampaignContext(
            repo=self.repo,
            ledger=self.ledger,
            tracker=self.tracker,
            make_executor=lambda: self._executor(plan, emit, sandbox),
            machine=self.machine,
            sandbox=sandbox,
            python=sys.executable,
            env=_run_env(),
            emit=emit,
            throttle=Throttle(self.tracker.upstream.poll_s if self.tracker.upstream else 0.0),
        )

    def outbox(self) -> Outbox:
        """Return the way to the tracker where there is no campaign."""
        return Outbox(self.repo, self.ledger, self.tracker, print_notice)

    def is_answered(self, request: CampaignRequest) -> bool:
        """Return whether a request has its answer, with the promotion that follows. Raises BadInput as `plan` does."""
        plan = self.plan(request)
        return find_complete(self.context(plan), plan) is not None

    def has_verdict(self, issue: int) -> bool:
        """Return whether any campaign of an issue has its verdict."""
        return any(self.ledger.verdict(campaign) for campaign in self.ledger.campaigns(issue))

    def _executor(self, plan: Plan, emit: Emit, sandbox: Sandbox) -> Executor:
        from agent.execution.local import LocalExecutor

        return LocalExecutor(
            self.machine.gpus if plan.profile == "full" else (),
            machine_module.locks(),
            self.repo.export,
            on_line=lambda job, line: emit(RunOutput(job, line)),
            on_wait=lambda holder: emit(Notice(f"waiting: the device is in use by {holder}")),
            sandbox=sandbox,
            at_once=_at_once(plan, self.machine),
        )


def _at_once(plan: Plan, machine: Machine) -> int:
    """Return how many runs share the processor: more than one only where no clock measures them and each says its part.

    A run that is timed has the machine to itself.
    """
    threads = plan.track.threads
    return max(1, machine.cores // threads) if threads and plan.clock == "steps" else 1


def _run_env() -> dict[str, str]:
    """Return what every run gets to know of this machine."""
    data = machine_module.folder("AUTORESEARCH_DATA")
    shared = {"AUTORESEARCH_DATA": str(data)} if data else {}
    return {"AUTORESEARCH_CACHE": str(machine_module.cache()), **shared}

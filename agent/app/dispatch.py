"""What carries out each command, and what it prints. Whatever only some commands need is imported by those."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TextIO

from agent.app import options
from agent.app.request import last_request, make_request
from agent.app.wiring import Workspace, choose_readers, choose_tracker, make_editor, make_view
from agent.campaign import shapes, steer
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.explore import check_shapes, open_view
from agent.campaign.further import further_plan, why_not_further
from agent.campaign.plan import Plan, all_commands
from agent.campaign.publish import latest_board, make_board, publish, report
from agent.campaign.question import find_complete
from agent.core.errors import BadInput, HarnessError, InUse
from agent.core.sanitize import strip_control
from agent.execution.machine import Machine, cache, detect
from agent.execution.sandbox import NO_SANDBOX, probe
from agent.store.repository import Repository, writable
from agent.tracking.board import Board
from agent.tracking.exports import status_json
from agent.tracking.terminal import board_text


def dispatch(args: argparse.Namespace) -> int:
    """Carry out a command and return its exit status. Raises HarnessError for what is in its way."""
    options.validate(args)
    if args.schema:
        return _schema()
    if args.simulate:
        return _simulate(args)
    machine = detect()
    if args.doctor:
        return _doctor(machine)
    with Repository(Path.cwd()) as repo:
        workspace = Workspace(repo, choose_tracker(args, repo), machine, choose_readers(args))
        return _work(args, workspace)


def _work(args: argparse.Namespace, workspace: Workspace) -> int:
    """Carry out a command that needs a repository."""
    if args.verify:
        return _verify(workspace)
    if args.capacity:
        return _show_capacity(args, workspace)
    if args.queue and not (args.status or args.report):
        return _queue(args, workspace)
    if args.issue is None:
        options.parser().error("which issue? --issue N (local issues are in experiments/issues/)")
    if args.status or args.report:
        return _show_latest(args, workspace)
    return _show_plan(args, workspace) if args.plan else _answer(args, workspace, args.issue)


def _answer(args: argparse.Namespace, workspace: Workspace, issue: int) -> int:
    """Answer an issue's question: lock, plan once, then show the answer that is there or run what brings it about.

    A repository that cannot be locked hides no answer: it is shown, and the reason then raised.
    """
    with ExitStack() as held:
        blocked = _lock(held, workspace, issue)
        plan = workspace.plan(make_request(args, workspace.machine, issue))
        ctx = replace(workspace.context(plan), pull=args.pr, close=args.close)
        complete = find_complete(ctx, plan)
        view = None if complete is None else open_view(plan, complete, workspace.ledger)
        if view is not None and not args.loop:
            further = further_plan(ctx, view, args.more) if blocked is None else None
            if further is None:
                return _show_again(args, ctx, view, blocked)
            plan = further
        elif args.more is not None and not plan.rules.more:
            raise BadInput(
                "under these settings there is no verdict yet that --more could settle",
                next_step="give the budget, gate, profile and corpus that the issue ran with; --status names them",
            )
        if blocked is not None:
            raise blocked
        if plan.profile == "full" and not workspace.machine.gpus:
            raise BadInput(
                "profile full needs a CUDA device, and there is none", next_step="rehearse with --profile mini"
            )
        return _run(args, workspace, plan)


def _lock(held: ExitStack, workspace: Workspace, issue: int) -> HarnessError | None:
    """Hold the repository and post what earlier campaigns left undelivered; return what keeps that from being done."""
    try:
        writable(workspace.state)
        held.enter_context(workspace.lock(f"issue {issue}"))
    except HarnessError as error:
        return error
    held.enter_context(_signals())
    workspace.outbox().redeliver()
    return None


def _show_again(
    args: argparse.Namespace, ctx: CampaignContext, view: CampaignView, blocked: HarnessError | None
) -> int:
    """Print the answer first: neither a disk that cannot take the exports once more nor another harness may hide it.

    Then write what a crash may have left to write, and answer the people who came too late.
    """
    board = make_board(ctx, view)
    _show_board(board, args)
    if isinstance(blocked, InUse):
        print(f"not published again: {blocked.problem}, which does that itself", file=sys.stderr)
    elif blocked is not None:
        raise blocked
    else:
        steer.answer_late_commands(ctx, view.plan, undecided=not why_not_further(view))
        publish(ctx, view, replace(board, steering=tuple(all_commands(ctx.ledger, view.plan.spec))))
    return 0


def _run(args: argparse.Namespace, workspace: Workspace, plan: Plan) -> int:
    from agent.app import research  # with the engine, the audit and the executors: a third of a command's start
    from agent.app.session import Limits

    writable(workspace.repo.root / "experiments")
    writable(cache(), "set AUTORESEARCH_CACHE to a folder that can be written to")
    with make_view(_events(args)) as screen:
        command = research.RunOptions(
            request=plan.request,
            workspace=workspace,
            editor=partial(make_editor, args, plan.request.issue),
            emit=screen.show,
            sandbox=NO_SANDBOX if args.no_sandbox else probe(),
            no_sandbox=args.no_sandbox,
            pull=args.pr,
            close=args.close,
        )
        if args.loop:
            summary = research.run_session(command, plan, Limits(args.hours, args.max_usd))
        else:
            board = research.run_issue(command, plan)
    return _show_session(summary, args) if args.loop else _show_board(board, args)


def _queue(args: argparse.Namespace, workspace: Workspace) -> int:
    """Work off the open experiments, each as --issue would, or show in which order."""
    from agent.app import queue

    runner = queue.QueueRunner(
        workspace.tracker,
        partial(_is_answered, args, workspace),
        lambda issue: workspace.reopened().has_verdict(issue),
        partial(_answer_queued, args, workspace),
        lambda text: print(strip_control(text), file=sys.stderr, flush=True),
    )
    if not args.plan:
        return runner.work()
    backlog = runner.preview(lambda issue: workspace.plan(make_request(args, workspace.machine, issue)))
    if args.json:
        _print(queue.queue_json(backlog))
    else:
        print(strip_control(queue.queue_text(backlog)))
    return BadInput.exit_code if BadInput.exit_code in (one.status for one in backlog.left_out.values()) else 0


def _is_answered(args: argparse.Namespace, workspace: Workspace, issue: int) -> bool:
    return workspace.reopened().is_answered(make_request(args, workspace.machine, issue))


def _answer_queued(args: argparse.Namespace, workspace: Workspace, issue: int) -> None:
    print(f"issue {issue}", file=_events(args), flush=True)
    _answer(args, workspace.reopened(), issue)


def _events(args: argparse.Namespace) -> TextIO:
    return sys.stderr if args.json else sys.stdout


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM stops a campaign as Ctrl-C does; a second signal of either kind ends the program at once."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (the handler's signature)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: os._exit(130))
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- answers ----------------------------------------------------------------------------------------------


def _print(value: object) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _show_latest(args: argparse.Namespace, workspace: Workspace) -> int:
    plan = workspace.plan(last_request(args.issue, workspace.ledger))
    return _show_board(latest_board(workspace.context(plan), plan), args)


def _show_plan(args: argparse.Namespace, workspace: Workspace) -> int:
    from agent.app import preview
    from agent.campaign import propose

    plan = workspace.plan(make_request(args, workspace.machine, args.issue))
    if shapes.can_ask(plan):
        check_shapes(workspace.context(plan, sandbox=probe()), plan)
    ctx = workspace.context(plan)
    brief = propose.make_brief(ctx, plan, steer.guidance(ctx, plan)) if plan.spec.proposals else None
    if args.json:
        _print(preview.plan_json(plan, brief))
    else:
        print(preview.plan_text(plan, brief))
    return 0


def _show_capacity(args: argparse.Namespace, workspace: Workspace) -> int:
    from agent.app import capacity

    report = capacity.make_report(args, workspace)
    if args.json:
        _print(capacity.report_json(report))
    else:
        print(capacity.report_text(report, pretty=capacity.is_pretty()))
    return 0


def _show_board(board: Board, args: argparse.Namespace) -> int:
    if args.json:
        _print(status_json(board))
    elif args.report:
        print(report(board), end="")
    else:
        print(board_text(board))
    return 0


def _show_session(summary: dict[str, object], args: argparse.Namespace) -> int:
    if args.json:
        _print(summary)
    else:
        print("\n".join(f"{name}: {value}" for name, value in summary.items()))
    return 0


def _schema() -> int:
    from agent.spec.schema import json_schema

    _print(json_schema())
    return 0


def _simulate(args: argparse.Namespace) -> int:
    from agent.app import simulation

    rates, text = simulation.run(args)
    if args.json:
        _print(rates)
    else:
        print(text)
    return 0


def _doctor(machine: Machine) -> int:
    from agent.app import doctor

    findings = doctor.examine(machine, cache(), sys.executable)
    for one in findings:
        advice = "" if one.ok else f" -> {one.advice}"
        print(f"{'ok  ' if one.ok else 'LOOK'} {one.name}: {one.detail}{advice}")
    return 0 if all(one.ok for one in findings) else 1


def _verify(workspace: Workspace) -> int:
    from agent.app import doctor

    problems = doctor.verify(workspace.repo, workspace.ledger)
    print("\n".join(problems) if problems else "ledger and git agree")
    return 1 if problems else 0

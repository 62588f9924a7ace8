"""The command line: reads arguments, picks what carries them out, prints what comes back. It holds no other logic."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TextIO

from agent.app import options, preview, research
from agent.app.research import RunOptions
from agent.app.session import Limits
from agent.app.wiring import Workspace, choose_tracker, make_editor, make_view
from agent.campaign import engine, propose, steer
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import CampaignRequest, Plan, all_commands
from agent.campaign.publish import latest_board, make_board, publish, report
from agent.core.errors import BadInput, HarnessError, InUse
from agent.core.experiment import GateRules
from agent.core.sanitize import strip_control
from agent.execution.machine import Machine, cache, detect
from agent.execution.sandbox import NO_SANDBOX, probe
from agent.store.repository import Repository, writable
from agent.tracking.board import Board
from agent.tracking.exports import status_json
from agent.tracking.terminal import board_text


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    args = options.parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet must not end a campaign
            stream.reconfigure(errors="replace")
    try:
        return _dispatch(args)
    except HarnessError as error:
        print(f"error: {strip_control(str(error))}", file=sys.stderr)  # it may quote an issue, a file or a run
        return error.exit_code
    except BrokenPipeError:  # whoever read our output has left; what there was to do is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full or read-only disk, met anywhere: what was recorded before it is intact
        print(f"error: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
        return HarnessError.exit_code
    except KeyboardInterrupt:
        print("interrupted: the run was stopped, what had finished is kept; the same command goes on", file=sys.stderr)
        return 130


def _dispatch(args: argparse.Namespace) -> int:
    options.validate(args)
    if args.simulate:
        return _simulate(args)
    machine = detect()
    if args.doctor:
        return _doctor(machine)
    with Repository(Path.cwd()) as repo:
        workspace = Workspace(repo, choose_tracker(args, repo), machine)
        if args.verify:
            return _verify(workspace)
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
        plan = workspace.plan(options.request(args, workspace.machine, issue))
        command = _options(args, workspace, plan.request)
        complete = engine.find_complete(command.context(plan), plan)
        if complete is not None and not args.loop:
            return _show_again(args, command, CampaignView(plan, complete, workspace.ledger), blocked)
        if blocked is not None:
            raise blocked
        if plan.profile == "full" and not workspace.machine.gpus:
            raise BadInput(
                "profile full needs a CUDA device, and there is none", next_step="rehearse with --profile mini"
            )
        return _run(args, command, plan)


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


def _options(args: argparse.Namespace, workspace: Workspace, request: CampaignRequest) -> RunOptions:
    return RunOptions(
        request=request,
        workspace=workspace,
        editor=partial(make_editor, args, request.issue),
        no_sandbox=args.no_sandbox,
        pull=args.pr,
        close=args.close,
    )


def _show_again(args: argparse.Namespace, command: RunOptions, view: CampaignView, blocked: HarnessError | None) -> int:
    """Print the answer first: neither a disk that cannot take the exports once more nor another harness may hide it.

    Then write what a crash may have left to write, and answer the people who came too late.
    """
    ctx = command.context(view.plan)
    board = make_board(ctx, view)
    _show_board(board, args)
    if isinstance(blocked, InUse):
        print(f"not published again: {blocked.problem}, which does that itself", file=sys.stderr)
    elif blocked is not None:
        raise blocked
    else:
        steer.answer_late_commands(ctx, view.plan)
        publish(ctx, replace(board, steering=tuple(all_commands(ctx.ledger, view.plan.spec))))
    return 0


def _run(args: argparse.Namespace, command: RunOptions, plan: Plan) -> int:
    writable(command.workspace.repo.root / "experiments")
    writable(cache(), "set AUTORESEARCH_CACHE to a folder that can be written to")
    sandbox = NO_SANDBOX if args.no_sandbox else probe()
    with make_view(_events(args)) as screen:
        command = replace(command, sandbox=sandbox, emit=screen.show)
        if args.loop:
            summary = research.run_session(command, plan, Limits(args.hours, args.max_usd))
        else:
            board = research.run_issue(command, plan)
    return _show_session(summary, args) if args.loop else _show_board(board, args)


def _queue(args: argparse.Namespace, workspace: Workspace) -> int:
    """Work off the open experiments, each as --issue would, or show in which order."""
    from agent.app import queue  # as doctor and simulate below: a command of its own, and no other needs it

    runner = queue.QueueRunner(
        workspace.tracker,
        partial(_is_answered, args, workspace),
        lambda issue: workspace.reopened().has_verdict(issue),
        partial(_answer_queued, args, workspace),
        lambda text: print(strip_control(text), file=sys.stderr, flush=True),
    )
    if not args.plan:
        return runner.work()
    backlog = runner.preview(lambda issue: workspace.plan(options.request(args, workspace.machine, issue)))
    if args.json:
        _print(queue.queue_json(backlog))
    else:
        print(strip_control(queue.queue_text(backlog)))
    return BadInput.exit_code if BadInput.exit_code in (one.status for one in backlog.left_out.values()) else 0


def _is_answered(args: argparse.Namespace, workspace: Workspace, issue: int) -> bool:
    return workspace.reopened().is_answered(options.request(args, workspace.machine, issue))


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
    plan = workspace.plan(options.last_request(args.issue, workspace.ledger))
    return _show_board(latest_board(workspace.context(plan), plan), args)


def _show_plan(args: argparse.Namespace, workspace: Workspace) -> int:
    plan = workspace.plan(options.request(args, workspace.machine, args.issue))
    ctx = workspace.context(plan)
    brief = propose.make_brief(ctx, plan, steer.guidance(ctx, plan)) if plan.spec.proposals else None
    if args.json:
        _print(preview.plan_json(plan, brief))
    else:
        print(preview.plan_text(plan, brief))
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


def _simulate(args: argparse.Namespace) -> int:
    if args.variants < 1 or args.campaigns < 1 or not math.isfinite(args.gain):
        raise BadInput("nothing to simulate", next_step="--variants and --campaigns from 1, --gain a number of sigmas")
    from agent.gate import simulate

    rules = GateRules(kind=args.gate or "confirmed")
    rates = asdict(simulate.simulate(rules, args.variants, args.gain, args.campaigns))
    if args.json:
        _print(rates)
    else:
        print("\n".join(f"{name}: {'–' if value is None else f'{value:.4f}'}" for name, value in rates.items()))
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

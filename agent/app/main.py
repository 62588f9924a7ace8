"""The command line: reads arguments, has the parts picked, prints what comes back. It holds no logic of its own."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TextIO, cast

from agent.app import doctor, options, preview, queue, research
from agent.app.queue import QueueRunner
from agent.app.research import RunOptions
from agent.app.session import Limits
from agent.app.wiring import Workspace, editor, say, tracker, view
from agent.campaign import engine, propose, steer
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.plan import CampaignRequest, Plan
from agent.campaign.publish import comment, latest_board, make_board, pending_promotion, publish
from agent.core.errors import BadInput, HarnessError, InUse
from agent.core.experiment import GateKind, GateRules, Profile
from agent.core.sanitize import strip_control
from agent.execution import machine, sandbox
from agent.execution.machine import Machine
from agent.gate import simulate
from agent.store.repository import Repository, writable
from agent.tracking.comment import Board, board_text, status_json


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
    args = options.validate(args)
    if args.simulate:
        return _simulate(args)
    here = machine.detect()
    if args.doctor:
        return _doctor(here)
    with Repository(Path.cwd()) as repo:
        wiring = Workspace(repo, tracker(args, repo), here, args.executor, pull=args.pr, close=args.close)
        if args.verify:
            return _verify(wiring)
        if args.queue and not (args.status or args.report):
            return _queue(args, wiring)
        if args.issue is None:
            options.parser().error("which issue? --issue N (local issues are in experiments/issues/)")
        if args.status or args.report:
            asked = options.last_request(args.issue, wiring.ledger())
            plan, parts = wiring.ready(asked, lambda _: None)
            return _show_board(latest_board(parts, plan), args)
        return _plan_or_run(args, wiring)


def _plan_or_run(args: argparse.Namespace, wiring: Workspace) -> int:
    """Answer from the ledger where the answer is there; else run, with the repository to ourselves."""
    asked = options.request(args, wiring.here)
    if not args.plan:
        _settle(args, wiring)
    plan, silent = wiring.ready(asked, lambda _: None)
    if args.plan:
        return _show_plan(plan, silent, args)
    done = engine.find_answered(silent, plan)
    if done is not None and not pending_promotion(silent.ledger, done) and not args.loop:
        return _show_again(args, CampaignView(plan, done, silent.ledger), wiring)
    if plan.profile == "full" and not wiring.here.gpus:
        raise BadInput("profile full needs a CUDA device, and there is none", next_step="rehearse with --profile mini")
    return _run(args, asked, wiring)


def _show_again(args: argparse.Namespace, evidence: CampaignView, wiring: Workspace) -> int:
    """Print the answer first: neither a disk that cannot take the exports once more nor another harness may hide it."""
    parts = wiring.parts(evidence.ledger, evidence.plan, say)
    _show_board(make_board(parts, evidence), args)
    try:
        with _signals(), wiring.alone(f"issue {args.issue}"):
            _publish_again(evidence, wiring)
    except InUse as busy:
        print(f"not published again: {busy.problem}, which does that itself", file=sys.stderr)
    return 0


def _publish_again(evidence: CampaignView, wiring: Workspace) -> None:
    """Write what a crash may have left to write, from the ledger as it is now that the repository is ours alone.

    People who came too late are told so.
    """
    ledger = wiring.ledger()
    parts = wiring.parts(ledger, evidence.plan, say)
    steer.answer_late_commands(parts, evidence.plan)
    publish(parts, make_board(parts, replace(evidence, ledger=ledger)))


def _run(args: argparse.Namespace, asked: CampaignRequest, wiring: Workspace) -> int:
    wiring = replace(wiring, walls=sandbox.NO_SANDBOX if args.no_sandbox else sandbox.probe())
    writable(wiring.repo.root / "experiments")
    writable(wiring.state)
    writable(machine.cache(), "set AUTORESEARCH_CACHE to a folder that can be written to")
    with wiring.alone(f"issue {args.issue}"), view(_events(args)) as screen, _signals():
        order = RunOptions(asked, wiring, partial(editor, args), args.no_sandbox, screen.show)
        if args.loop:
            told = research.run_session(order, Limits(args.hours, args.max_usd))
        else:
            board = research.run_issue(order)
    return _show_session(told, args) if args.loop else _show_board(board, args)


def _queue(args: argparse.Namespace, wiring: Workspace) -> int:
    """Work off the open experiments, each as --issue would, or show in which order."""

    def alone(number: int) -> argparse.Namespace:
        return argparse.Namespace(**{**vars(args), "issue": number})

    def decided(number: int) -> bool:
        plan, silent = wiring.ready(options.request(alone(number), wiring.here), lambda _: None)
        done = engine.find_answered(silent, plan)
        return done is not None and not pending_promotion(silent.ledger, done)

    def settled(number: int) -> bool:
        ledger = wiring.ledger()
        return any(ledger.verdict(campaign) for campaign in ledger.campaigns(number))

    def run(number: int) -> None:
        print(f"issue {number}", file=_events(args), flush=True)
        _plan_or_run(alone(number), wiring)

    todo = QueueRunner(
        wiring.tracker, decided, settled, run, lambda told: print(strip_control(told), file=sys.stderr, flush=True)
    )
    if not args.plan:
        return todo.work()
    found = todo.backlog()
    if args.json:
        _print(queue.queue_json(found))
    else:
        print(strip_control(queue.queue_text(found)))
    return 0


def _settle(args: argparse.Namespace, wiring: Workspace) -> None:
    """Deliver what the tracker has not received yet, of whatever issue; with the repository to ourselves."""
    if not wiring.outbox().undelivered():
        return
    try:
        with wiring.alone(f"issue {args.issue}"), _signals():
            wiring.outbox().redeliver()
    except InUse as busy:
        print(f"what the tracker has not received yet waits: {busy.problem}", file=sys.stderr)


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


def _show_plan(plan: Plan, parts: CampaignContext, args: argparse.Namespace) -> int:
    told = propose.brief(parts, plan, steer.guidance(parts, plan)) if plan.spec.proposals else None
    if args.json:
        _print(preview.plan_json(plan, cast(Profile, args.profile or "full"), told))
    else:
        print(preview.plan_text(plan, told))
    return 0


def _show_board(board: Board, args: argparse.Namespace) -> int:
    if args.json:
        _print(status_json(board))
    elif args.report:
        print(comment(board), end="")
    else:
        print(board_text(board))
    return 0


def _show_session(told: dict[str, object], args: argparse.Namespace) -> int:
    if args.json:
        _print(told)
    else:
        print("\n".join(f"{name}: {value}" for name, value in told.items()))
    return 0


def _simulate(args: argparse.Namespace) -> int:
    if args.variants < 1 or args.campaigns < 1 or not math.isfinite(args.gain):
        raise BadInput("nothing to simulate", next_step="--variants and --campaigns from 1, --gain a number of sigmas")
    rules = GateRules(kind=cast(GateKind, args.gate or "confirmed"))
    told = asdict(simulate.simulate(rules, args.variants, args.gain, args.campaigns))
    if args.json:
        _print(told)
    else:
        print("\n".join(f"{name}: {'–' if value is None else f'{value:.4f}'}" for name, value in told.items()))
    return 0


def _doctor(here: Machine) -> int:
    findings = doctor.examine(here, machine.cache(), sys.executable)
    for one in findings:
        print(
            f"{'ok  ' if one.well else 'LOOK'} {one.name}: {one.told}" + (f" -> {one.advice}" if not one.well else "")
        )
    return 0 if all(one.well for one in findings) else 1


def _verify(wiring: Workspace) -> int:
    problems = doctor.verify(wiring.repo, wiring.ledger())
    print("\n".join(problems) if problems else "ledger and git agree")
    return 1 if problems else 0

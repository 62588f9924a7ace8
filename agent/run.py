"""The command line: reads arguments, picks the parts, prints what comes back. It holds no logic of its own."""

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import TextIO, cast

if __name__ == "__main__":
    # `python agent/run.py` puts agent/ first on the path, where a module could shadow a library; the root belongs there
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from agent import doctor, gate, loop, machine, origin, planning, preflight, prose, registry, report, sandbox, simulation
from agent.core import (
    BadInput,
    Event,
    Executor,
    GateKind,
    GateRules,
    HarnessError,
    Notice,
    Profile,
    RunOutput,
    Tracker,
)
from agent.evidence import Evidence
from agent.executors import EXECUTORS
from agent.executors.local import LocalExecutor
from agent.ledger import Ledger
from agent.live import view
from agent.locks import exclusive
from agent.machine import Machine
from agent.outbox import Outbox
from agent.parts import Parts
from agent.planning import Plan, Request
from agent.publish import board_now, board_of, comment, owed, publish
from agent.repo import Repository, writable
from agent.report import Board
from agent.sandbox import Sandbox
from agent.trackers import TRACKERS
from agent.untrusted import visible

EPILOG = """\
exit status: 0 a verdict (or the question answered), 1 an error, 2 bad usage or a bad issue, 3 paused: run the same
command again to go on, 130 interrupted: run the same command again to go on
"""


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="agent/run.py",
        description="Run the experiments of an issue: every variant checked, committed, trained, judged and reported.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--issue", type=int, metavar="N", help="the issue to run; again after a crash: it goes on")
    _actions(top.add_argument_group("instead of running"))
    _choices(top.add_argument_group("how to run"))
    _simulation(top.add_argument_group("with --simulate"))
    return top


def _actions(group: argparse._ArgumentGroup) -> None:
    only = group.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true", help="check the issue and show what would run; writes nothing")
    only.add_argument("--status", action="store_true", help="the board, the verdict and the runs of the issue")
    only.add_argument("--report", action="store_true", help="the issue's comment, in Markdown")
    only.add_argument("--verify", action="store_true", help="compare the ledger with git")
    only.add_argument("--doctor", action="store_true", help="what this machine has and lacks")
    only.add_argument("--simulate", action="store_true", help="run the gate on simulated noise and count its errors")


def _choices(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--budget", metavar="B", help="training of one run: 20 (seconds), 500steps or 5Mtok")
    group.add_argument("--clock", choices=("wall", "calibrated"), help="what a second is (GPU: wall, else calibrated)")
    group.add_argument("--gate", choices=("confirmed", "lowest"), help="the decision gate (confirmed)")
    group.add_argument(
        "--profile", choices=("full", "mini"), help="model scale (GPU: full, else mini, 1/8 of the width)"
    )
    group.add_argument("--corpus", help="stdlib, climbmix, tinystories or file:PATH ($AUTORESEARCH_CORPUS, stdlib)")
    group.add_argument("--tracker", choices=("auto", *TRACKERS), default="auto", help="where issues are (auto)")
    group.add_argument("--pr", action="store_true", help="a pull request from the winner's branch, once (GitHub)")
    group.add_argument(
        "--close", action="store_true", help="close the issue, unless its verdict waits for you (GitHub)"
    )
    group.add_argument("--executor", choices=tuple(EXECUTORS), default="local", help="where runs go (local)")
    group.add_argument("--committed", action="store_true", help="ignore uncommitted changes of the script")
    group.add_argument("--retry", action="store_true", help="ask again: what failed runs anew, what succeeded does not")
    group.add_argument("--no-sandbox", action="store_true", help="run without walls, code that a model wrote too")
    group.add_argument("--json", action="store_true", help="print JSON on standard output, events on standard error")


def _simulation(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--variants", type=int, default=4, help="variants in a campaign (4)")
    group.add_argument("--gain", type=float, default=0.0, help="true gain of one of them, in sigmas (0)")
    group.add_argument("--campaigns", type=int, default=2000, help="campaigns to simulate (2000)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    args = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet must not end a campaign
            stream.reconfigure(errors="replace")
    try:
        return _dispatch(args)
    except HarnessError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)  # it may quote an issue, a file or a run
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
    if args.simulate:
        return _simulate(args)
    here = machine.detect()
    if args.doctor:
        return _doctor(here)
    with Repository(Path.cwd()) as repo:
        if args.verify:
            return _verify(repo)
        if args.issue is None:
            parser().error("which issue? --issue N (local issues are in experiments/issues/)")
        wiring = _Wiring(repo, _tracker(args, repo), here, args.executor, pull=args.pr, close=args.close)
        if args.status or args.report:
            plan, parts = wiring.ready(lambda ledger: _asked_before(args.issue, ledger), lambda _: None)
            return _show_board(board_now(parts, plan), args)
        return _plan_or_run(args, wiring)


def _plan_or_run(args: argparse.Namespace, wiring: "_Wiring") -> int:
    """Answer from the ledger where the answer is there; else run, with the repository to ourselves."""
    asked = _request(args, wiring.here)
    if not args.plan:
        _settle(args, wiring)
    plan, silent = wiring.ready(lambda _: asked, lambda _: None)
    if args.plan:
        return _show_plan(plan, args)
    done = loop.finished(silent, plan)
    if done is not None and not owed(silent.ledger, done):
        return _show_again(args, replace(silent, tell=_say), Evidence(plan, done, silent.ledger))
    if plan.profile == "full" and not wiring.here.gpus:
        raise BadInput("profile full needs a CUDA device, and there is none", next_step="rehearse with --profile mini")
    return _run(args, asked, wiring)


def _show_again(args: argparse.Namespace, parts: Parts, evidence: Evidence) -> int:
    """Print the answer first: a disk that cannot take the exports once more must not hide it."""
    board = board_of(parts, evidence)
    _show_board(board, args)
    with _signals():  # after a crash there may be something left to write
        publish(parts, board)
    return 0


def _run(args: argparse.Namespace, asked: Request, wiring: "_Wiring") -> int:
    wiring = replace(wiring, walls=sandbox.NONE if args.no_sandbox else sandbox.probe())
    state = wiring.repo.git_dir / "autoresearch"
    writable(wiring.repo.root / "experiments")
    writable(state)
    writable(machine.cache(), "set AUTORESEARCH_CACHE to a folder that can be written to")
    with exclusive(state / "repository.lock", f"issue {args.issue}"), view(_events(args)) as shown, _signals():
        plan, parts = wiring.ready(lambda _: asked, shown.tell)  # again: another harness may just have finished
        sandbox.check([one.variant for one in plan.variants], wiring.walls, waived=args.no_sandbox)
        for line in (*_intent(plan), *_unwalled(wiring.walls)):
            shown.tell(Notice(line))
        board = loop.run(parts, plan)
    return _show_board(board, args)


def _settle(args: argparse.Namespace, wiring: "_Wiring") -> None:
    """Post what earlier campaigns owe, of whatever issue; with the repository to ourselves."""
    if wiring.outbox().owed():
        with exclusive(wiring.repo.git_dir / "autoresearch" / "repository.lock", f"issue {args.issue}"), _signals():
            wiring.outbox().settle()


def _say(event: Event) -> None:
    if isinstance(event, Notice):
        print(event.text, file=sys.stderr)


def _unwalled(walls: Sandbox) -> list[str]:
    return [f"runs go without a sandbox: {walls.told}; {walls.advice}"] if walls.level == "none" else []


def _events(args: argparse.Namespace) -> TextIO:
    return sys.stderr if args.json else sys.stdout


# --- what the user asked for ------------------------------------------------------------------------------


def _request(args: argparse.Namespace, here: Machine) -> Request:
    return Request(
        issue=args.issue,
        profile=_profile(args.profile or os.environ.get("AUTORESEARCH_PROFILE") or here.profile),
        corpus=_corpus(args.corpus or os.environ.get("AUTORESEARCH_CORPUS") or "stdlib"),
        budget=prose.parse_budget(args.budget) if args.budget else None,
        clock=args.clock,
        gate=args.gate,
        committed=args.committed,
        retry=args.retry,
    )


def _profile(name: str) -> Profile:
    if name not in preflight.PROFILES:
        raise BadInput(f"AUTORESEARCH_PROFILE is {name!r}", next_step=f"profiles: {', '.join(preflight.PROFILES)}")
    return name


def _corpus(name: str) -> str:
    """A file's path must hold wherever the run's folder is: it is looked for here, then in AUTORESEARCH_DATA."""
    kind, _, path = name.partition(":")
    if kind != "file":
        return name
    if not path:
        raise BadInput("corpus file: names no file", next_step="give its path: --corpus file:texts/mine.txt")
    data = machine.folder("AUTORESEARCH_DATA") or Path()
    places = [machine.expanded("--corpus", path), data / path]
    found = next((place for place in places if place.exists()), places[0])
    return f"file:{found.resolve()}"


def _asked_before(issue: int, ledger: Ledger) -> Request:
    """The request that an issue's latest campaign answered. Raises BadInput where there was none."""
    campaigns = ledger.campaigns(issue)
    if not campaigns:
        raise BadInput(f"issue {issue} has not run in this clone", next_step=f"run it: agent/run.py --issue {issue}")
    told, gate_kind = campaigns[-1].conditions, campaigns[-1].gate.kind
    clock = None if told.clock == "steps" else told.clock
    corpus = told.corpus.rpartition(":")[0]
    return Request(
        issue, told.profile, corpus, prose.parse_budget(told.budget), clock, gate_kind, committed=True, answered=True
    )


# --- wiring -----------------------------------------------------------------------------------------------


def _tracker(args: argparse.Namespace, repo: Repository) -> Tracker:
    told = origin.automatic(repo.addresses("origin"), os.environ) if args.tracker == "auto" else None
    if told:
        print(told, file=sys.stderr)
    chosen = ("github" if told else "markdown") if args.tracker == "auto" else args.tracker
    tracker = cast(Callable[[Path], Tracker], registry.load(TRACKERS, "tracker", chosen))(repo.root)
    if (args.pr or args.close) and tracker.upstream is None:
        raise BadInput("--pr and --close are for issues on GitHub", next_step="add --tracker github, or leave them out")
    return tracker


@dataclass(frozen=True)
class _Wiring:
    """What is chosen before the issue is read."""

    repo: Repository
    tracker: Tracker
    here: Machine
    executor: str
    walls: Sandbox = sandbox.NONE  # what runs get; found out where something is to run
    pull: bool = False
    close: bool = False

    def ready(self, ask: Callable[[Ledger], Request], tell: Callable[[Event], None]) -> tuple[Plan, Parts]:
        """Read the ledger, make the plan, pick the parts. `ask` says what is asked for, `tell` hears the events."""
        ledger = _ledger(self.repo)
        plan = planning.make(ask(ledger), self.repo, ledger, self.tracker, self.here)
        executor = self._executor(plan, tell)
        told = (sys.executable, _run_env(), tell, self.pull, self.close)
        return plan, Parts(self.repo, ledger, self.tracker, executor, self.here, self.walls, *told)

    def outbox(self) -> Outbox:
        """The way to the tracker where there is no campaign."""
        return Outbox(self.repo, _ledger(self.repo), self.tracker, _say)

    def _executor(self, plan: Plan, tell: Callable[[Event], None]) -> Executor:
        make = cast(type[LocalExecutor], registry.load(EXECUTORS, "executor", self.executor))
        return make(
            self.here.gpus if plan.profile == "full" else (),
            machine.locks(),
            self.repo.export,
            on_line=lambda job, line: tell(RunOutput(job, line)),
            on_wait=lambda holder: tell(Notice(f"waiting: the device is in use by {holder}")),
            walls=self.walls,
        )


def _ledger(repo: Repository) -> Ledger:
    return Ledger(repo.root / "experiments" / "ledger.jsonl", repo.git_dir / "autoresearch" / "ledger.lock")


def _run_env() -> dict[str, str]:
    """What every run is told of this machine."""
    data = machine.folder("AUTORESEARCH_DATA")
    shared = {"AUTORESEARCH_DATA": str(data)} if data else {}
    return {"AUTORESEARCH_CACHE": str(machine.cache()), **shared}


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


def _intent(plan: Plan) -> list[str]:
    """What will happen and how long it will take, before it starts."""
    gate_told = "lowest single run wins" if plan.rules.kind == "lowest" else "winner confirmed on fresh seeds"
    runs = gate.plan_size(plan.rules, len(plan.variants))
    time = "" if plan.estimate_s is None else f", about {max(1, round(plan.estimate_s / 60))} min in all"
    cap = "" if plan.spec.cap_s is None else f" (size label: at most {plan.spec.cap_s / 60:.0f} min)"
    return [
        f"issue {plan.spec.issue.number}: {plan.spec.issue.title}",
        f"baseline {plan.base[:7]}, then {', '.join(plan.order)}; {gate_told}",
        f"up to {runs} runs of {plan.budget}, {plan.clock} clock, profile {plan.profile}{time}{cap}",
        *plan.notices,
    ]


def _show_plan(plan: Plan, args: argparse.Namespace) -> int:
    if args.json:
        profile = cast(Profile, args.profile or "full")
        shapes = {one.variant.name: report.shape_json(one.shapes.get(profile)) for one in plan.variants}
        variants = [{"id": name, **shape} for name, shape in shapes.items()]
        _print(
            {
                "order": plan.order,
                "baseline": report.shape_json(plan.baseline.shapes.get(profile)),
                "variants": variants,
            }
        )
        return 0
    print("\n".join(_intent(plan)))
    for profile in preflight.PROFILES:
        rows = [(one.variant.name, one.shapes.get(profile)) for one in (plan.baseline, *plan.variants)]
        print(f"\n{report.shapes_table(profile, rows)}")
    return 0


def _show_board(board: Board, args: argparse.Namespace) -> int:
    if args.json:
        _print(report.status_json(board))
    elif args.report:
        print(comment(board), end="")
    else:
        print(report.board_text(board))
    return 0


def _simulate(args: argparse.Namespace) -> int:
    if args.variants < 1 or args.campaigns < 1 or not math.isfinite(args.gain):
        raise BadInput("nothing to simulate", next_step="--variants and --campaigns from 1, --gain a number of sigmas")
    rules = GateRules(kind=cast(GateKind, args.gate or "confirmed"))
    told = asdict(simulation.simulate(rules, args.variants, args.gain, args.campaigns))
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


def _verify(repo: Repository) -> int:
    problems = doctor.verify(repo, _ledger(repo))
    print("\n".join(problems) if problems else "ledger and git agree")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""The command line's grammar: what can be asked for, and what goes together."""

import argparse
import math

from agent.core.errors import BadInput

EPILOG = """\
exit status: 0 a verdict (or the question answered), 1 an error, 2 bad usage or a bad issue, 3 paused: run the same
command again to go on, 130 interrupted: run the same command again to go on; of a queue 0 if every issue has its
verdict, else the worst of what happened: 1, then 2, then 3
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(
        prog="agent/run.py",
        description="Run the experiments of an issue: every variant checked, committed, trained, judged and reported.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = top.add_mutually_exclusive_group()
    which.add_argument("--issue", type=int, metavar="N", help="the issue to run; again after a crash: it goes on")
    which.add_argument("--queue", action="store_true", help="run every open experiment, by priority and dependency")
    _actions(top.add_argument_group("instead of running"))
    _choices(top.add_argument_group("how to run"))
    _editing(top.add_argument_group("with an issue in prose"))
    _reading(top.add_argument_group("with an issue that strict reading refuses"))
    _capacity(top.add_argument_group("with --capacity, of --issue N, of a shape or of the baseline"))
    _simulation(top.add_argument_group("with --simulate"))
    return top


def _actions(group: argparse._ArgumentGroup) -> None:
    only = group.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true", help="check the issue and show what would run; writes nothing")
    only.add_argument("--status", action="store_true", help="the board, the verdict and the runs of the issue")
    only.add_argument("--report", action="store_true", help="the issue's comment, in Markdown")
    only.add_argument("--verify", action="store_true", help="compare the ledger with git")
    only.add_argument("--doctor", action="store_true", help="what this machine has and lacks")
    only.add_argument("--schema", action="store_true", help="the JSON schema of an issue's settings block")
    only.add_argument("--capacity", action="store_true", help="what a shape costs and what a budget buys of it")
    only.add_argument("--simulate", action="store_true", help="run the gate on simulated noise and count its errors")


def _choices(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--budget", metavar="B", help="training of one run: 20 (seconds), 500steps or 5Mtok")
    group.add_argument("--clock", choices=("wall", "calibrated"), help="what a second is (GPU: wall, else calibrated)")
    group.add_argument("--gate", choices=("confirmed", "fixed", "lowest"), help="the decision gate (confirmed)")
    group.add_argument(
        "--profile", choices=("full", "mini"), help="model scale (GPU: full, else mini, 1/8 of the width)"
    )
    group.add_argument("--corpus", help="stdlib, climbmix, tinystories or file:PATH ($AUTORESEARCH_CORPUS, stdlib)")
    group.add_argument(
        "--tracker", choices=("auto", "github", "markdown"), default="auto", help="where issues are (auto)"
    )
    group.add_argument("--pr", action="store_true", help="a pull request from the winner's branch, once (GitHub)")
    group.add_argument(
        "--close", action="store_true", help="close the issue, unless its verdict waits for you (GitHub)"
    )
    group.add_argument("--executor", choices=("local",), default="local", help="where runs go (local)")
    group.add_argument("--committed", action="store_true", help="ignore uncommitted changes of the script")
    group.add_argument("--retry", action="store_true", help="ask again: what failed runs anew, what succeeded does not")
    group.add_argument(
        "--more", type=int, metavar="N", help="N further runs of leader and baseline, to settle a verdict"
    )
    group.add_argument("--confirm", action="store_true", help="run nothing before a person has commented /go")
    group.add_argument("--no-sandbox", action="store_true", help="run without a sandbox, code that a model wrote too")
    group.add_argument("--json", action="store_true", help="print JSON on standard output, events on standard error")


def _editing(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--editor", default="anthropic", metavar="E", help="who writes the changes: anthropic, or a COMMAND (anthropic)"
    )
    group.add_argument(
        "--model", help="Claude's model, one of agent/editors/models.yaml ($AUTORESEARCH_MODEL, or that file's)"
    )
    group.add_argument(
        "--max-usd", type=float, metavar="D", help="dollars that the changes of an issue may cost (models.yaml's)"
    )
    group.add_argument("--loop", action="store_true", help="round after round, each from the baseline that is left")
    group.add_argument("--hours", type=float, metavar="H", help="with --loop: no round begins that would end later")


def _reading(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--reader",
        choices=("auto", "strict", "claude"),
        default="auto",
        help="who reads it then: Claude where a key is set (auto), nobody, or Claude",
    )


def _capacity(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--shape", metavar="S", help="a GPT-2's: n_layer=12,d_model=768, or a published model's name")
    group.add_argument("--device", metavar="NAME", help="a GPU that is known, or dense bf16 FLOP/s (this one, or H100)")
    group.add_argument("--mfu", type=float, metavar="F", help="share of its peak that training reaches (0.4)")


def _simulation(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--variants", type=int, default=4, help="variants in a campaign (4)")
    group.add_argument("--gain", type=float, default=0.0, help="true gain of one of them, in sigmas (0)")
    group.add_argument("--campaigns", type=int, default=2000, help="campaigns to simulate (2000)")
    group.add_argument("--nulls", action="store_true", help="all ways in which nothing may be better, a row each")
    group.add_argument("--rho", type=float, default=0.0, help="correlation of two models on one seed (0)")
    group.add_argument("--known", type=int, default=0, help="earlier degrees of freedom of sigma (0)")
    group.add_argument("--reused", type=int, default=0, help="runs of the baseline that the ledger has (0)")
    group.add_argument("--shift", type=float, default=0.0, help="sigmas by which the machine is better since then (0)")
    group.add_argument("--drift", type=float, default=0.0, help="sigmas that it becomes better in 10 runs (0)")
    group.add_argument(
        "--spread", type=float, default=1.0, help="noise of the first variant, in that of the others (1)"
    )
    group.add_argument("--worse", type=float, default=0.0, help="sigmas by which the other variants are worse (0)")
    group.add_argument("--tail", type=int, default=0, help="heavy tails: degrees of freedom of Student's t (0: normal)")
    group.add_argument("--outliers", type=float, default=0.0, help="share of runs with five times the noise (0)")
    group.add_argument("--seed", type=int, default=0, help="another one draws other noise (0)")


def validate(args: argparse.Namespace) -> None:
    """Raise BadInput where arguments do not go together."""
    _validate_capacity(args)
    if args.hours is not None and not args.loop:
        raise BadInput("--hours is for --loop", next_step="add --loop, or leave it out")
    if args.loop and args.retry:
        raise BadInput("--retry asks a question again, and --loop asks the next one", next_step="leave one of them out")
    own = [name for name, value in (("--model", args.model), ("--max-usd", args.max_usd)) if value is not None]
    if own and args.editor != "anthropic":
        raise BadInput(f"{own[0]} is for --editor anthropic", next_step="tell the command itself, in --editor")
    if args.loop and args.issue is None:
        raise BadInput("--loop needs an issue in prose", next_step="name it: --issue N")
    if args.more is not None and (args.issue is None or args.more < 1):
        raise BadInput(
            f"--more {args.more}", next_step="say how many further runs, and of which issue: --issue N --more 2"
        )
    for name, value in (("--hours", args.hours), ("--max-usd", args.max_usd)):
        if value is not None and not (math.isfinite(value) and value > 0):
            raise BadInput(f"{name} is {value:g}", next_step=f"give a number above 0, such as {name} 8")


def _validate_capacity(args: argparse.Namespace) -> None:
    own = [name for name in ("shape", "device", "mfu") if getattr(args, name) is not None]
    if own and not args.capacity:
        raise BadInput(f"--{own[0]} is for --capacity", next_step="add --capacity, or leave it out")
    if args.shape is not None and args.issue is not None:
        raise BadInput("--shape and --issue are two questions", next_step="leave one of them out")
    if args.capacity and (args.queue or args.loop):
        raise BadInput("--capacity counts one issue", next_step="name it: --issue N --capacity")
    if args.mfu is not None and not 0 < args.mfu <= 1:
        raise BadInput(f"--mfu is {args.mfu:g}", next_step="give a share above 0, at most 1: --mfu 0.4")

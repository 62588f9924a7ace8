"""What is done for what was asked: one question to its board, or round after round until a session is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from agent import heed, loop, openended, outbox, proposing, sandbox, shown
from agent.core import BadInput, NothingToRun, Rewrite, Variant
from agent.openended import Limits, Session
from agent.parts import Parts
from agent.planning import Plan, Request
from agent.protocols import Editor, Notice
from agent.publish import fruitless
from agent.report import Board
from agent.sandbox import Sandbox
from agent.wiring import Tell, Wiring

_PROPOSED = Variant("a proposal", (Rewrite("", ""),))  # what is to come of an issue in prose


@dataclass(frozen=True)
class Order:
    """What was asked, by what means: `editor` makes the editor, on whose account money from a time on counts."""

    asked: Request
    wiring: Wiring
    editor: Callable[[Parts, str], Editor]
    waived: bool  # walls, by --no-sandbox
    tell: Tell


def campaign(order: Order, session: Session | None = None) -> Board:
    """One question to its board; an issue in prose first gets its variants. Raises what loop.run and propose raise."""
    ledger = session.ledger if session else order.wiring.ledger()  # anew: another harness may just have finished
    plan, parts = order.wiring.ready(order.asked, order.tell, ledger)
    with _told(parts, plan):
        proposing.check(plan)
    _check_walls(order, plan)
    for line in (*shown.intent(plan), *_unwalled(order.wiring.walls)):
        order.tell(Notice(line))
    if not plan.complete:
        editor = order.editor(parts, session.began.at if session else "")
        with _told(parts, plan):
            proposing.propose(parts, plan, editor, heed.guidance(parts, plan))
        plan, parts = order.wiring.ready(order.asked, order.tell, ledger)
    return loop.run(parts, plan)


@contextmanager
def _told(parts: Parts, plan: Plan) -> Iterator[None]:
    """Where none of a round's proposals can run the issue is told, after a crash too."""
    try:
        yield
    except NothingToRun as nothing:
        fruitless(parts, plan, nothing.problem)
        raise


def _check_walls(order: Order, plan: Plan) -> None:
    every = [one.variant for one in (plan.baseline, *plan.variants)]
    wanted = every if plan.complete else [*every, _PROPOSED]
    sandbox.check(wanted, order.wiring.walls, waived=order.waived, inherited=plan.inherited)


def _unwalled(walls: Sandbox) -> list[str]:
    return [f"runs go without a sandbox: {walls.told}; {walls.advice}"] if walls.level == "none" else []


def open_ended(order: Order, limits: Limits) -> dict[str, object]:
    """Round after round until the session is over; what came of it. Raises BadInput for an issue that has a table."""
    closes, order = order.wiring.close, replace(order, wiring=replace(order.wiring, close=False))
    plan, parts = order.wiring.ready(order.asked, order.tell)
    if not plan.spec.proposals:
        raise BadInput(
            "--loop is for an issue in prose, and this one has a table",
            where=plan.spec.issue.source,
            next_step="run it without --loop, or name another issue",
        )
    _check_walls(order, plan)
    order.editor(parts, "")  # what is wrong with it is said before the time begins to run
    session = openended.session(parts.ledger, plan.spec.issue.number, plan.spec.body_sha256, limits)
    again = replace(order, asked=replace(order.asked, again=True))
    reason = openended.until_over(
        session, lambda: _catch_up(parts, plan), lambda: campaign(again, session), plan.estimate_s, order.tell
    )
    if closes:
        outbox.of(parts).post(plan.spec.issue.number, "close", "")
    return session.summary(plan.track.name) | {"reason": reason}


def _catch_up(parts: Parts, plan: Plan) -> None:
    """Do what a crash may have left to do when the latest round was over."""
    with suppress(NothingToRun), _told(parts, plan):
        proposing.check(plan)
    if loop.finished(parts, plan):
        loop.run(parts, plan)

"""The open-ended mode: its limits, measured from its record, hold across restarts."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.app.session import MAX_EMPTY_ROUNDS, RETRY_DELAYS_S, Limits, Session, current_session, run_rounds
from agent.core.errors import NothingToRun, Paused, Stopped, Unreachable
from agent.core.protocols import Event
from agent.core.records import ProposalRecord, RoundRecord, SessionRecord
from agent.store.ledger import Ledger
from tests.store.test_ledger import SPEND
from tests.store.test_rounds import IDEAS, SHA

LONG_AGO = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl", tmp_path / "lock")


def nothing_left() -> None:
    """What a crash left to do, where there was none."""


def begun(ledger: Ledger, hours: float | None = None, max_usd: float | None = None) -> Session:
    return current_session(ledger, 5, SHA, Limits(hours, max_usd))


def loops(ledger: Ledger) -> list[SessionRecord]:
    return ledger.records_of(SessionRecord, 5)


def ignore(_: Event) -> None:
    """Take no notice."""


def later(session: Session, minutes: float) -> datetime:
    return datetime.fromisoformat(session.began.at) + timedelta(minutes=minutes)


def begin_round(ledger: Ledger, session: Session, number: int) -> None:
    ledger.append(
        RoundRecord(
            issue=5,
            body_sha256=SHA,
            track="main",
            round=number,
            base="b" * 40,
            ideas=IDEAS[:1],
            failure="",
            at=session.began.at,
        )
    )


def refuse_idea(ledger: Ledger, session: Session, number: int) -> None:
    ledger.append(
        ProposalRecord(
            issue=5,
            round=number,
            variant="1A",
            accepted=False,
            summary="",
            commit="",
            tree="",
            failure="no",
            attempts=1,
            usd=0.0,
            at=session.began.at,
        )
    )


def empty_round(ledger: Ledger, session: Session, number: int) -> None:
    begin_round(ledger, session, number)
    refuse_idea(ledger, session, number)


def test_a_restart_goes_on_with_the_session_that_has_not_ended(ledger: Ledger) -> None:
    first = begun(ledger, 8)
    assert begun(ledger, 8) == first
    assert begun(ledger, 9).began != first.began
    assert len(loops(ledger)) == 2


def test_a_session_that_ended_is_followed_by_another(ledger: Ledger) -> None:
    def stop() -> None:
        raise Stopped("somebody said /stop")

    first = begun(ledger, 8)
    assert run_rounds(first, nothing_left, stop, 60.0, ignore) == "somebody said /stop"
    assert (loops(ledger)[-1].ended, loops(ledger)[-1].reason) == (True, "somebody said /stop")
    assert begun(ledger, 8).began != first.began


def test_no_round_begins_that_would_end_too_late(ledger: Ledger) -> None:
    session = begun(ledger, 1)
    assert session.stop_reason(1800, later(session, 29)) == ""
    assert session.stop_reason(1800, later(session, 31)).startswith("the time is used up: 1 hours")
    assert begun(ledger, None).stop_reason(1e9, later(session, 1e6)) == ""


def test_only_money_spent_since_it_began_counts(ledger: Ledger) -> None:
    ledger.append(replace(SPEND, issue=5, call="old", usd=50.0, at=LONG_AGO))
    session = begun(ledger, max_usd=1)
    assert session.stop_reason(None, later(session, 1)) == ""
    ledger.append(replace(SPEND, issue=5, call="new", usd=1.0, at=session.began.at))
    assert session.stop_reason(None, later(session, 1)) == "the money is used up: $1.00 of $1"


def test_an_issue_that_gives_nothing_to_run_ends_after_a_few_rounds(ledger: Ledger) -> None:
    session, rounds_run = begun(ledger, 8), list[int]()

    def nothing() -> None:
        rounds_run.append(len(rounds_run) + 1)
        empty_round(ledger, session, rounds_run[-1])
        raise NothingToRun("all refused")

    assert (
        run_rounds(session, nothing_left, nothing, 60.0, ignore)
        == f"{MAX_EMPTY_ROUNDS} rounds in a row had nothing that could be measured"
    )
    assert len(rounds_run) == MAX_EMPTY_ROUNDS


def test_a_pause_that_passes_does_not_end_the_session(ledger: Ledger) -> None:
    def away() -> None:
        raise Paused("no answer from the model")

    with pytest.raises(Paused):
        run_rounds(begun(ledger, 8), nothing_left, away, 60.0, ignore)
    assert [one.ended for one in loops(ledger)] == [False]


def test_a_round_that_a_crash_cut_short_has_its_end_though_the_money_is_used_up(ledger: Ledger) -> None:
    session = begun(ledger, hours=1, max_usd=1)
    begin_round(ledger, session, 1)
    ledger.append(replace(SPEND, issue=5, call="new", usd=1.0, at=session.began.at))
    assert session.stop_reason(1800, later(session, 31)) == ""
    assert session.stop_reason(1800, later(session, 61)).startswith("the time is used up")
    refuse_idea(ledger, session, 1)
    assert session.stop_reason(1800, later(session, 1)) == "the money is used up: $1.00 of $1"


def test_a_service_that_is_away_is_waited_for_and_the_round_goes_on(ledger: Ledger) -> None:
    answers, waits = [Unreachable("529"), Unreachable("529"), None, Stopped("enough")], list[float]()

    def one_round() -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    reason = run_rounds(begun(ledger, 8), nothing_left, one_round, 60.0, ignore, waits.append)
    assert (reason, waits) == ("enough", [60.0, 120.0])


def test_a_service_that_stays_away_pauses_the_session_and_does_not_end_it(ledger: Ledger) -> None:
    waits = list[float]()

    def away() -> None:
        raise Unreachable("no route")

    with pytest.raises(Unreachable, match="no route"):
        run_rounds(begun(ledger, 80), nothing_left, away, 60.0, ignore, waits.append)
    assert tuple(waits) == RETRY_DELAYS_S
    assert [one.ended for one in loops(ledger)] == [False]


def test_a_stop_while_a_crash_is_made_good_ends_the_session_at_once(ledger: Ledger) -> None:
    def stopped() -> None:
        raise Stopped("somebody said /stop")

    def never() -> None:
        raise AssertionError

    assert run_rounds(begun(ledger, 8), stopped, never, 60.0, ignore) == "somebody said /stop"


def test_a_service_that_is_away_when_a_crash_is_made_good_is_waited_for_too(ledger: Ledger) -> None:
    answers, waits = [Unreachable("529"), None], list[float]()

    def catch_up() -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    def stop() -> None:
        raise Stopped("enough")

    assert run_rounds(begun(ledger, 8), catch_up, stop, 60.0, ignore, waits.append) == "enough"
    assert (answers, waits) == ([], [60.0])


def test_time_that_is_used_up_while_a_service_is_away_ends_the_session(ledger: Ledger) -> None:
    session = begun(ledger, 1)

    def away() -> None:
        raise Unreachable("no route")

    def pass_by(_: float) -> None:
        object.__setattr__(session, "began", replace(session.began, at=LONG_AGO))

    reason = run_rounds(session, nothing_left, away, 60.0, ignore, pass_by)
    assert reason.startswith("the time is used up: 1 hours")

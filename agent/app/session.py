"""The open-ended mode: round after round from the current baseline, until time, money or a person ends it."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from agent.core.errors import NothingToRun, Stopped, Unreachable
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.protocols import Event, Notice
from agent.core.records import SessionRecord, SpendRecord, VerdictRecord, utc_now
from agent.core.retry import with_retry
from agent.editors.spending import spent
from agent.store import rounds
from agent.store.ledger import Ledger
from agent.store.rounds import Round

MAX_EMPTY_ROUNDS = 3  # rounds in a row with nothing that could be measured: what the issue wants cannot be had
RETRY_DELAYS_S = (60.0, 120.0, 300.0, *[900.0] * 12)  # for a service that is away, each time; in all three hours

_T = TypeVar("_T")


@frozen
class Limits:
    """When to end: hours since the beginning, dollars since then; None where there is no such limit."""

    hours: float | None = None
    max_usd: float | None = None


@frozen
class Session:
    """One stretch of the open-ended mode on an issue as its body is. It is in the ledger and so outlives a crash."""

    ledger: Ledger
    began: SessionRecord

    def spent(self) -> Decimal:
        """Return the dollars spent since it began."""
        return spent([one for one in self.ledger.records_of(SpendRecord, self.began.issue) if one.at >= self.began.at])

    def rounds(self) -> list[Round]:
        """Return the finished rounds that began in this session."""
        return [one for one in self._begun() if rounds.is_finished(self.ledger, self.began.issue, one)]

    @property
    def under_way(self) -> bool:
        """Whether its latest round is not finished: a crash came in between, and the round is to be completed."""
        return any(not rounds.is_finished(self.ledger, self.began.issue, one) for one in self._begun()[-1:])

    def _begun(self) -> list[Round]:
        known = rounds.all_rounds(self.ledger, self.began.issue, self.began.body_sha256)
        return [one for one in known if one.at >= self.began.at]

    def summary(self, track: str) -> dict[str, object]:
        """Return what came of it, for the user."""
        finished, since = self.rounds(), self.began.at
        proposals = [one for round in finished for one in round.proposals]
        promoted = [one for one in self.ledger.promotions(track) if one.issue == self.began.issue and one.at >= since]
        return {
            "rounds": len(finished),
            "proposals": len(proposals),
            "refused": sum(not one.accepted for one in proposals),
            "promoted": ", ".join(f"{one.variant} ({one.new[:7]})" for one in promoted) or "none",
            "usd": float(self.spent()),
        }

    def stop_reason(self, expected_s: float | None, at: datetime) -> str:
        """Return why no further round begins at `at`, where one takes `expected_s` seconds; empty where one does.

        A round that has begun is completed, unless the time is up altogether.
        """
        if reason := self._time_is_up(expected_s or 0.0, at):
            return reason
        return "" if self.under_way else self._money_is_up() or self._nothing_to_measure()

    def _time_is_up(self, expected_s: float, at: datetime) -> str:
        hours = self.began.hours
        if hours is None:
            return ""
        end = datetime.fromisoformat(self.began.at) + timedelta(hours=hours)
        if at + timedelta(seconds=0.0 if self.under_way else expected_s) <= end:
            return ""
        return f"the time is used up: {hours:g} hours, and another round takes {expected_s / 60:.0f} minutes"

    def _money_is_up(self) -> str:
        usd = self.began.max_usd
        if usd is None or self.spent() < Decimal(str(usd)):
            return ""
        return f"the money is used up: ${self.spent():.2f} of ${usd:g}"

    def _nothing_to_measure(self) -> str:
        last = self.rounds()[-MAX_EMPTY_ROUNDS:]
        if len(last) < MAX_EMPTY_ROUNDS or any(map(self.had_result, last)):
            return ""
        return f"{MAX_EMPTY_ROUNDS} rounds in a row had nothing that could be measured"

    def had_result(self, round: Round) -> bool:
        """Return whether a round had a proposal that could run, beside a baseline that could be measured."""
        verdict = self._verdict(round)
        return bool(round.accepted) and (verdict is None or verdict.verdict.decision != "failed")

    def _verdict(self, round: Round) -> VerdictRecord | None:
        campaign = rounds.campaign_of(self.ledger, self.began.issue, round)
        return None if campaign is None else self.ledger.verdict(campaign)

    def expected_s(self, estimate_s: float | None) -> float | None:
        """Return what a round takes: the longest of this session, drafts and all, or the estimate of its runs."""
        times = ((one.at, verdict.at) for one in self.rounds() if (verdict := self._verdict(one)))
        took = [(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() for start, end in times]
        return max([*took, estimate_s or 0.0]) or None

    def end(self, reason: str) -> None:
        """Record that it has ended."""
        fault_point("loop-over")
        self.ledger.append(replace(self.began, ended=True, reason=reason, at=utc_now()))


def current_session(ledger: Ledger, issue: int, body_sha256: str, limits: Limits) -> Session:
    """Return the session that has not ended, under the same limits; else a new one."""
    known = [one for one in ledger.records_of(SessionRecord, issue) if one.body_sha256 == body_sha256]
    same = known and (known[-1].hours, known[-1].max_usd) == (limits.hours, limits.max_usd)
    if same and not known[-1].ended:
        return Session(ledger, known[-1])
    began = SessionRecord(
        issue=issue,
        body_sha256=body_sha256,
        hours=limits.hours,
        max_usd=limits.max_usd,
        ended=False,
        reason="",
        at=utc_now(),
    )
    ledger.append(began)
    fault_point("loop-began")
    return Session(ledger, began)


def run_rounds(
    session: Session,
    catch_up: Callable[[], object],
    run_round: Callable[[], object],
    estimate_s: float | None,
    emit: Callable[[Event], None],
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Do what a crash left to do, then rounds until the session is over; return why it is, and record it.

    Raises what a round raises, except where that ends the session (Stopped), the round alone (NothingToRun), or may
    pass (Unreachable): then the same is tried after each of RETRY_DELAYS_S.
    """

    def next_round() -> str:
        reason = session.stop_reason(session.expected_s(estimate_s), datetime.now(UTC))
        if not reason:
            _run(run_round)
        return reason

    def persistently(work: Callable[[], _T]) -> _T:
        return with_retry(
            work, Unreachable, _retry_delay, sleep=sleep, on_wait=lambda error, wait: emit(_waiting(error, wait))
        )

    try:
        persistently(lambda: _run(catch_up))
        while not (reason := persistently(next_round)):
            pass
    except Stopped as stopped:
        reason = stopped.problem
    session.end(reason)
    return reason


def _run(work: Callable[[], object]) -> None:
    """Do some work; where there is nothing to run, that is reported already."""
    with suppress(NothingToRun):
        work()


def _retry_delay(error: Unreachable, attempt: int) -> float | None:  # noqa: ARG001 (with_retry's signature)
    return RETRY_DELAYS_S[attempt - 1] if attempt <= len(RETRY_DELAYS_S) else None


def _waiting(error: Unreachable, wait_s: float) -> Notice:
    return Notice(f"{error.problem}; on with it in {wait_s / 60:.0f} min")

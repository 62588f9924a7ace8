"""The open-ended mode: round after round from the current baseline, until time, money or a person ends it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from agent.core.errors import NothingToRun, Stopped, Unreachable
from agent.core.faults import fault_point
from agent.core.protocols import Event, Notice
from agent.core.records import SessionRecord, SpendRecord, VerdictRecord, utc_now
from agent.editors.spending import spent
from agent.store import rounds
from agent.store.ledger import Ledger
from agent.store.rounds import Round

MAX_EMPTY_ROUNDS = 3  # rounds in a row with nothing that could be measured: what is asked for cannot be had
RETRY_DELAYS_S = (60.0, 120.0, 300.0, *[900.0] * 12)  # for a service that is away, each time; in all three hours


@dataclass(frozen=True)
class Limits:
    """When to end: hours since the beginning, dollars since then; None where there is no such limit."""

    hours: float | None = None
    max_usd: float | None = None


@dataclass(frozen=True)
class Session:
    """One stretch of the open-ended mode on an issue as its body is. It is in the ledger and so outlives a crash."""

    ledger: Ledger
    began: SessionRecord

    def spent(self) -> Decimal:
        """Dollars since it began."""
        return spent([one for one in self.ledger.records_of(SpendRecord, self.began.issue) if one.at >= self.began.at])

    def rounds(self) -> list[rounds.Round]:
        """The rounds since it began that are over."""
        known = rounds.all_rounds(self.ledger, self.began.issue, self.began.body_sha256)
        return [
            one for one in known if one.at >= self.began.at and rounds.is_finished(self.ledger, self.began.issue, one)
        ]

    def summary(self, track: str) -> dict[str, object]:
        """What came of it, for the user."""
        over, since = self.rounds(), self.began.at
        proposals = [one for turn in over for one in turn.proposals]
        promoted = [one for one in self.ledger.promotions(track) if one.issue == self.began.issue and one.at >= since]
        return {
            "rounds": len(over),
            "proposals": len(proposals),
            "refused": sum(not one.accepted for one in proposals),
            "promoted": ", ".join(f"{one.variant} ({one.new[:7]})" for one in promoted) or "none",
            "usd": float(self.spent()),
        }

    @property
    def under_way(self) -> bool:
        """Whether a round has begun since that is not over: a crash came in between, and it is to have its end."""
        known = rounds.all_rounds(self.ledger, self.began.issue, self.began.body_sha256)[-1:]
        return any(
            one.at >= self.began.at and not rounds.is_finished(self.ledger, self.began.issue, one) for one in known
        )

    def over(self, expected_s: float | None, at: datetime) -> str:
        """Why no further round begins at `at`, where one takes `expected_s` seconds; empty where one does.

        A round that has begun is brought to its end, unless the time is up altogether.
        """
        hours, usd = self.began.hours, self.began.max_usd
        end = datetime.fromisoformat(self.began.at) + timedelta(hours=hours) if hours is not None else None
        needed = 0.0 if self.under_way else expected_s or 0.0
        if end is not None and at + timedelta(seconds=needed) > end:
            return f"the time is used up: {hours:g} hours, and another round takes {(expected_s or 0) / 60:.0f} minutes"
        if self.under_way:
            return ""
        if usd is not None and self.spent() >= Decimal(str(usd)):
            return f"the money is used up: ${self.spent():.2f} of ${usd:g}"
        last = self.rounds()[-MAX_EMPTY_ROUNDS:]
        if len(last) == MAX_EMPTY_ROUNDS and not any(map(self._bore, last)):
            return f"{MAX_EMPTY_ROUNDS} rounds in a row had nothing that could be measured"
        return ""

    def _bore(self, turn: Round) -> bool:
        """Whether a round had a proposal that could run, beside a baseline that could be measured."""
        verdict = self._verdict(turn)
        return bool(turn.accepted) and (verdict is None or verdict.verdict.decision != "failed")

    def _verdict(self, turn: Round) -> VerdictRecord | None:
        ran = rounds.campaign_of(self.ledger, self.began.issue, turn)
        return None if ran is None else self.ledger.verdict(ran)

    def expected_s(self, estimate_s: float | None) -> float | None:
        """What a round takes: by the longest of this session, drafts and all, else by the estimate of its runs."""
        ended = ((one.at, verdict.at) for one in self.rounds() if (verdict := self._verdict(one)))
        took = [(datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() for start, end in ended]
        return max([*took, estimate_s or 0.0]) or None


def current_session(ledger: Ledger, issue: int, body_sha256: str, limits: Limits) -> Session:
    """The session that has not ended, under the same limits; else a new one."""
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
    running: Session,
    catch_up: Callable[[], object],
    one_round: Callable[[], object],
    estimate_s: float | None,
    emit: Callable[[Event], None],
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """First what a crash left to do, then rounds until the session is over; the reason, then in the ledger.

    Raises what a round raises, except where that ends the session (Stopped), the round alone (NothingToRun), or may
    pass (Unreachable): then the round goes on after one of WAITS_S.
    """
    waits, turn = iter(RETRY_DELAYS_S), catch_up
    while turn is catch_up or not (reason := running.over(running.expected_s(estimate_s), datetime.now(UTC))):
        try:
            turn()
        except NothingToRun:
            pass
        except Unreachable as away:
            _wait(away, waits, emit, sleep)
            continue
        except Stopped as stopped:
            reason = stopped.problem
            break
        waits, turn = iter(RETRY_DELAYS_S), one_round
    began = running.began
    fault_point("loop-over")
    running.ledger.append(
        SessionRecord(
            issue=began.issue,
            body_sha256=began.body_sha256,
            hours=began.hours,
            max_usd=began.max_usd,
            ended=True,
            reason=reason,
            at=utc_now(),
        )
    )
    return reason


def _wait(
    away: Unreachable, waits: Iterator[float], emit: Callable[[Event], None], sleep: Callable[[float], None]
) -> None:
    """Wait for a service that is away; where it was too often, raise what it said."""
    wait = next(waits, None)
    if wait is None:
        raise away
    emit(Notice(f"{away.problem}; on with it in {wait / 60:.0f} min"))
    sleep(wait)

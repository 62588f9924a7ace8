"""What goes to the tracker: done now or, where it cannot be, owed by the ledger and done at the next start."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from agent.campaign.context import CampaignContext
from agent.core.errors import HarnessError, Unreachable
from agent.core.experiment import IssueStatus
from agent.core.faults import fault_point
from agent.core.protocols import Event, Notice, Tracker
from agent.core.records import CampaignRecord, DeliveryRecord, PromotionRecord, utc_now
from agent.core.runs import Delivery
from agent.store.ledger import Ledger
from agent.store.repository import Repository

ORDER: tuple[Delivery, ...] = ("push", "pull", "comment", "status", "close")  # a pull request needs its branch


@dataclass(frozen=True)
class Outbox:
    """The way to the tracker and to the remote that it names; without one, nothing is pushed and nothing owed."""

    repo: Repository
    ledger: Ledger
    tracker: Tracker
    tell: Callable[[Event], None]

    @property
    def place(self) -> str:
        """The repository that posts are meant for; empty where issues are files."""
        return self.tracker.upstream.place if self.tracker.upstream else ""

    def post(self, issue: int, what: Delivery, text: str) -> None:
        """Do it. Where the tracker does not answer it is owed and the user told; any other refusal is owed and raised.

        What is done twice has the effect of once. A pull request's `text` is its branch, its title and its body.
        """
        fault_point("post-before")
        if what == "close":  # said beforehand, so that a closed issue is known to be closed by us
            self._owe(issue, what, text, "about to be closed")
        try:
            self._act(issue, what, text)
        except HarnessError as error:
            self._owe(issue, what, text, str(error))
            if not isinstance(error, Unreachable):
                raise
            self.tell(Notice(f"{_said(what, issue)} is not there yet: {error.problem}; the next start sees to it"))
        else:
            self._settled(issue, what, text)
        fault_point("post-after")

    def post_all(self, issue: int, posts: Iterable[tuple[Delivery, str]]) -> None:
        """Do one after another, and all of them; then raise the first refusal that was no Unreachable."""
        refusals = []
        for what, text in posts:
            try:
                self.post(issue, what, text)
            except HarnessError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]

    def settle(self) -> None:
        """Do what is owed to this place, before anything else. Raises nothing for what fails again: it stays owed."""
        for record in self.owed():
            try:
                self._act(record.issue, record.what, record.text)
            except HarnessError as error:
                self.tell(Notice(f"{_said(record.what, record.issue)}, still owed: {error}"))
            else:
                fault_point("owed-posted")
                self._settled(record.issue, record.what, record.text)
                self.tell(Notice(f"{_said(record.what, record.issue)}, owed since {record.at[:16]}, is there now"))

    def owed(self) -> list[DeliveryRecord]:
        """What is owed to this place, in the order in which it is to be done."""
        latest = {
            (one.issue, one.what): one for one in self.ledger.records_of(DeliveryRecord) if one.place == self.place
        }
        return sorted(
            (one for one in latest.values() if not one.done), key=lambda one: (one.issue, ORDER.index(one.what))
        )

    def _latest(self, issue: int, what: Delivery) -> DeliveryRecord | None:
        mine = [
            one for one in self.ledger.records_of(DeliveryRecord, issue) if (one.what, one.place) == (what, self.place)
        ]
        return mine[-1] if mine else None

    def _owe(self, issue: int, what: Delivery, text: str, reason: str) -> None:
        """Write down that it is owed, once."""
        last = self._latest(issue, what)
        if self.place and (last is None or last.done or last.text != text):
            self.ledger.append(
                DeliveryRecord(
                    issue=issue, what=what, text=text, done=False, reason=reason, at=utc_now(), place=self.place
                )
            )

    def _settled(self, issue: int, what: Delivery, text: str) -> None:
        """Write down that what was owed is done; of what never was there is no record."""
        last = self._latest(issue, what)
        if last is not None and not last.done:
            self.ledger.append(
                DeliveryRecord(issue=issue, what=what, text=text, done=True, reason="", at=utc_now(), place=self.place)
            )

    def _act(self, issue: int, what: Delivery, text: str) -> None:
        match what:
            case "comment":
                self.tracker.comment(issue, text)
            case "status":
                self.tracker.mark(issue, cast(IssueStatus, text))
            case "push":
                self._push(issue, text.splitlines())
            case "pull":
                branch, title, body = text.split("\n", 2)
                self.tracker.pull(issue, branch, title, body)
            case "close":
                self.tracker.close(issue)

    def _push(self, issue: int, refs: list[str]) -> None:
        if self.tracker.upstream is None:
            return
        for told in self.repo.push(self.tracker.upstream, refs, _known(self.ledger, issue)):
            self.tell(Notice(told))


def of(parts: CampaignContext) -> Outbox:
    """The outbox of a campaign's parts."""
    return Outbox(parts.repo, parts.ledger, parts.tracker, parts.emit)


def _known(ledger: Ledger, issue: int) -> set[str]:
    """Commits from which a baseline may be moved: where campaigns here began, and what was promoted here."""
    promoted = (record for record in ledger.records_of(PromotionRecord, issue))
    began = {record.base for record in ledger.records_of(CampaignRecord, issue)}
    return began | {commit for record in promoted for commit in (record.old, record.new)}


def _said(what: Delivery, issue: int) -> str:
    told = {"push": "the branches", "pull": "the pull request", "comment": "the comment", "status": "the label"}
    return f"{told.get(what, 'the end')} of issue {issue}"

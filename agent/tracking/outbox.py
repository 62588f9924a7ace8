"""What goes to the tracker: delivered now or, where that fails, kept in the ledger and delivered at a later start."""

from collections.abc import Callable, Iterable
from typing import cast

from agent.core.errors import HarnessError, Unreachable
from agent.core.experiment import IssueStatus
from agent.core.faults import fault_point
from agent.core.frozen import frozen
from agent.core.protocols import Event, Notice, Tracker
from agent.core.records import CampaignRecord, DeliveryRecord, PromotionRecord, utc_now
from agent.core.runs import Delivery
from agent.store.ledger import Ledger
from agent.store.repository import Repository

ORDER: tuple[Delivery, ...] = ("push", "pull", "comment", "status", "close")  # a pull request needs its branch
_NAMES = {"push": "the branches", "pull": "the pull request", "comment": "the comment", "status": "the label"}


@frozen
class Outbox:
    """The way to the tracker and to the remote that it names. Without a remote nothing is pushed and no failure kept.

    What is delivered twice has the effect of once.
    """

    repo: Repository
    ledger: Ledger
    tracker: Tracker
    emit: Callable[[Event], None]

    @property
    def place(self) -> str:
        """The repository that the deliveries are for; empty where issues are files."""
        return self.tracker.upstream.place if self.tracker.upstream else ""

    def post(self, issue: int, what: Delivery, text: str) -> None:
        """Deliver one text. The ledger keeps what fails: the user is notified of Unreachable, other errors are raised.

        The `text` of a pull request is its branch, its title and its body.
        """
        fault_point("post-before")
        if what == "close":  # recorded beforehand, so that a closed issue is known to be closed by us
            self._record_failure(issue, what, text, "about to be closed")
        try:
            self._deliver(issue, what, text)
        except HarnessError as error:
            self._record_failure(issue, what, text, str(error))
            if not isinstance(error, Unreachable):
                raise
            self.emit(Notice(f"{_name(what, issue)} is not delivered: {error.problem}; the next start delivers it"))
        else:
            self._record_success(issue, what, text)
        fault_point("post-after")

    def post_all(self, issue: int, posts: Iterable[tuple[Delivery, str]]) -> None:
        """Deliver all, one after another; then raise the first error that was no Unreachable."""
        errors = []
        for what, text in posts:
            try:
                self.post(issue, what, text)
            except HarnessError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def redeliver(self) -> None:
        """Deliver what failed before. Raises nothing: what fails once more stays undelivered."""
        for record in self.undelivered():
            try:
                self._deliver(record.issue, record.what, record.text)
            except HarnessError as error:
                self.emit(Notice(f"{_name(record.what, record.issue)} is still not delivered: {error}"))
            else:
                fault_point("redelivered")
                self._record_success(record.issue, record.what, record.text)
                self.emit(Notice(f"{_name(record.what, record.issue)} is delivered now, due since {record.at[:16]}"))

    def undelivered(self) -> list[DeliveryRecord]:
        """Return what this place has not received yet, in the order in which it is to be delivered."""
        latest = {
            (one.issue, one.what): one for one in self.ledger.records_of(DeliveryRecord) if one.place == self.place
        }
        pending = [one for one in latest.values() if not one.done]
        return sorted(pending, key=lambda one: (one.issue, ORDER.index(one.what)))

    def _latest(self, issue: int, what: Delivery) -> DeliveryRecord | None:
        mine = [
            one for one in self.ledger.records_of(DeliveryRecord, issue) if (one.what, one.place) == (what, self.place)
        ]
        return mine[-1] if mine else None

    def _record_failure(self, issue: int, what: Delivery, text: str, reason: str) -> None:
        """Record that a text is undelivered, once."""
        last = self._latest(issue, what)
        if self.place and (last is None or last.done or last.text != text):
            self._record(issue, what, text, reason, done=False)

    def _record_success(self, issue: int, what: Delivery, text: str) -> None:
        """Record that an undelivered text is delivered; there is no record of what never failed."""
        last = self._latest(issue, what)
        if last is not None and not last.done:
            self._record(issue, what, text, "", done=True)

    def _record(self, issue: int, what: Delivery, text: str, reason: str, *, done: bool) -> None:
        self.ledger.append(
            DeliveryRecord(issue=issue, what=what, text=text, done=done, reason=reason, at=utc_now(), place=self.place)
        )

    def _deliver(self, issue: int, what: Delivery, text: str) -> None:
        match what:
            case "comment":
                self.tracker.comment(issue, text)
            case "status":
                self.tracker.set_status(issue, cast(IssueStatus, text))
            case "push":
                self._push(issue, text.splitlines())
            case "pull":
                branch, title, body = text.split("\n", 2)
                self.tracker.pull(issue, branch, title, body)
            case "close":
                self.tracker.close(issue)

    def _push(self, issue: int, refs: list[str]) -> None:
        from agent.store.remote import Remote

        if self.tracker.upstream is None:
            return
        for notice in Remote(self.repo, self.tracker.upstream).push(refs, _own_baselines(self.ledger, issue)):
            self.emit(Notice(notice))


def _own_baselines(ledger: Ledger, issue: int) -> set[str]:
    """Return the commits from which a baseline may be moved: bases of campaigns here, and what was promoted here."""
    promoted = (record for record in ledger.records_of(PromotionRecord, issue))
    bases = {record.base for record in ledger.records_of(CampaignRecord, issue)}
    return bases | {commit for record in promoted for commit in (record.old, record.new)}


def _name(what: Delivery, issue: int) -> str:
    """Return what a delivery is called in a sentence."""
    return f"{_NAMES.get(what, 'the end')} of issue {issue}"

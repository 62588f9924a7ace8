"""The append-only JSONL ledger, the only state beside git: one checksummed Record a line, under a lock, fsynced."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import TypeVar, cast

from agent.core.errors import BadInput, HarnessError
from agent.core.records import (
    AddedCandidate,
    AuditRecord,
    CampaignRecord,
    CandidatesRecord,
    CommandRecord,
    DeliveryRecord,
    HoldoutReadRecord,
    PromotionRecord,
    ProposalRecord,
    ReadingRecord,
    Record,
    RoundRecord,
    RunRecord,
    SessionRecord,
    SpendRecord,
    VerdictRecord,
)
from agent.core.runs import Conditions
from agent.store import codec

_OfIssue = TypeVar(
    "_OfIssue",
    RunRecord,
    CampaignRecord,
    HoldoutReadRecord,
    PromotionRecord,
    AuditRecord,
    CommandRecord,
    DeliveryRecord,
    SpendRecord,
    RoundRecord,
    ProposalRecord,
    ReadingRecord,
    SessionRecord,
    CandidatesRecord,
)


class Ledger:
    """The ledger of one repository. Reads once; `append` is the only door to a change."""

    def __init__(self, path: Path, lock: Path) -> None:
        """Load `path`; a torn last line is left out. Raises BadInput naming the first damaged line elsewhere."""
        self.path = path
        self._lock = lock
        self._by_kind = defaultdict[type[Record], list[Record]](list)
        self._by_issue = defaultdict[tuple[type[Record], int], list[Record]](list)
        self._by_campaign = defaultdict[tuple[type[Record], int, str], list[Record]](list)
        self._by_conditions = defaultdict[Conditions, list[RunRecord]](list)
        self._by_tree = defaultdict[tuple[Conditions, str], list[RunRecord]](list)
        self._by_commit = defaultdict[str, list[RunRecord]](list)
        self._homes = set[str]()  # the folders of runs
        for record in self._load():
            self._index(record)

    def _index(self, record: Record) -> None:
        kind = type(record)
        self._by_kind[kind].append(record)
        self._by_issue[kind, record.issue].append(record)
        if isinstance(record, RunRecord | VerdictRecord | AuditRecord | CandidatesRecord):
            self._by_campaign[kind, record.issue, record.campaign_id].append(record)
        if isinstance(record, RunRecord):
            self._by_conditions[record.conditions].append(record)
            self._by_tree[record.conditions, record.tree].append(record)
            self._by_commit[record.commit].append(record)
            self._homes.add(record.log.rpartition("/")[0])

    def _load(self) -> Iterator[Record]:
        if not self.path.exists():
            return
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]  # what follows the last newline was torn by a crash
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            record = codec.decode(line.decode(errors="replace"))
            if record is None:
                raise BadInput(
                    "the line is damaged: its checksum does not match",
                    where=f"{self.path}:{number}",
                    next_step="restore the file from a backup, or delete that one line: its run is then done again",
                )
            yield record

    def append(self, record: Record) -> None:
        """Add one record durably. Raises HarnessError where the disk is full; the ledger is then unchanged."""
        from filelock import FileLock  # brings asyncio along, and a command that only shows adds nothing

        line = f"{codec.encode(record)}\n".encode()
        with FileLock(self._lock):
            try:
                self._write(line)
            except OSError as error:
                raise HarnessError(
                    f"cannot add a record: {error.strerror}",
                    where=str(self.path),
                    next_step="free some space and run the same command again; what was recorded is intact",
                ) from None
        self._index(record)

    def _write(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("r+b" if self.path.exists() else "w+b", buffering=0) as file:
            end = _end_of_last_line(file)
            file.truncate(end)
            file.seek(end)
            try:
                while line:  # a disk that is nearly full takes a part
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    # --- queries, each answered from an index, in the order in which the records were made ---

    def runs(self, conditions: Conditions | None = None, role: str | None = None) -> list[RunRecord]:
        """Return the runs of one role, or of all but the probes; those under the same conditions, or all."""
        runs = self.records_of(RunRecord) if conditions is None else self._by_conditions.get(conditions, ())
        return [run for run in runs if (run.role == role if role else run.role != "probe")]

    def runs_since(self, conditions: Conditions, number: int) -> list[RunRecord]:
        """Return the runs under the same conditions after the first `number` of them, probes among them."""
        return self._by_conditions.get(conditions, [])[number:]

    def runs_of_tree(self, conditions: Conditions, tree: str) -> list[RunRecord]:
        """Return the runs of a tree under the same conditions, probes among them."""
        return list(self._by_tree.get((conditions, tree), ()))

    def runs_of_commit(self, commit: str) -> list[RunRecord]:
        """Return the runs of a commit, probes among them, whichever campaign made them."""
        return list(self._by_commit.get(commit, ()))

    def runs_of_campaign(self, issue: int, campaign_id: str) -> list[RunRecord]:
        """Return the runs that a campaign made, probes among them."""
        return cast(list[RunRecord], list(self._by_campaign.get((RunRecord, issue, campaign_id), ())))

    def has_run_in(self, folder: str) -> bool:
        """Return whether a run has a folder for its home, by its path within the repository."""
        return folder in self._homes

    def campaigns(self, issue: int | None = None) -> list[CampaignRecord]:
        """Return the campaigns of an issue, or all, each with the commits that its strategy has added."""
        return [self.current(one) for one in self.records_of(CampaignRecord, issue)]

    def current(self, campaign: CampaignRecord) -> CampaignRecord:
        """Return a campaign with the commits and trees of the candidates that its strategy has added so far."""
        added = [one for one in self.added(campaign) if one.commit and one.candidate.name not in campaign.commits]
        if not added:
            return campaign
        commits = {one.candidate.name: one.commit for one in added}
        trees = {one.candidate.name: one.tree for one in added}
        return replace(campaign, commits={**campaign.commits, **commits}, trees={**campaign.trees, **trees})

    def added(self, campaign: CampaignRecord) -> list[AddedCandidate]:
        """Return the candidates that a campaign's strategy has added, oldest first."""
        records = self._by_campaign.get((CandidatesRecord, campaign.issue, campaign.at), ())
        return [one for record in records for one in cast(CandidatesRecord, record).added]

    def verdict(self, campaign: CampaignRecord) -> VerdictRecord | None:
        """Return the verdict of a campaign, or None while it has none."""
        verdicts = self._by_campaign.get((VerdictRecord, campaign.issue, campaign.at), ())
        return cast(VerdictRecord, verdicts[0]) if verdicts else None

    def audits(self, campaign: CampaignRecord) -> list[AuditRecord]:
        """Return the audits of a campaign's winners."""
        return cast(list[AuditRecord], list(self._by_campaign.get((AuditRecord, campaign.issue, campaign.at), ())))

    def audited(self, conditions: Conditions) -> list[tuple[str, AuditRecord]]:
        """Return the audits under the same conditions, each with the tree of its variant, whatever the campaign."""
        campaigns = (campaign for campaign in self.campaigns() if campaign.conditions == conditions)
        audits = ((campaign, one) for campaign in campaigns for one in self.audits(campaign))
        return [(campaign.trees[one.variant], one) for campaign, one in audits if one.variant in campaign.trees]

    def records_of(self, kind: type[_OfIssue], issue: int | None = None) -> list[_OfIssue]:
        """Return the records of one kind that belong to an issue, or to any."""
        records = self._by_kind.get(kind, ()) if issue is None else self._by_issue.get((kind, issue), ())
        return cast(list[_OfIssue], list(records))

    def issues(self, kind: type[_OfIssue]) -> set[int]:
        """Return the issues that have records of one kind."""
        return {issue for known, issue in self._by_issue if known is kind}

    def failed_trees(self) -> set[str]:
        """Return the trees that failed an audit, in any campaign."""
        commits = {audit.commit for audit in self.records_of(AuditRecord) if audit.status == "failed"}
        return {run.tree for commit in commits for run in self._by_commit.get(commit, ()) if run.role != "probe"}

    def holdout_reads(self, conditions: Conditions) -> int:
        """Return how often the second held-out set of a track's corpus was read so far, or was about to be.

        An audit from before there were records of the reading itself counts as one.
        """
        corpus = (conditions.track, conditions.corpus)
        known = {(c.issue, c.at) for c in self.campaigns() if (c.conditions.track, c.conditions.corpus) == corpus}
        reads = [r for r in self.records_of(HoldoutReadRecord) if (r.issue, r.campaign_id) in known]
        recorded = {(r.issue, r.campaign_id, r.variant) for r in reads}
        audits = (r for r in self.records_of(AuditRecord) if (r.issue, r.campaign_id) in known)
        return len(reads) + sum((r.issue, r.campaign_id, r.variant) not in recorded for r in audits)

    def promotions(self, track: str) -> list[PromotionRecord]:
        """Return the promotions of a track."""
        return [record for record in self.records_of(PromotionRecord) if record.track == track]


def _end_of_last_line(file: FileIO, step: int = 1 << 16) -> int:
    """The offset after the last newline: where the next record goes, over a line that a crash tore."""
    start = file.seek(0, os.SEEK_END)
    while start > 0:
        start = max(0, start - step)
        file.seek(start)
        newline = file.read(step).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
    return 0

"""The append-only JSONL ledger, the only state beside git: one checksummed Record a line, under a lock, fsynced."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import TypeVar, cast

from agent.core.errors import BadInput, HarnessError
from agent.core.experiment import GateRules
from agent.core.proposals import Idea
from agent.core.records import (
    AuditRecord,
    CampaignRecord,
    CommandRecord,
    DeliveryRecord,
    HoldoutReadRecord,
    PromotionRecord,
    ProposalRecord,
    Record,
    RoundRecord,
    RunRecord,
    SessionRecord,
    SpendRecord,
    VerdictRecord,
)
from agent.core.runs import Conditions, Verdict

_SUM = ',"sum":"'  # begins the checksum, the last key of every line
_TAIL = len(_SUM) + 16 + len('"}')
_Fields = dict[str, object]
_OfIssue = TypeVar(
    "_OfIssue",
    CampaignRecord,
    PromotionRecord,
    AuditRecord,
    CommandRecord,
    DeliveryRecord,
    SpendRecord,
    RoundRecord,
    ProposalRecord,
    SessionRecord,
)


def _checksum(payload: str) -> str:
    return sha256(payload.encode()).hexdigest()[:16]


def encode(record: Record) -> str:
    """One line of the ledger, without its newline. Raises ValueError on NaN or infinity: neither is ever a result."""
    payload = json.dumps(asdict(record), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return f'{payload[:-1]}{_SUM}{_checksum(payload)}"}}'


def decode(line: str) -> Record | None:
    """The record of one line, or None where the line is damaged."""
    payload, tail = f"{line[:-_TAIL]}}}", line[-_TAIL:]
    if tail != f'{_SUM}{_checksum(payload)}"}}':
        return None
    fields = cast(_Fields, json.loads(payload))
    return _READERS[cast(str, fields["kind"])](fields)


def _conditions(fields: _Fields) -> Conditions:
    return Conditions(**cast(Mapping[str, str], fields["conditions"]))  # type: ignore[arg-type]


def _run(fields: _Fields) -> RunRecord:
    return RunRecord(**{**fields, "conditions": _conditions(fields)})  # type: ignore[arg-type]


def _campaign(fields: _Fields) -> CampaignRecord:
    told = cast(Mapping[str, object], fields["gate"])
    gate = GateRules(**{**told, "seeds": tuple(cast(Sequence[int], told["seeds"]))})  # type: ignore[arg-type]
    return CampaignRecord(**{**fields, "conditions": _conditions(fields), "gate": gate})  # type: ignore[arg-type]


def _one_verdict(raw: Mapping[str, object]) -> Verdict:
    bounds = cast(Sequence[float] | None, raw["interval"])
    interval = None if bounds is None else (bounds[0], bounds[1])
    return Verdict(**{**raw, "interval": interval})  # type: ignore[arg-type]


def _verdict(fields: _Fields) -> VerdictRecord:
    rows = cast(Sequence[Mapping[str, object]], fields["variants"])
    verdict = _one_verdict(cast(Mapping[str, object], fields["verdict"]))
    return VerdictRecord(
        **{**fields, "verdict": verdict, "variants": tuple(_one_verdict(row) for row in rows)}  # type: ignore[arg-type]
    )


def _audit(fields: _Fields) -> AuditRecord:
    return AuditRecord(**{**fields, "failed": tuple(cast(Sequence[str], fields["failed"]))})  # type: ignore[arg-type]


def _round(fields: _Fields) -> RoundRecord:
    ideas = (Idea(**told) for told in cast(Sequence[Mapping[str, str]], fields["ideas"]))
    return RoundRecord(**{**fields, "ideas": tuple(ideas)})  # type: ignore[arg-type]


def _plain(make: Callable[..., Record]) -> Callable[[_Fields], Record]:
    """The reader of a record that holds nothing but text and numbers."""
    return lambda fields: make(**fields)


_READERS: Mapping[str, Callable[[_Fields], Record]] = {
    "run": _run,
    "campaign": _campaign,
    "verdict": _verdict,
    "held-read": _plain(HoldoutReadRecord),
    "audit": _audit,
    "promotion": _plain(PromotionRecord),
    "steer": _plain(CommandRecord),
    "post": _plain(DeliveryRecord),
    "spend": _plain(SpendRecord),
    "round": _round,
    "proposal": _plain(ProposalRecord),
    "loop": _plain(SessionRecord),
}


class Ledger:
    """The ledger of one repository. Reads once; `append` is the only door to a change."""

    def __init__(self, path: Path, lock: Path) -> None:
        """Load `path`; a torn last line is left out. Raises BadInput naming the first damaged line elsewhere."""
        self.path = path
        self._lock = lock
        self._records = list(self._load())

    def _load(self) -> Iterator[Record]:
        if not self.path.exists():
            return
        text = self.path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]  # what follows the last newline was torn by a crash
        for number, line in enumerate(whole.split(b"\n")[:-1], start=1):
            record = decode(line.decode(errors="replace"))
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

        line = f"{encode(record)}\n".encode()
        with FileLock(self._lock):
            try:
                self._write(line)
            except OSError as error:
                raise HarnessError(
                    f"cannot add a record: {error.strerror}",
                    where=str(self.path),
                    next_step="free some space and run the same command again; what was recorded is intact",
                ) from None
        self._records.append(record)

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

    # --- queries ---

    def runs(self, conditions: Conditions | None = None, role: str | None = None) -> list[RunRecord]:
        """Runs in the order in which they ended; probes only when asked for by `role`."""
        runs = (record for record in self._records if isinstance(record, RunRecord))
        return [
            run
            for run in runs
            if (conditions is None or run.conditions == conditions)
            and (run.role == role if role else run.role != "probe")
        ]

    def campaigns(self, issue: int | None = None) -> list[CampaignRecord]:
        """Campaigns in the order in which they began."""
        found = (record for record in self._records if isinstance(record, CampaignRecord))
        return [record for record in found if issue is None or record.issue == issue]

    def verdict(self, campaign: CampaignRecord) -> VerdictRecord | None:
        """The verdict of a campaign, or None while it has none."""
        found = (record for record in self._records if isinstance(record, VerdictRecord))
        return next((r for r in found if (r.issue, r.campaign) == (campaign.issue, campaign.at)), None)

    def audits(self, campaign: CampaignRecord) -> list[AuditRecord]:
        """The audits of a campaign's winners, oldest first."""
        found = (record for record in self._records if isinstance(record, AuditRecord))
        return [record for record in found if (record.issue, record.campaign) == (campaign.issue, campaign.at)]

    def audited(self, conditions: Conditions, tree: str) -> list[AuditRecord]:
        """The audits of a tree under the same conditions, whatever the campaign and whatever its name, oldest first."""
        asked = [campaign for campaign in self.campaigns() if campaign.conditions == conditions]
        return [one for campaign in asked for one in self.audits(campaign) if campaign.trees.get(one.variant) == tree]

    def records_of(self, kind: type[_OfIssue], issue: int | None = None) -> list[_OfIssue]:
        """The records of one kind that belong to an issue, or to any, oldest first."""
        found = (record for record in self._records if isinstance(record, kind))
        return [record for record in found if issue is None or record.issue == issue]

    def issues(self, kind: type[_OfIssue]) -> set[int]:
        """The issues that have records of one kind."""
        return {record.issue for record in self._records if isinstance(record, kind)}

    def failed_trees(self) -> set[str]:
        """The trees that failed an audit, in any campaign."""
        commits = {r.commit for r in self._records if isinstance(r, AuditRecord) and r.status == "failed"}
        return {run.tree for run in self.runs() if run.commit in commits}

    def holdout_reads(self, conditions: Conditions) -> int:
        """How often the second held-out set of a track's corpus was read so far, or was about to be.

        An audit from before there were records of the reading itself counts as one.
        """
        asked = (conditions.track, conditions.corpus)
        known = {(c.issue, c.at) for c in self.campaigns() if (c.conditions.track, c.conditions.corpus) == asked}
        told = [r for r in self._records if isinstance(r, HoldoutReadRecord) and (r.issue, r.campaign) in known]
        noted = {(r.issue, r.campaign, r.variant) for r in told}
        audits = (r for r in self._records if isinstance(r, AuditRecord) and (r.issue, r.campaign) in known)
        return len(told) + sum((r.issue, r.campaign, r.variant) not in noted for r in audits)

    def promotions(self, track: str) -> list[PromotionRecord]:
        """Promotions of a track, oldest first."""
        found = (record for record in self._records if isinstance(record, PromotionRecord))
        return [record for record in found if record.track == track]


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

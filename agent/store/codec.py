"""One record as one line of the ledger and back: JSON and a checksum, read by the core of pydantic.

The names in the file are those of the first version, whatever the fields are called now.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from hashlib import sha256
from typing import Any, cast, get_args

from pydantic_core import SchemaValidator

from agent.core.records import CampaignRecord, ProposalRecord, Record, RunRecord, VerdictRecord
from agent.store.structure import validator

_SUM = ',"sum":"'  # begins the checksum, the last key of every line
_TAIL = len(_SUM) + 16 + len('"}')
_KIND = '"kind":"'  # a key of the record itself stands last: inside of a text its quotes are escaped
_STORED = {"campaign_id": "campaign", "holdout_reads": "held_reads", "summary": "said"}  # field: its name in the file
_FIXED_RUNS = 3  # confirmations of the gate that looks once, whose name was `confirmed` in the first version
MEANS = ("mean", "baseline_mean", "baseline_n")  # of a verdict
_CLASSES: Mapping[str, type[Record]] = {kind.kind: kind for kind in get_args(Record)}


def _checksum(payload: str) -> str:
    return sha256(payload.encode()).hexdigest()[:16]


def stored_name(field: str) -> str:
    """Return the name that a field of a record has in the file."""
    return _STORED.get(field, field)


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as the file has it, ready for `json.dumps`."""
    fields = {stored_name(name): value for name, value in asdict(record).items()}
    if isinstance(record, RunRecord | CampaignRecord):
        fields["conditions"]["budget"] = str(record.conditions.budget)
    if isinstance(record, CampaignRecord) and not record.gate.more:
        del fields["gate"]["more"]  # nobody asked for further runs: the first version wrote no key for them
    if isinstance(record, CampaignRecord) and record.metric == CampaignRecord.metric:
        del fields["metric"]  # the first version knew no other
    if isinstance(record, VerdictRecord):
        fields["verdict"], *fields["variants"] = map(_known, (fields["verdict"], *fields["variants"]))
        if record.findings is None:
            del fields["findings"]
    if isinstance(record, ProposalRecord) and not record.sizes:
        del fields["sizes"]  # no model was built: nor did the first version build one
    if isinstance(record, RunRecord) and not record.worker:
        del fields["worker"]  # which the first version did not know
    return fields


def _known(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict without the numbers that it does not have: the first version wrote no key for them."""
    return {name: value for name, value in verdict.items() if value is not None or name not in MEANS}


def encode(record: Record) -> str:
    """Return one line of the ledger, without its newline. Raises ValueError on NaN or infinity: neither is a result."""
    payload = json.dumps(to_json(record), allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return f'{payload[:-1]}{_SUM}{_checksum(payload)}"}}'


def decode(line: str) -> Record | None:
    """Return the record of one line, or None where the line is damaged."""
    payload, tail = f"{line[:-_TAIL]}}}", line[-_TAIL:]
    if tail != f'{_SUM}{_checksum(payload)}"}}':
        return None
    begin = payload.rindex(_KIND) + len(_KIND)
    record = _reader(payload[begin : payload.index('"', begin)]).validate_json(payload)
    return _renamed(record) if isinstance(record, CampaignRecord) else cast(Record, record)


def _renamed(campaign: CampaignRecord) -> CampaignRecord:
    """Return a campaign by today's name of its gate: `confirmed` once was the one that looks once, now `fixed`."""
    gate = campaign.gate
    if gate.kind != "confirmed" or gate.confirm_runs != _FIXED_RUNS:
        return campaign
    return replace(campaign, gate=replace(gate, kind="fixed"))


@cache
def _reader(kind: str) -> SchemaValidator:
    """Return the reader of one kind of record, built when the first of its kind is met."""
    return validator(_CLASSES[kind], stored_name)

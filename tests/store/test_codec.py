"""Records as lines: what the first version of the harness wrote is read, and would be written so today.

first_version/ is what the code at commit 484a5ef left of a campaign: its ledger, with a record of every other kind
after it, the winner's git note and the issue's comment.
"""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest

from agent.core.experiment import Budget, GateRules
from agent.core.records import AuditRecord, CampaignRecord, ProposalRecord, Record, RunRecord
from agent.store.codec import decode, encode, stored_name, to_json
from agent.store.ledger import Ledger
from agent.tracking.comment import marker
from agent.tracking.exports import note
from tests.store.test_ledger import RECORDS, RUN

FIRST = Path(__file__).parent / "first_version"
LINES = (FIRST / "ledger.jsonl").read_text().splitlines()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(FIRST / "ledger.jsonl", tmp_path / "lock")


def test_the_first_versions_ledger_has_every_kind_of_record_and_all_are_read(ledger: Ledger) -> None:
    kinds = {json.loads(line)["kind"] for line in LINES}
    later = {"reading", "candidates"}  # no model read an issue then, and no strategy explored
    assert kinds == {kind.kind for kind in get_args(Record)} - later
    assert None not in [decode(line) for line in LINES]
    assert len(ledger.runs()) == 5


@pytest.mark.parametrize("line", LINES, ids=lambda line: json.loads(line)["kind"])
def test_a_line_of_the_first_version_is_what_would_be_written_today(line: str) -> None:
    record = decode(line)
    assert record is not None
    assert encode(record) == line


def test_fields_with_another_name_or_type_today_hold_what_was_stored(ledger: Ledger) -> None:
    (campaign,) = ledger.campaigns(3)
    assert campaign.conditions.budget == Budget("steps", 3)
    assert isinstance(campaign.gate, GateRules)
    assert campaign.gate.seeds == tuple(json.loads(LINES[0])["gate"]["seeds"])
    assert {run.campaign_id for run in ledger.records_of(RunRecord)} == {campaign.at}
    assert [run.seed for run in ledger.runs(campaign.conditions)] == [0] * 5
    verdict = ledger.verdict(campaign)
    assert verdict is not None
    assert (verdict.verdict.decision, verdict.verdict.variant) == ("keep", "1D")
    assert [one.holdout_reads for one in ledger.records_of(AuditRecord)] == [2]
    assert [one.summary for one in ledger.records_of(ProposalRecord)] == ["wider"]


def test_a_note_of_the_first_version_is_the_one_that_would_be_written_today(ledger: Ledger) -> None:
    (campaign,) = ledger.campaigns(3)
    record = ledger.verdict(campaign)
    assert record is not None
    verdict = next(one for one in record.variants if one.variant == "1D")
    runs = ledger.runs_of_commit(campaign.commits["1D"])
    assert note(campaign, "1D", verdict, runs, "val_bpb").strip() == (FIRST / "note.md").read_text().strip()


def test_a_comment_of_the_first_version_is_known_as_ours() -> None:
    assert (FIRST / "comment.md").read_text().startswith(marker(3))


def test_the_metric_of_a_campaign_is_kept_and_that_of_the_main_track_goes_without_saying() -> None:
    [main] = [one for one in RECORDS if isinstance(one, CampaignRecord)]
    other = replace(main, metric="val_nats")
    assert [decode(encode(one)) for one in (main, other)] == [main, other]
    assert ['"metric"' in encode(one) for one in (main, other)] == [False, True]


def test_that_a_run_came_from_a_worker_is_kept_and_else_nothing_is_said_of_it() -> None:
    own, forked = (replace(RUN, worker=worker) for worker in (False, True))
    assert [decode(encode(run)) for run in (own, forked)] == [own, forked]
    assert ['"worker"' in encode(run) for run in (own, forked)] == [False, True]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.kind)
def test_what_is_shown_as_json_has_the_stored_names(record: Record) -> None:
    fields = to_json(record)
    assert {stored_name(name) for name in vars(record)} - fields.keys() <= {"worker", "findings", "sizes", "metric"}
    if isinstance(record, RunRecord | CampaignRecord):
        assert fields["conditions"]["budget"] == str(record.conditions.budget)
    json.dumps(fields)


def test_a_field_that_a_later_version_adds_is_passed_over() -> None:
    fields = {"later": 1, **to_json(RECORDS[0])}
    payload = json.dumps(fields, separators=(",", ":"))
    assert decode(_signed(payload)) == RECORDS[0]


def _signed(payload: str) -> str:
    return f'{payload[:-1]},"sum":"{sha256(payload.encode()).hexdigest()[:16]}"}}'

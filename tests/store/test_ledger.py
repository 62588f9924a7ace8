"""The ledger keeps what it was given, through torn writes, damage and full disks."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import BadInput, HarnessError
from agent.core.experiment import Budget, GateRules
from agent.core.proposals import Idea
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
    Record,
    RoundRecord,
    RunRecord,
    SessionRecord,
    SpendRecord,
    VerdictRecord,
)
from agent.core.runs import Conditions, Verdict
from agent.core.trials import Candidate, Effect, Findings, Table
from agent.store.codec import decode, encode
from agent.store.ledger import Ledger

CONDITIONS = Conditions("main", "stdlib:abc", "mini", "calibrated", Budget("seconds", 20), "a processor, 2 cores")
RUN = RunRecord(
    issue=3,
    campaign_id="2026-01-01T00:00:00.000000+00:00",
    conditions=CONDITIONS,
    variant="1A",
    role="screen",
    parent="p" * 40,
    commit="c" * 40,
    tree="t" * 40,
    seed=0,
    steps=120,
    status="ok",
    metric=2.5,
    metrics={"val_bpb": 2.5, "tokens_per_second": 1e4},
    phases={"train": 20.0},
    seconds=25.5,
    reason="",
    log="logs/issue-3/1A/seed-0/run.log",
    at="2026-01-01T00:01:00.000000+00:00",
    description="DEPTH=6 Wider — “quoted”\u2028",
)
VERDICT = Verdict("1A", "keep", 0.1, (0.05, 0.15), 3, 0.01, "1A is better")
SPEND = SpendRecord(
    issue=3,
    call="call-1",
    variant="1A",
    model="a-model",
    settled=True,
    usd=0.0213,
    input_tokens=100,
    output_tokens=200,
    cache_write_tokens=30,
    cache_read_tokens=40,
    at=RUN.at,
)
RECORDS: list[Record] = [
    RUN,
    replace(RUN, status="crash", metric=None, metrics={}, steps=None, reason="exit status 1"),
    CampaignRecord(
        issue=3,
        title="title",
        body_sha256="s" * 64,
        conditions=CONDITIONS,
        gate=GateRules(seeds=(7, 8)),
        base="b" * 40,
        commits={"1A": "c" * 40},
        trees={"1A": "t" * 40},
        at=RUN.at,
        pins={"prepare.py": "e" * 64},
        sandbox="bwrap",
    ),
    VerdictRecord(
        issue=3,
        campaign_id=RUN.campaign_id,
        verdict=VERDICT,
        variants=(replace(VERDICT, mean=0.0, baseline_mean=2.5, baseline_n=3), replace(VERDICT, interval=None, p=None)),
        at=RUN.at,
    ),
    HoldoutReadRecord(issue=3, campaign_id=RUN.campaign_id, variant="1A", at=RUN.at),
    AuditRecord(
        issue=3,
        campaign_id=RUN.campaign_id,
        variant="1A",
        commit="c" * 40,
        status="failed",
        failed=("order",),
        checks={"order": "x"},
        metrics={"b": 1.0},
        holdout_reads=2,
        sandbox="none",
        seconds=1.0,
        at=RUN.at,
    ),
    PromotionRecord(
        issue=3,
        campaign_id=RUN.campaign_id,
        track="main",
        variant="1A",
        profile="mini",
        old="b" * 40,
        new="c" * 40,
        at=RUN.at,
    ),
    CommandRecord(
        issue=3,
        body_sha256="s" * 64,
        remark="comment-12",
        author="somebody",
        command="/skip 1B",
        answer="1B is skipped",
        obeyed=True,
        at=RUN.at,
    ),
    DeliveryRecord(issue=3, what="comment", text="# A comment", done=False, reason="no network", at=RUN.at),
    SPEND,
    RoundRecord(
        issue=3,
        body_sha256="s" * 64,
        track="main",
        round=1,
        base="b" * 40,
        ideas=(Idea("1A", "wider", "because", "-0.01"),),
        failure="",
        at=RUN.at,
    ),
    ProposalRecord(
        issue=3,
        round=1,
        variant="1A",
        accepted=True,
        summary="wider",
        commit="c" * 40,
        tree="t" * 40,
        failure="",
        attempts=2,
        usd=0.0213,
        at=RUN.at,
    ),
    SessionRecord(
        issue=3, body_sha256="s" * 64, hours=8.0, max_usd=None, ended=True, reason="the time is used up", at=RUN.at
    ),
    CandidatesRecord(
        issue=3,
        campaign_id="c",
        added=(
            AddedCandidate(
                candidate=Candidate(
                    name="g01-1", sets={"DEPTH": 4, "LR": 0.5}, origin="cross", parents=("a", "b"), generation=2
                ),
                commit="c1",
                tree="t1",
            ),
            AddedCandidate(
                candidate=Candidate(name="g01-2", sets={}), commit="", tree="", failure="it is the baseline"
            ),
        ),
        at="2026-01-01",
    ),
    VerdictRecord(
        issue=3,
        campaign_id=RUN.campaign_id,
        verdict=VERDICT,
        variants=(),
        at=RUN.at,
        findings=Findings(
            "depth", (Effect("depth", 0.1, (0.05, 0.15), 3),), (Table("t", ("a",), (("1",), ("2",))),), ("a note",)
        ),
    ),
]


def open_ledger(folder: Path) -> Ledger:
    return Ledger(folder / "ledger.jsonl", folder / "ledger.lock")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: f"{record.kind}-{getattr(record, 'status', '')}")
def test_every_kind_of_record_comes_back_as_it_went_in(record: Record) -> None:
    assert decode(encode(record)) == record
    assert json.loads(encode(record))["kind"] == record.kind


@given(text=st.text(), value=st.floats(allow_nan=False, allow_infinity=False), seed=st.integers(0, 2**62))
def test_any_text_and_any_finite_number_survive(text: str, value: float, seed: int) -> None:
    record = replace(RUN, description=text, metric=value, seed=seed)
    assert decode(encode(record)) == record


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(replace(RUN, metric=value))


@given(st.data())
def test_any_flipped_byte_is_noticed(data: st.DataObject) -> None:
    line = encode(replace(RUN, description="plain"))
    at = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="ascii", categories=["L", "N", "P"]).filter(lambda c: c != line[at]))
    assert decode(line[:at] + other + line[at + 1 :]) is None


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    for record in RECORDS:
        ledger.append(record)
    again = open_ledger(tmp_path)
    assert again.runs() == [RECORDS[0], RECORDS[1]] == ledger.runs()
    assert again.campaigns(3) == [RECORDS[2]]
    assert again.promotions("main") == [one for one in RECORDS if isinstance(one, PromotionRecord)]


def test_a_reading_of_the_second_set_is_counted_before_it_is_made_and_an_old_audit_as_one(tmp_path: Path) -> None:
    ledger, campaign, (read, audit) = open_ledger(tmp_path), RECORDS[2], RECORDS[4:6]
    assert isinstance(audit, AuditRecord)
    assert isinstance(campaign, CampaignRecord)
    ledger.append(replace(campaign, at=RUN.campaign_id))
    counts = [ledger.holdout_reads(CONDITIONS)]
    for record in (replace(audit, variant="old"), read, read, audit, replace(audit, campaign_id="another")):
        ledger.append(record)
        counts.append(ledger.holdout_reads(CONDITIONS))
    assert counts == [0, 1, 2, 3, 3, 3]
    assert ledger.holdout_reads(replace(CONDITIONS, corpus="another")) == 0


def test_a_torn_last_line_is_cut_off_at_the_next_append(tmp_path: Path) -> None:
    for torn in (1, 50, len(encode(RUN)) - 1, len(encode(RUN))):
        path = tmp_path / "ledger.jsonl"
        path.write_text(f"{encode(RUN)}\n{encode(RUN)[:torn]}")
        ledger = open_ledger(tmp_path)
        assert ledger.runs() == [RUN]
        ledger.append(replace(RUN, seed=9))
        assert [run.seed for run in open_ledger(tmp_path).runs()] == [0, 9]


def test_a_torn_line_longer_than_a_block_is_cut_off_whole(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text(f"{encode(RUN)}\n" + "x" * 200_000)
    open_ledger(tmp_path).append(replace(RUN, seed=9))
    assert [run.seed for run in open_ledger(tmp_path).runs()] == [0, 9]


def test_a_ledger_of_one_torn_line_is_empty(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text(encode(RUN)[:80])
    open_ledger(tmp_path).append(RUN)
    assert open_ledger(tmp_path).runs() == [RUN]


def test_damage_elsewhere_stops_the_program_and_names_the_line(tmp_path: Path) -> None:
    lines = [encode(replace(RUN, seed=seed)) for seed in range(3)]
    lines[1] = lines[1].replace('"seed":1', '"seed":7')
    (tmp_path / "ledger.jsonl").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(BadInput, match=r"ledger\.jsonl:2: the line is damaged"):
        open_ledger(tmp_path)


def test_a_full_disk_leaves_the_ledger_whole_and_says_so(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.append(RUN)
    before = (tmp_path / "ledger.jsonl").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limit[1]))
    try:
        with pytest.raises(HarnessError, match="cannot add a record: File too large"):
            ledger.append(replace(RUN, seed=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / "ledger.jsonl").read_bytes() == before
    assert [run.seed for run in ledger.runs()] == [0]


APPENDER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.store.test_ledger import RUN, open_ledger
ledger = open_ledger(Path(sys.argv[1]))
for seed in range(40):
    ledger.append(replace(RUN, variant=sys.argv[2], seed=seed))
"""


def test_two_programs_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    programs = [
        subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path), name], cwd=root, env={**os.environ})
        for name in ("1A", "1B")
    ]
    assert [program.wait(60) for program in programs] == [0, 0]
    runs = open_ledger(tmp_path).runs()
    assert len(runs) == 80
    assert {(run.variant, run.seed) for run in runs} == {(name, seed) for name in ("1A", "1B") for seed in range(40)}

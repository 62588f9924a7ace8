"""The promotion of a winner: due once, and only where its audit passed or none could be made."""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from agent.audit.integrity import HOLDOUT_FILE
from agent.campaign.promote import pending_promotion, promotion_of
from agent.core.records import AuditRecord, CampaignRecord, PromotionRecord, VerdictRecord
from agent.store.ledger import Ledger
from tests.store.test_ledger import RECORDS

_T = TypeVar("_T")


def sample(kind: type[_T]) -> _T:
    return next(one for one in RECORDS if isinstance(one, kind))


CAMPAIGN = replace(sample(CampaignRecord), at="begun")
VERDICT = replace(sample(VerdictRecord), campaign_id="begun")
AUDIT = replace(sample(AuditRecord), campaign_id="begun")
PROMOTION = replace(sample(PromotionRecord), campaign_id="begun")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl", tmp_path / "lock")


def test_a_winner_is_pending_until_it_is_promoted(ledger: Ledger) -> None:
    assert pending_promotion(ledger, CAMPAIGN) is None
    ledger.append(VERDICT)
    assert pending_promotion(ledger, CAMPAIGN) == VERDICT.verdict.variant
    ledger.append(PROMOTION)
    assert pending_promotion(ledger, CAMPAIGN) is None
    assert promotion_of(ledger, CAMPAIGN) == PROMOTION


def test_a_verdict_that_keeps_nothing_promotes_nothing(ledger: Ledger) -> None:
    ledger.append(replace(VERDICT, verdict=replace(VERDICT.verdict, decision="inconclusive")))
    assert pending_promotion(ledger, CAMPAIGN) is None


def test_a_winner_that_could_be_audited_waits_for_an_audit_that_passed(ledger: Ledger) -> None:
    auditable = replace(CAMPAIGN, pins={HOLDOUT_FILE: "e" * 64})
    ledger.append(VERDICT)
    assert pending_promotion(ledger, auditable) is None
    ledger.append(replace(AUDIT, status="failed"))
    assert pending_promotion(ledger, auditable) is None
    ledger.append(replace(AUDIT, status="passed"))
    assert pending_promotion(ledger, auditable) == VERDICT.verdict.variant


def test_another_campaigns_promotion_is_none_of_this_one(ledger: Ledger) -> None:
    ledger.append(VERDICT)
    ledger.append(replace(PROMOTION, campaign_id="another"))
    assert pending_promotion(ledger, CAMPAIGN) == VERDICT.verdict.variant

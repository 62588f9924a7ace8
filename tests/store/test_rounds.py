"""The rounds of an issue in prose, as the ledger has them: what is open, what is finished, what was tried."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.proposals import Idea
from agent.core.records import CampaignRecord, ProposalRecord, RoundRecord, VerdictRecord
from agent.core.sizes import ModelSize
from agent.store import rounds
from agent.store.ledger import Ledger
from agent.store.rounds import ProposalRow, RoundRow
from tests.store.test_ledger import RECORDS, RUN

SHA = "c" * 64
AT = "2026-01-01T00:00:00+00:00"
IDEAS = (Idea("1A", "SwiGLU", "gates help", "-0.01"), Idea("1B", "wider", "", ""))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.jsonl", tmp_path / "lock")
    ledger.append(
        RoundRecord(issue=3, body_sha256=SHA, track="main", round=1, base="b" * 40, ideas=IDEAS, failure="", at=AT)
    )
    return ledger


def proposal(name: str, *, accepted: bool = True, tree: str = "") -> ProposalRecord:
    return ProposalRecord(
        issue=3,
        round=1,
        variant=name,
        accepted=accepted,
        summary="",
        commit="d" * 40,
        tree=tree or name * 20,
        failure="" if accepted else "no",
        attempts=1,
        usd=0.02,
        at=AT,
    )


def latest(ledger: Ledger) -> rounds.Round:
    return rounds.all_rounds(ledger, 3, SHA)[-1]


def test_a_round_is_complete_when_each_idea_has_ended(ledger: Ledger) -> None:
    assert latest(ledger).open_ideas == IDEAS
    ledger.append(proposal("1A"))
    assert [idea.name for idea in latest(ledger).open_ideas] == ["1B"]
    assert not rounds.is_finished(ledger, 3, latest(ledger))
    ledger.append(proposal("1B", accepted=False))
    assert latest(ledger).complete
    assert [one.variant for one in latest(ledger).accepted] == ["1A"]


def test_a_round_in_which_nothing_was_accepted_is_over(ledger: Ledger) -> None:
    for name in ("1A", "1B"):
        ledger.append(proposal(name, accepted=False))
    assert rounds.is_finished(ledger, 3, latest(ledger))


def test_a_round_without_ideas_is_over(ledger: Ledger) -> None:
    ledger.append(
        RoundRecord(issue=3, body_sha256=SHA, track="main", round=2, base="b" * 40, ideas=(), failure="declined", at=AT)
    )
    assert rounds.is_finished(ledger, 3, latest(ledger))


def test_another_body_has_rounds_of_its_own_under_numbers_of_their_own(ledger: Ledger) -> None:
    assert rounds.all_rounds(ledger, 3, "e" * 64) == []
    assert (rounds.next_number(ledger, 3), rounds.next_number(ledger, 4)) == (2, 1)


def test_ideas_get_the_names_of_variants() -> None:
    assert [one.name for one in rounds.name_ideas(IDEAS, 12)] == ["12A", "12B"]


def test_what_a_variant_is_for_is_told_in_its_authors_words() -> None:
    assert rounds.rationale(IDEAS[0]) == "SwiGLU: gates help (expected: -0.01)"
    assert rounds.rationale(IDEAS[1]) == "wider"


def test_what_was_tried_has_judged_variants_and_refused_proposals(ledger: Ledger) -> None:
    for record in RECORDS:
        ledger.append(replace(record, at=RUN.campaign_id) if isinstance(record, CampaignRecord) else record)
    ledger.append(proposal("1B", accepted=False))
    attempts = {one.name: one for one in rounds.past_attempts(ledger, "main")}
    assert attempts["#3 1B"].outcome == "refused: no"
    assert [one.outcome for one in rounds.past_attempts(ledger, "main") if one.name == "#3 1A"] == [
        "keep: gain +0.1000 (90 %: +0.0500 to +0.1500), mini, 20s",
        "keep: gain +0.1000, mini, 20s",
    ]
    assert attempts["#3 1A"].what == RUN.description
    assert rounds.past_attempts(ledger, "another") == []


def test_a_tree_that_ran_or_was_refused_is_known(ledger: Ledger) -> None:
    ledger.append(RUN)
    ledger.append(proposal("1B", accepted=False, tree="f" * 40))
    assert rounds.duplicate_of(ledger, RUN.tree) == f"{RUN.variant} of issue {RUN.issue}"
    assert rounds.duplicate_of(ledger, "f" * 40) == "1B of issue 3"
    assert rounds.duplicate_of(ledger, "0" * 40) is None


def test_the_size_of_a_tree_is_that_of_the_proposal_that_it_was(ledger: Ledger) -> None:
    size = ModelSize(params=1, flops_per_token=2, memory_mb=3)
    ledger.append(replace(proposal("1A", tree="a" * 40), sizes={"mini": size}))
    ledger.append(proposal("1B", tree="b" * 40))
    assert rounds.sizes_of(ledger, "a" * 40) == {"mini": size}
    assert rounds.sizes_of(ledger, "b" * 40) == rounds.sizes_of(ledger, "c" * 40) == {}


def test_a_reader_sees_every_round_and_what_became_of_each_proposal(ledger: Ledger) -> None:
    ledger.append(proposal("1A"))
    ledger.append(proposal("1B", accepted=False))
    assert rounds.proposal_rows(latest(ledger)) == (
        ProposalRow("1A", "SwiGLU: gates help (expected: -0.01)", "a variant"),
        ProposalRow("1B", "wider", "refused: no"),
    )
    assert rounds.round_rows(ledger, 3, SHA) == (RoundRow(1, "1A, 1B", "under way"),)


def test_a_round_for_a_reader_ends_with_its_verdict_or_with_why_nothing_ran(ledger: Ledger) -> None:
    ledger.append(proposal("1A", accepted=False))
    ledger.append(proposal("1B", accepted=False))
    campaign = next(one for one in RECORDS if isinstance(one, CampaignRecord))
    verdict = next(one for one in RECORDS if isinstance(one, VerdictRecord))
    ledger.append(replace(latest_record(ledger), round=2, ideas=(), failure="declined"))
    ledger.append(replace(latest_record(ledger), round=3, ideas=IDEAS, failure=""))
    ledger.append(replace(campaign, issue=3, round=3, at="at"))
    ledger.append(replace(verdict, issue=3, campaign_id="at"))
    outcomes = [one.outcome for one in rounds.round_rows(ledger, 3, SHA)]
    assert outcomes[:2] == ["nothing to run: no", "declined"]
    assert outcomes[2].startswith(f"{verdict.verdict.decision} {verdict.verdict.variant}, gain +")


def latest_record(ledger: Ledger) -> RoundRecord:
    return ledger.records_of(RoundRecord, 3)[-1]

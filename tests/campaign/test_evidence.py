"""Evidence: which runs count for a campaign, and how many steps the calibrated clock gives."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign.evidence import CampaignView, why_not_auditable
from agent.campaign.plan import CampaignRequest
from agent.core.experiment import BASELINE, Budget, GateRules
from agent.core.records import AuditRecord, CampaignRecord, CommandRecord, RunRecord, VerdictRecord
from agent.core.runs import Verdict
from agent.gate import schedule
from agent.store.ledger import Ledger
from tests.campaign.test_plan import model_code_in_base, plan
from tests.store.test_ledger import CONDITIONS, RUN
from tests.tracking.test_board import AUDIT

TREES = {name: f"tree of {name}" for name in (BASELINE, "1A", "1B", "1C", "1D")}
CAMPAIGN = CampaignRecord(
    issue=3,
    title="t",
    body_sha256="s",
    conditions=CONDITIONS,
    gate=GateRules(),
    base="b",
    commits={n: n for n in TREES},
    trees=TREES,
    at="now",
)  # type: ignore[arg-type]


@pytest.fixture
def evidence(project: Path) -> CampaignView:
    ledger = Ledger(project / "ledger.jsonl", project / "lock")
    return CampaignView(plan(project, CampaignRequest(3, "mini", "stdlib")), CAMPAIGN, ledger)


def run(name: str, seed: int, metric: float | None = 2.0, **more: object) -> RunRecord:
    told = {
        "variant": name,
        "tree": TREES.get(name, name),
        "seed": seed,
        "metric": metric,
        "campaign_id": "now",
        **more,
    }
    return replace(RUN, **told)  # type: ignore[arg-type]


def probe(name: str, number: int, step_seconds: float, **more: object) -> RunRecord:
    return run(name, number, None, role="probe", metrics={"step_seconds": step_seconds}, **more)


def audit(name: str, status: str, **more: object) -> AuditRecord:
    failed = {"issue": 3, "campaign_id": "now", "variant": name, "commit": name, "status": status, "failed": ("order",)}
    return replace(AUDIT, **{**failed, **more})  # type: ignore[arg-type]


def test_a_run_of_the_same_tree_counts_whoever_made_it_and_other_conditions_do_not(evidence: CampaignView) -> None:
    evidence.ledger.append(run("another name", 0, tree=TREES["1A"], campaign_id="earlier"))
    evidence.ledger.append(run("1A", 1, conditions=replace(CONDITIONS, machine="another")))
    assert [one.seed for one in evidence.runs("1A")] == [0]
    assert [(one.variant, one.seed) for one in evidence.measurements()] == [("1A", 0)]


def test_a_run_of_a_models_code_outside_the_sandbox_counts_only_where_no_sandbox_is_demanded(
    evidence: CampaignView,
) -> None:
    for name in (BASELINE, "1A"):
        evidence.ledger.append(run(name, 0, campaign_id="earlier", sandbox="none"))
        evidence.ledger.append(run(name, 1, campaign_id="earlier", sandbox="bwrap"))
    written, walled = model_code_in_base(evidence.plan), replace(CAMPAIGN, sandbox="bwrap")
    for made, campaign, expected in [
        (evidence.plan, CAMPAIGN, [0, 1]),
        (written, CAMPAIGN, [0, 1]),
        (evidence.plan, walled, [0, 1]),
        (written, walled, [1]),
    ]:
        asked = replace(evidence, plan=made, campaign=campaign)
        assert [one.seed for one in asked.ok_runs("1A")] == [one.seed for one in asked.ok_runs(BASELINE)] == expected
        assert [one.seed for one in asked.measurements()] == expected * 2


def test_probes_are_interleaved_and_a_variant_whose_probe_failed_gets_no_more(evidence: CampaignView) -> None:
    assert [name for name, _ in evidence.missing_probes()] == [BASELINE, "1D", "1C", "1A", "1B"] * 3
    evidence.ledger.append(probe("1D", 0, 0.1))
    evidence.ledger.append(probe("1C", 0, 0.1, status="crash"))
    left = evidence.missing_probes()
    assert ("1D", 0) not in left
    assert ("1D", 1) in left
    assert [name for name, _ in left if name == "1C"] == []
    assert [(one.variant, one.value) for one in evidence.measurements()] == [("1C", None)]


def test_steps_are_the_budget_over_the_quietest_probe_and_in_proportion_for_variants(evidence: CampaignView) -> None:
    for name, times in {BASELINE: (0.2, 0.1), "1D": (0.2, 0.4)}.items():
        for number, seconds in enumerate(times):
            evidence.ledger.append(probe(name, number, seconds))
    assert evidence.steps(BASELINE) == 3000
    assert evidence.steps("1D") == 1500


def test_a_baseline_that_ran_before_keeps_its_steps_and_variants_follow_by_ratio(evidence: CampaignView) -> None:
    evidence.ledger.append(run(BASELINE, 0, steps=1000, role="baseline", campaign_id="earlier"))
    for name, seconds in {BASELINE: 0.1, "1D": 0.2}.items():
        evidence.ledger.append(probe(name, 0, seconds))
    assert (evidence.steps(BASELINE), evidence.steps("1D")) == (1000, 500)


def test_probes_of_an_earlier_campaign_do_not_calibrate_this_one(evidence: CampaignView) -> None:
    evidence.ledger.append(probe(BASELINE, 0, 0.1, campaign_id="earlier"))
    assert evidence.probes(BASELINE) == []


def test_groups_are_replicates_of_other_trees_without_screening_runs(evidence: CampaignView) -> None:
    for tree, seeds in {"x": (1, 2, 3), "lonely": (1,), TREES["1A"]: (1, 2)}.items():
        for seed in seeds:
            evidence.ledger.append(run("old", seed, float(seed), tree=tree, role="confirm", campaign_id="earlier"))
    evidence.ledger.append(run("old", 9, 9.0, tree="x", role="screen", campaign_id="earlier"))
    evidence.ledger.append(run("old", 8, None, tree="x", role="confirm", status="crash", campaign_id="earlier"))
    assert evidence.replicate_groups() == [{1: 1.0, 2: 2.0, 3: 3.0}]


def test_a_refusal_is_no_run_after_which_the_baseline_is_measured_again(evidence: CampaignView) -> None:
    rules = GateRules(seeds=(0, 1, 2), remeasure_every=2)
    for seed in rules.seeds:
        evidence.ledger.append(run(BASELINE, seed, 2.0 + seed / 100, role="baseline"))
    evidence.ledger.append(run("1D", 0, 1.0))
    evidence.ledger.append(audit("1D", "failed"))
    assert {one.variant for one in evidence.measurements() if one.failure} == {"1D"}
    asked = schedule.next_runs(rules, ("1D", "1C"), evidence.measurements())
    assert [(one.variant, one.role) for one in asked] == [("1C", "screen")]


def test_what_an_audit_holds_against_a_tree_binds_every_later_campaign_under_its_own_name(
    evidence: CampaignView,
) -> None:
    ledger, other = evidence.ledger, {"2X": TREES["1D"], "2Y": TREES["1C"], "2Z": TREES["1B"], "2W": TREES[BASELINE]}
    for at, told in {"earlier": CONDITIONS, "elsewhere": replace(CONDITIONS, budget=Budget("seconds", 9))}.items():
        ledger.append(replace(CAMPAIGN, issue=2, at=at, trees=other, conditions=told, gate=GateRules()))
    for at, name, status in [
        ("earlier", "2X", "failed"),
        ("earlier", "2X", "passed"),  # a lucky draw
        ("earlier", "2Y", "quarantined"),
        ("elsewhere", "2Z", "failed"),
        ("earlier", "2W", "failed"),  # a person made it the baseline all the same
    ]:
        ledger.append(audit(name, status, issue=2, campaign_id=at))
    assert [one.variant for one in evidence.measurements() if one.failure] == ["1D"]
    bound = {name: one and one.status for name in TREES if (one := evidence.standing_audit(name)) and name != BASELINE}
    assert bound == {"1D": "failed", "1C": "quarantined"}
    assert {one.variant: one.status for one in evidence.audits()} == {"1D": "failed", "1C": "quarantined"}


@pytest.mark.parametrize(
    ("pins", "goal", "metric", "why"),
    [
        ({}, "min", "val_bpb", "prepares no held.npz"),
        ({"val.npz": "0"}, "min", "val_bpb", "prepares no held.npz"),
        ({"held.npz": "0"}, "max", "val_bpb", "of which fewer are better"),
        ({"held.npz": "0"}, "min", "seconds", "the audit scores val_bpb and val_nats"),
        ({"held.npz": "0"}, "min", "val_nats", ""),
        ({"held.npz": "0"}, "min", "val_bpb", ""),
    ],
)
def test_why_no_winner_can_be_audited_is_said(pins: dict[str, str], goal: str, metric: str, why: str) -> None:
    told = why_not_auditable(replace(CAMPAIGN, pins=pins, metric=metric, gate=GateRules(goal=goal)))  # type: ignore[arg-type]
    assert why in told
    assert bool(why) == bool(told)


def test_a_contended_run_is_shown_to_the_gate_as_such(evidence: CampaignView) -> None:
    evidence.ledger.append(run("1A", 0, 2.0, status="contended"))
    evidence.ledger.append(run("1A", 0, 2.0, status="contended", campaign_id="earlier"))
    assert [one.contended for one in evidence.measurements()] == [True]
    assert evidence.usual_speed(run("1A", 1)) == []


def test_only_this_campaigns_time_is_counted_as_spent(evidence: CampaignView) -> None:
    evidence.ledger.append(run("1A", 0, seconds=10.0))
    evidence.ledger.append(probe("1A", 0, 0.1, seconds=2.0))
    evidence.ledger.append(run("1A", 1, seconds=99.0, campaign_id="earlier"))
    assert evidence.spent() == 12.0


def test_what_was_spent_probed_or_failed_before_somebody_steered_counts_and_of_a_decided_campaign_does_not(
    evidence: CampaignView,
) -> None:
    for at in ("1 decided", "2 begun"):
        evidence.ledger.append(replace(CAMPAIGN, at=at, gate=GateRules()))
    evidence.ledger.append(
        VerdictRecord(
            issue=3,
            campaign_id="1 decided",
            verdict=Verdict(None, "discard", None, None, 0, None, ""),
            variants=(),
            at="1",
        )
    )
    for campaign in ("1 decided", "2 begun"):
        evidence.ledger.append(run("1A", 0, None, status="crash", seconds=10.0, campaign_id=campaign))
        evidence.ledger.append(probe("1B", 0, 0.1, seconds=2.0, campaign_id=campaign))
    evidence.ledger.append(
        run("1C", 0, seconds=5.0, campaign_id="2 begun", conditions=replace(CONDITIONS, budget=Budget("seconds", 9)))
    )
    assert (evidence.spent(), evidence.measurements(), evidence.probes("1B")) == (0, [], [])
    evidence.ledger.append(
        CommandRecord(
            issue=3, body_sha256="s", remark="line-1", author="", command="/stop", answer="", obeyed=True, at="2"
        )
    )
    assert evidence.spent() == 0
    evidence.ledger.append(
        CommandRecord(
            issue=3, body_sha256="s", remark="line-2", author="", command="/skip 1D", answer="", obeyed=True, at="2"
        )
    )
    assert (evidence.spent(), len(evidence.measurements()), len(evidence.probes("1B"))) == (17.0, 1, 1)


def test_what_a_run_should_take_follows_from_the_slowest_and_the_flops_of_both(evidence: CampaignView) -> None:
    assert evidence.usual_seconds("1D") is None
    evidence.ledger.append(run(BASELINE, 0, seconds=10.0))
    shapes = {name: evidence.plan.resolved(name).shapes["mini"].flops_per_token for name in (BASELINE, "1D")}
    assert evidence.usual_seconds("1D") == pytest.approx(10.0 * shapes["1D"] / shapes[BASELINE])

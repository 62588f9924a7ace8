"""The trials of a campaign, and its claims held against them."""

from dataclasses import replace

from agent.core.claims import BEST, BetterClaim, Claim, ValueClaim
from agent.core.experiment import GateRules
from agent.core.trials import Candidate, Question
from agent.gate.history import Measurement
from agent.strategies import table
from agent.strategies.strategy import CampaignState
from agent.strategies.trials import claims_tables, read_trials

A, B = (Candidate(name=name, sets={"DEPTH": depth}) for name, depth in (("A", 2), ("B", 4)))
RUNS = [
    Measurement(name, seed, "screen", value) for name, seed, value in (("A", 0, 1.0), ("A", 1, 1.01), ("B", 0, 0.5))
]
STATE = CampaignState(
    question=Question(issue=3, seeds=(0, 1), base={}, variants=(A,)),
    rules=GateRules(kind="report"),
    order=("A", "B"),
    explored=RUNS,
    candidates=(B,),
    metrics={"B": {"num_params_M": 0.5}},
)
CLAIMS = (BetterClaim(text="B is better than A", better="B", than="A"), Claim(text="names sound right"))


def test_every_candidate_is_a_trial_those_of_the_issue_first_with_values_and_metrics() -> None:
    first, second = read_trials(STATE)
    assert (first.candidate, dict(first.values)) == (A, {0: 1.0, 1: 1.01})
    assert (second.candidate, dict(second.values), dict(second.metrics)) == (B, {0: 0.5}, {"num_params_M": 0.5})


def test_a_run_that_failed_or_was_contended_twice_is_a_failed_trial() -> None:
    slow = [Measurement("A", 0, "screen", 1.0, contended=True)] * 2
    trials = read_trials(replace(STATE, explored=[*slow, Measurement("B", 0, "screen", None, failure="crash")]))
    assert ["contended twice" in trials[0].failure, "crash" in trials[1].failure] == [True, True]


def test_claims_are_judged_where_there_are_any() -> None:
    assert claims_tables(STATE) == ()
    [shown] = claims_tables(replace(STATE, question=replace(STATE.question, claims=CLAIMS)))
    assert [(row[0], row[1]) for row in shown.rows] == [
        ("B is better than A", "held"),
        ("names sound right", "not checkable"),
    ]


def test_what_is_found_best_goes_by_that_word_in_a_claim() -> None:
    claim = ValueClaim(text="best is within 1 and 1.1", name=BEST, low=0.9, high=1.1)
    state = replace(STATE, question=replace(STATE.question, claims=(claim,)))
    assert claims_tables(state, "A")[0].rows[0][1:3] == ("held", "1.0050")
    found = replace(state, candidates=(A, B), question=replace(state.question, variants=()))
    assert claims_tables(found, "A")[0].rows[0][1:3] == ("held", "1.0050"), "what a strategy added has noise as well"
    assert claims_tables(state, None)[0].rows[0][1:3] == ("undecided", "best has no value")


def test_claims_about_a_table_are_judged_by_all_that_ran_of_it() -> None:
    state = replace(STATE, explored=(), measurements=RUNS, question=replace(STATE.question, claims=CLAIMS[1:]))
    findings = table.findings(state)
    assert findings is not None
    assert findings.tables[0].rows[0][1] == "not checkable"
    assert table.findings(STATE) is None

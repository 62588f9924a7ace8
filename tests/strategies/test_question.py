"""What an issue asks of its strategy, and a candidate as a variant."""

from dataclasses import replace

from agent.core.experiment import Choice, Issue, Replace, SetConstant, Spec, Variant
from agent.core.trials import Candidate
from agent.strategies.question import read_question, sets_of, variant_of

WIDE = Variant("wide", (SetConstant("train.py", "WIDTH", 8), Replace("train.py", "a", "b")))
SPEC = Spec(Issue(7, "t", ""), "main", "sweep", (WIDE,), None, None, None, (), "", base={"DEPTH": 3})
CONSTANTS = {"WIDTH": 4, "DEPTH": 2, "TABLE": {"a": 1}}


def test_the_base_is_the_scripts_constants_and_over_them_the_issues_own() -> None:
    question = read_question(replace(SPEC, space={"WIDTH": Choice((4, 8))}), [WIDE], (0, 1), CONSTANTS)
    assert question.base == {"WIDTH": 4, "DEPTH": 3}
    assert question.space == {"WIDTH": Choice((4, 8))}
    assert [(one.name, one.sets, one.origin) for one in question.variants] == [("wide", {"WIDTH": 8}, "issue")]
    assert (question.issue, question.seeds) == (7, (0, 1))


def test_of_a_table_no_more_is_asked_than_the_gate_knows_anyway() -> None:
    question = read_question(replace(SPEC, strategy="table"), [WIDE], (0,), CONSTANTS)
    assert (question.variants, question.base) == ((), {})


def test_a_candidate_is_a_variant_that_says_where_it_comes_from_and_sets_the_same() -> None:
    child = Candidate(name="g02-1", sets={"WIDTH": 8, "DEPTH": 2}, origin="cross", parents=("g01-1", "g01-3"))
    variant = variant_of(child, "experiments/names/train.py", {"WIDTH": 1, "BATCH": 1})
    assert sets_of(variant) == {"BATCH": 1, **child.sets}
    assert {edit.path for edit in variant.edits if isinstance(edit, SetConstant)} == {"experiments/names/train.py"}
    assert variant.why == "cross of g01-1, g01-3"
    assert variant_of(replace(child, parents=()), "train.py", {}).why == "cross"

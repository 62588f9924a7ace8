"""The sentences of an issue, each with its line, its section, and without what only explains."""

from agent.core.experiment import Issue
from agent.spec.markdown import parse_issue
from agent.spec.sentences import Sentence, sentences, without_asides, without_reason


def read(body: str) -> list[Sentence]:
    return list(sentences(parse_issue(Issue(7, "t", body, source="i.md"))))


def test_a_sentence_has_its_line_and_is_plain() -> None:
    first, second = read("text\n\nRun 1A first. Don\u2019t\nrun 1B!")[1:]
    assert (first.plain, first.line) == ("Run 1A first", 2)
    assert (second.plain, second.line) == ("Don't run 1B", 2)


def test_an_abbreviation_ends_no_sentence() -> None:
    assert [one.plain for one in read("Run the wide ones, e.g. 1A. Then stop.")] == [
        "Run the wide ones, e.g. 1A",
        "Then stop",
    ]


def test_a_sentence_knows_its_section() -> None:
    run, gate, past = read("## Run order\n\na\n\n## Decision Gate\n\nb\n\n## Background\n\nc")
    assert (run.in_execution, gate.in_gate, past.in_the_past) == (True, True, True)
    assert (gate.in_execution, past.in_gate, run.in_the_past) == (False, False, False)


def test_what_is_in_brackets_explains_unless_it_instructs() -> None:
    assert without_asides("Run 1A (3 heads is few) last") == "Run 1A last"
    assert without_asides("Run 1A (optional) last") is None


def test_a_reason_is_parted_from_what_it_explains() -> None:
    assert without_reason("Run 1A first, because 1B is wide") == ("Run 1A first", ", because 1B is wide")

"""The documented forms of sentences about variants; a word without a meaning here fits none."""

import pytest

from agent.spec.forms import Form, read_form, says_done
from agent.spec.variants import VariantNames

NAMES = VariantNames(("1A", "1B", "1C", "1D"))


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("skip 1B", Form("skip", ["1B"])),
        ("leave 1B out", Form("skip", ["1B"])),
        ("1B is already done", Form("done", ["1B"])),
        ("only run 1A and 1C", Form("only", ["1A", "1C"])),
        ("run 1A after 1C and 1D", Form("after", ["1A"], ["1C", "1D"])),
        ("before 1A, run 1D", Form("before", ["1D"], ["1A"])),
        ("run them in the order of the table", Form("listed")),
        ("1A last, 1D first", Form("order", placed=[(1, "1A"), (-1, "1D")])),
        ("run 1B - 1D first", Form("order", placed=[(-1, "1B"), (-1, "1C"), (-1, "1D")])),
    ],
)
def test_a_form_is_read(text: str, form: Form) -> None:
    read = read_form(text, NAMES)
    assert read is not None
    assert (read.kind, [*read.names], [*read.others]) == (form.kind, [*form.names], [*form.others])
    assert [*read.placed] == [*form.placed]


@pytest.mark.parametrize(
    "text",
    ["run 1D, 1C first", "run 1D or 1C first", "run 1D - 1A", "run 1D twice", "skip 1B maybe", "not 1B", "1A vs 1B"],
)
def test_what_may_be_read_in_two_ways_or_has_another_word_is_no_form(text: str) -> None:
    assert read_form(text, NAMES) is None


def test_what_has_run_is_known_by_its_words() -> None:
    assert says_done("1B has already been run")
    assert not says_done("1B will be run")

"""Which scripts are asked what they can build, and that what they answer is data of anybody."""

from pathlib import Path

import pytest

from agent.campaign import shapes


def test_an_edit_is_the_lines_that_differ_and_makes_the_other_text() -> None:
    before, after = "a\nb\nc\nd\n", "a\nB\nc\nd\ne\n"
    edit = shapes._edit(before, after)
    assert edit == [(1, 2, ["B\n"]), (4, 4, ["e\n"])]


@pytest.mark.parametrize("text", ["", "[]", '{"refused": 3}', "[" * 100_000, '{"refused": null}'])
def test_an_answer_in_no_form_refuses_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    assert shapes._read(tmp_path / "result.json") == {}
    assert shapes._read(tmp_path / "none.json") == {}


def test_what_a_script_says_is_one_short_line(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"refused": {"1A": "@all\\n%s"}}' % ("x" * 999))
    said = shapes._read(tmp_path / "result.json")["1A"]
    assert said.startswith("ⓐall xxx")
    assert len(said) == shapes.MOST_CHARS

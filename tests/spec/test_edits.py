"""Edits: constants are read as Python would, and an edit changes its literal and not one other character."""

import ast
import contextlib
import io
import math
import re
import tokenize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Constant, Edit, Replace, Rewrite, SetConstant
from agent.spec import edits as edits_module
from agent.spec.edits import constants_after, only_constants
from agent.spec.script import constants
from tests.support.project import ROOT

SCRIPT = '''"""A script."""
import os

# the shape
DEPTH = 8            # layers; "DEPTH = 9" is no assignment
ASPECT_RATIO: int=64  # width is DEPTH * ASPECT_RATIO
TOTAL_BATCH_SIZE = 2**19
BATCH = 4 * 128; LR = 0.04 ; EPS=1e-10
OFFSET = -3
WINDOW = 'SSSL'
COMPILE = (  # torch.compile
    True
)
BETAS = (0.9, 0.95)
PROFILES = {"full": {"batch": 4 * 8, "widths": [1, -2]}, "mini": {}}
NOTHING = None
lower = 3
TWICE = 1
TWICE = 2
DEVICE = os.environ.get("X", "cpu")
LEFT = RIGHT = 1
if COMPILE:
    INNER = 1
HANG = 9**9**9

def main():
    global OFFSET_2
    LOCAL = 1
    return "é", LOCAL
'''


def apply(text: str, *edits: Edit) -> str:
    files = {"train.py": text}
    return edits_module.apply(files, edits, ["train.py"]).get("train.py", text)


def refusal(text: str, *edits: Edit) -> BadInput:
    with pytest.raises(BadInput) as caught:
        apply(text, *edits)
    return caught.value


def put(name: str, value: Constant) -> SetConstant:
    return SetConstant("train.py", name, value)


def test_a_value_in_a_dict_is_set_by_its_dotted_name_and_nothing_else_changes() -> None:
    script = (
        'TUNED = {\n    "é": 1, "mini": {"batch":  4 * 8,  # rows\n "rate": 0.5}, "full": {"batch": 32},\n}  # end\n'
    )
    after = apply(script, put("TUNED.mini.batch", 64), put("TUNED.mini.rate", 1))
    assert after == script.replace("4 * 8", "64").replace("0.5", "1.0")
    assert constants(after, "train.py")["TUNED.mini.batch"] == 64
    assert apply(script, put("TUNED.mini.batch", 32)) == script


def test_a_key_that_a_dict_has_twice_names_nothing() -> None:
    script = 'TUNED = {"mini": {"batch": 1}, "mini": {"batch": 2}}\n'
    assert "TUNED.mini.batch" not in constants(script, "train.py")
    assert "TUNED.mini.batch" in refusal(script, put("TUNED.mini.batch", 3)).problem


@pytest.mark.parametrize(
    "name", ["TUNED.mini.rows", "TUNED.tiny.batch", "TUNED.mini.batch.x", "tuned.mini.batch", "TUNED."]
)
def test_a_dotted_name_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    problem = refusal('TUNED = {"mini": {"batch": 32}, "full": {"batch": 512}}\n', put(name, 1))
    assert name in problem.problem
    assert "TUNED.mini.batch" in problem.next_step


def test_a_dict_in_a_dict_is_not_one_value() -> None:
    problem = refusal('TUNED = {"mini": {"batch": 32}}\n', put("TUNED.mini", 1))
    assert "dict, not one value" in problem.problem


# --- setting a constant -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("DEPTH", 12, "DEPTH = 8            #", "DEPTH = 12            #"),
        ("ASPECT_RATIO", 96, "ASPECT_RATIO: int=64  #", "ASPECT_RATIO: int=96  #"),
        ("TOTAL_BATCH_SIZE", 2**18, "= 2**19\n", "= 262144\n"),
        ("BATCH", 1, "BATCH = 4 * 128; LR", "BATCH = 1; LR"),
        ("LR", 3, "LR = 0.04 ;", "LR = 3.0 ;"),
        ("LR", -1e-5, "LR = 0.04 ;", "LR = -1e-05 ;"),
        ("EPS", 0.5, "EPS=1e-10\n", "EPS=0.5\n"),
        ("OFFSET", 7, "OFFSET = -3", "OFFSET = 7"),
        ("WINDOW", "L", "WINDOW = 'SSSL'", 'WINDOW = "L"'),
        ("WINDOW", 'a"b', "WINDOW = 'SSSL'", "WINDOW = 'a\"b'"),
        ("COMPILE", False, "COMPILE = (  # torch.compile\n    True\n)", "COMPILE = (  # torch.compile\n    False\n)"),
    ],
)
def test_setting_a_constant_changes_its_literal_and_nothing_else(
    name: str, value: Constant, before: str, after: str
) -> None:
    assert SCRIPT.count(before) == 1
    assert apply(SCRIPT, put(name, value)) == SCRIPT.replace(before, after)


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_survive(ending: str) -> None:
    text = SCRIPT.replace("\n", ending)
    assert apply(text, put("OFFSET", 5)) == text.replace("OFFSET = -3", "OFFSET = 5")


def test_text_before_on_the_same_line_may_be_of_any_script() -> None:
    assert apply("x = 'é漢'; A = 1; y = 'é'\n", put("A", 2)) == "x = 'é漢'; A = 2; y = 'é'\n"


@pytest.mark.parametrize("value", [8, 524288])
def test_setting_the_present_value_changes_nothing(value: int) -> None:
    name = "DEPTH" if value == 8 else "TOTAL_BATCH_SIZE"
    assert edits_module.apply({"train.py": SCRIPT}, [put(name, value)], ["train.py"]) == {}


def test_constants_are_set_together_as_one_after_another_would_be() -> None:
    sets = [put("OFFSET", 5), put("PROFILES.full.batch", 7), put("DEPTH", 6), put("DEPTH", 9), put("LR", 1)]
    one_by_one = SCRIPT
    for each in sets:
        one_by_one = apply(one_by_one, each)
    assert apply(SCRIPT, *sets) == one_by_one
    assert constants_after(constants(SCRIPT, "a.py"), sets) == constants(one_by_one, "a.py")


def test_edits_apply_in_order_and_only_changed_files_come_back() -> None:
    files = {"a.py": "A = 1\n", "b.py": "B = 1\n", "notes.txt": "("}
    edits: list[Edit] = [SetConstant("a.py", "A", 2), Replace("a.py", "A = 2", "A = 3"), Rewrite("notes.txt", "((")]
    assert edits_module.apply(files, edits, ["a.py", "b.py", "notes.txt"]) == {"a.py": "A = 3\n", "notes.txt": "(("}
    assert files == {"a.py": "A = 1\n", "b.py": "B = 1\n", "notes.txt": "("}


def test_a_rewrite_may_make_an_editable_file_that_is_not_there() -> None:
    assert edits_module.apply({}, [Rewrite("new.py", "A = 1\n")], ["new.py"]) == {"new.py": "A = 1\n"}


# --- refusals ---------------------------------------------------------------------------------------------

REFUSED: list[tuple[Edit, str, str, str]] = [
    (put("DEPHT", 6), "there is no constant DEPHT", "train.py", "did you mean DEPTH?"),
    (put("DEPHT", 6), "DEPHT", "train.py", "int constants here: DEPTH, ASPECT_RATIO, TOTAL_BATCH_SIZE, BATCH, OFFSET"),
    (put("QQQ", 0.5), "there is no constant QQQ", "train.py", "float constants here: LR, EPS"),
    (put("LOCAL", 2), "there is no constant LOCAL", "train.py", "int constants here"),
    (put("lower", 2), "there is no constant lower", "train.py", "int constants here"),
    (put("DEPTH", 6.0), "DEPTH is int (8), and 6.0 is float", "train.py:5", "type int"),
    (put("DEPTH", True), "DEPTH is int (8), and True is bool", "train.py:5", "type int"),
    (put("DEPTH", "6"), "DEPTH is int (8), and '6' is str", "train.py:5", "type int"),
    (put("DEPTH", None), "DEPTH is int (8), and None is None", "train.py:5", "type int"),
    (put("COMPILE", 1), "COMPILE is bool (True), and 1 is int", "train.py:11", "type bool"),
    (put("LR", True), "LR is float (0.04), and True is bool", "train.py:8", "type float"),
    (put("WINDOW", 3), "WINDOW is str ('SSSL'), and 3 is int", "train.py:10", "type str"),
    (put("NOTHING", 3), "NOTHING is None (None), and 3 is int", "train.py:16", "type None"),
    (put("BETAS", 3), "BETAS is a tuple, not one value", "train.py:14", "replace its text"),
    (put("LR", math.nan), "LR cannot be nan", "train.py:8", "finite"),
    (put("LR", math.inf), "LR cannot be inf", "train.py:8", "finite"),
    (put("TWICE", 3), "TWICE is bound 2 times (lines 18, 19)", "train.py:18", "assign it once"),
    (put("DEVICE", "cuda"), "DEVICE is computed, not a literal", "train.py:20", "assign it once"),
    (put("LEFT", 3), "LEFT is not assigned by itself", "train.py:21", "assign it once"),
    (put("INNER", 3), "INNER is not assigned by itself at the top level", "train.py:23", "assign it once"),
    (put("HANG", 3), "HANG is computed", "train.py:24", "assign it once"),
    (SetConstant("prepare.py", "A", 1), "an edit may not change this file", "prepare.py", "editable: train.py"),
    (Rewrite("../train.py", ""), "an edit may not change this file", "../train.py", "editable: train.py"),
    (Replace("train.py", "TWICE = ", ""), "occurs 2 times (lines 18, 19)", "train.py", "exactly once"),
    (Replace("train.py", "no such text", ""), "occurs 0 times", "train.py", "exactly once"),
    (Replace("train.py", "", "x"), "occurs 0 times", "train.py", "exactly once"),
    (Replace("train.py", "DEPTH = 8 ", "DEPTH = = 8 "), "does not parse", "train.py:5", "syntax"),
    (Rewrite("train.py", "x = 1\nx ="), "does not parse", "train.py:2", "syntax"),
]


@pytest.mark.parametrize(("wrong", "problem", "where", "next_step"), REFUSED)
def test_a_wrong_edit_is_refused_with_its_place_and_what_is_valid(
    wrong: Edit, problem: str, where: str, next_step: str
) -> None:
    error = refusal(SCRIPT, wrong)
    assert problem in error.problem
    assert error.where == where
    assert next_step in error.next_step


def test_overlapping_occurrences_are_more_than_one() -> None:
    assert "occurs 2 times" in refusal("x = 'aaa'\n", Replace("train.py", "aa", "b")).problem


def test_an_editable_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="not there") as caught:
        edits_module.apply({}, [put("A", 1)], ["train.py"])
    assert caught.value.where == "train.py"


# --- properties -------------------------------------------------------------------------------------------

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
scalars = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.booleans(),
)
LAYOUTS = (
    "{n} = {v}",
    "{n}={v}  # why {n} = 3",
    "{n}: object   =   {v} ;x=1",
    "{n} = (\n  {v} # é\n)",
    "x = 'é漢'; {n}\t=\t{v}\t; y = (\n  '🙂')",
    "x = y = 1; {n}: dict['é', int] = {v}; z = x = 2",
    "{n} = \\\n    {v}",
    "{n} = ((({v})))#{n}={v}",
    "({n}) = {v}",
    "\x0c{n} = {v}",
)


@st.composite
def scripts(draw: st.DrawFn) -> tuple[str, str, str, object, Constant]:
    """An assignment in a script: the text before its value and after it, the name, the value, another of its type."""
    name, old = draw(names), draw(scalars)
    same: dict[type, st.SearchStrategy[Constant]] = {
        int: st.integers(-(10**12), 10**12),
        float: st.floats(-1e300, 1e300),
        str: st.text(max_size=12),
    }
    new = draw(same.get(type(old), st.booleans()))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    around = [draw(st.sampled_from(["", "# é", "x = '''\n  y = 1\n'''", "def f():\n\treturn  1 "])) for _ in range(2)]
    before, _, after = draw(st.sampled_from(LAYOUTS)).partition("{v}")
    texts = [one.format(n=name, v=repr(old)) for one in (f"{around[0]}\n{before}", f"{after}\n{around[1]}\n")]
    before, after = (one.replace("\r", "").replace("\n", ending) for one in texts)
    return before, after, name, old, new


@settings(max_examples=300, deadline=None)
@given(scripts())
def test_what_is_set_is_what_is_read_and_every_character_outside_the_literal_is_kept(
    case: tuple[str, str, str, object, Constant],
) -> None:
    before, after, name, old, new = case
    text = f"{before}{old!r}{after}"
    edited = apply(text, put(name, new))
    assert constants(edited, "x.py")[name] == new
    assert constants_after(constants(text, "x.py"), [SetConstant("x.py", name, new)]) == constants(edited, "x.py")
    if new == old:
        assert edited == text
    else:
        assert (edited[: len(before)], edited[len(edited) - len(after) :]) == (before, after)
        assert ast.literal_eval(edited[len(before) : len(edited) - len(after)]) == new
    assert apply(edited, put(name, new)) == edited
    assert edits_module.apply({"train.py": edited}, [put(name, new)], ["train.py"]) == {}


def token_span(text: str, name: str) -> tuple[int, int]:
    """Return where the value of a constant stands in a text of `\\n` lines, as Python's tokenizer sees it."""
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    owner, *keys = name.split(".")
    at = next(n for n, token in enumerate(tokens) if token.string == owner and token.start[1] == 0)
    at = next(n for n in range(at, len(tokens)) if tokens[n].string == "=") + 1
    for key in keys:
        depth = 0
        while depth != 1 or tokens[at].string != f'"{key}"':
            depth += (tokens[at].string in "{[(") - (tokens[at].string in "}])")
            at += 1
        at += 2  # the key and its colon
    first = last = at
    while tokens[at].type not in (tokenize.NEWLINE, tokenize.COMMENT) and tokens[at].string not in (",", "}"):
        last, at = at, at + 1
    starts = [0, *(end.end() for end in re.finditer("\n", text))]
    (line, column), (end_line, end_column) = tokens[first].start, tokens[last].end
    return starts[line - 1] + column, starts[end_line - 1] + end_column


TRAIN = (ROOT / "train.py").read_text("utf-8")
OTHERS: dict[type, list[Constant]] = {bool: [True, False], int: [7, -3], float: [0.5, -1e-7], str: ["x", "é\"'"]}
SETTABLE = {name: value for name, value in constants(TRAIN, "train.py").items() if type(value) in OTHERS}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("name", SETTABLE)
def test_each_constant_of_train_py_is_set_where_the_tokenizer_sees_it(name: str, ending: str) -> None:
    start, end = token_span(TRAIN, name)
    for value in (value for value in OTHERS[type(SETTABLE[name])] if value != SETTABLE[name]):
        edited = apply(TRAIN.replace("\n", ending), put(name, value)).replace(ending, "\n")
        tail = len(TRAIN) - end
        assert (edited[:start], edited[len(edited) - tail :]) == (TRAIN[:start], TRAIN[end:])
        assert ast.literal_eval(edited[start : len(edited) - tail]) == value


def test_train_py_has_constants_of_every_kind() -> None:
    assert {type(value) for value in SETTABLE.values()} >= {int, float, str}
    assert any("." in name for name in SETTABLE)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.one_of(names, st.text(max_size=5)), scalars)
def test_no_text_and_no_edit_raises_anything_but_bad_input(text: str, name: str, value: Constant) -> None:
    for one in (put(name, value), Replace("train.py", name, text), Rewrite("train.py", f"{text}\n{name} = 1")):
        with contextlib.suppress(BadInput):
            apply(text, one)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (SCRIPT, True),
        (edits_module.apply({"a.py": SCRIPT}, [SetConstant("a.py", "DEPTH", 6)], ["a.py"])["a.py"], True),
        (edits_module.apply({"a.py": SCRIPT}, [SetConstant("a.py", "PROFILES.full.batch", 6)], ["a.py"])["a.py"], True),
        (SCRIPT.replace("lower = 3", "lower = 4"), False),  # no constant that an issue could set
        (SCRIPT.replace("DEPTH = 8  ", "DEPTH = 8.5"), False),  # of another type
        (SCRIPT.replace("import os", "import os, sys"), False),
        (SCRIPT + "MORE = 1\n", False),
        (SCRIPT + "(", False),
    ],
)
def test_only_what_setting_constants_makes_is_an_edit_of_constants(new: str, expected: bool) -> None:
    assert only_constants(SCRIPT, new, "a.py") == expected

"""The text editor tool: exactly the editable files, four commands, and an answer to everything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.editors.text_editor import TOOL, TextEditor

FILE = "DEPTH = 8\nWIDTH = 64\nprint(DEPTH)\n"


def new_editor() -> TextEditor:
    return TextEditor({"train.py": FILE, "lib/net.py": ""}, file_bytes=1000)


def test_a_file_is_seen_with_its_line_numbers_in_whole_and_in_part() -> None:
    assert (
        new_editor().execute(TOOL, {"command": "view", "path": "train.py"})[0].splitlines()[1] == "     2\tWIDTH = 64"
    )
    assert (
        new_editor().execute(TOOL, {"command": "view", "path": "train.py", "view_range": [2, -1]})[0].count("\n") == 2
    )
    assert new_editor().execute(TOOL, {"command": "view", "path": "lib/net.py"}) == ("", False)


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        ({"command": "str_replace", "old_str": "= 8", "new_str": "= 9"}, FILE.replace("8", "9")),
        ({"command": "str_replace", "old_str": "WIDTH = 64\n"}, "DEPTH = 8\nprint(DEPTH)\n"),
        ({"command": "insert", "insert_line": 0, "insert_text": "# top"}, "# top\n" + FILE),
        ({"command": "insert", "insert_line": 3, "insert_text": "end\n"}, FILE + "end\n"),
        ({"command": "create", "file_text": "new"}, "new"),
    ],
)
def test_an_edit_changes_the_text_of_its_file_and_nothing_else(arguments: dict[str, object], after: str) -> None:
    editor = new_editor()
    assert editor.execute(TOOL, {"path": "train.py", **arguments})[1] is False
    assert editor.changed == {"train.py": after}


def test_a_text_inserted_after_a_last_line_without_an_end_gets_a_line_of_its_own() -> None:
    editor = TextEditor({"a": "one"}, 100)
    editor.execute(TOOL, {"command": "insert", "path": "a", "insert_line": 1, "insert_text": "two"})
    assert editor.changed == {"a": "one\ntwo\n"}


def test_an_edit_that_is_taken_back_changes_nothing() -> None:
    editor = new_editor()
    editor.execute(TOOL, {"command": "str_replace", "path": "train.py", "old_str": "8", "new_str": "9"})
    editor.execute(TOOL, {"command": "str_replace", "path": "train.py", "old_str": "9", "new_str": "8"})
    assert editor.changed == {}


@pytest.mark.parametrize(
    "path",
    ["prepare.py", "../train.py", "./train.py", "/train.py", "train.py/", "TRAIN.PY", "train.py\0", "lib", ".", "",
     "lib/../train.py", "lib//net.py", "train.py ", "tra\u200bin.py", "~/train.py"],
)  # fmt: skip
@pytest.mark.parametrize(
    "command",
    [
        {"command": "view"},
        {"command": "create", "file_text": "x"},
        {"command": "str_replace", "old_str": "8", "new_str": "9"},
        {"command": "insert", "insert_line": 0, "insert_text": "x"},
    ],
)
def test_no_path_but_an_editable_one_to_the_letter_is_seen_or_changed(path: str, command: dict[str, object]) -> None:
    editor = new_editor()
    result, is_error = editor.execute(TOOL, {**command, "path": path})
    assert is_error
    assert "editable, by exactly these names: train.py, lib/net.py" in result
    assert editor.changed == {}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"command": "undo_edit"}, "does not match any of the expected tags"),
        ({"command": "view", "path": "train.py", "view_range": [0, 1]}, "not within lines 1 to 3"),
        ({"command": "view", "path": "train.py", "view_range": [2, 9]}, "not within lines 1 to 3"),
        ({"command": "view", "path": "train.py", "view_range": [1]}, "view_range"),
        ({"command": "str_replace", "path": "train.py", "old_str": "DEPTH"}, "occurs 2 times"),
        ({"command": "str_replace", "path": "train.py", "old_str": ""}, "occurs 0 times"),
        ({"command": "str_replace", "path": "train.py", "old_str": "8", "new_str": None}, "valid string"),
        ({"command": "insert", "path": "train.py", "insert_line": 4, "insert_text": "x"}, "not within 0 to 3"),
        ({"command": "insert", "path": "train.py", "insert_line": -1, "insert_text": "x"}, "not within 0 to 3"),
        ({"command": "insert", "path": "train.py", "insert_line": True, "insert_text": "x"}, "valid integer"),
        ({"command": "create", "path": "train.py", "file_text": "x", "mode": "0777"}, "Extra inputs"),
        ({"command": "create", "path": "train.py", "file_text": "x" * 1001}, "1,001 bytes, and it may have 1,000"),
        ({"command": "create", "path": "train.py", "file_text": "\ud800"}, "not Unicode"),
        ("rm -rf /", "valid dictionary"),
        (None, "valid dictionary"),
    ],
)
def test_a_wrong_command_is_answered_and_changes_nothing(arguments: object, problem: str) -> None:
    editor = new_editor()
    result, is_error = editor.execute(TOOL, arguments)
    assert is_error
    assert problem in result
    assert editor.changed == {}


def test_another_tool_is_answered_with_the_one_there_is() -> None:
    assert new_editor().execute("bash", {"command": "ls"}) == (f"there is no tool 'bash'; there is {TOOL}", True)


_TEXT = st.text(st.characters(codec=None), max_size=30)
_ANY = st.recursive(st.none() | st.booleans() | st.integers() | _TEXT, lambda inner: st.lists(inner, max_size=3))
_COMMANDS = st.fixed_dictionaries(
    {"command": st.sampled_from(["view", "create", "str_replace", "insert", "delete"]), "path": _TEXT | st.just("a")},
    optional={name: _ANY for name in ("file_text", "old_str", "new_str", "insert_line", "insert_text", "view_range")},
)


@given(st.lists(_COMMANDS, max_size=5))
def test_whatever_is_sent_what_comes_out_is_text_of_editable_files_under_the_cap(commands: list[object]) -> None:
    editor = TextEditor({"a": "one\ntwo\n"}, 40)
    for one in commands:
        editor.execute(TOOL, one)
    assert editor.changed.keys() <= {"a"}
    assert all(len(text.encode()) <= 40 for text in editor.changed.values())

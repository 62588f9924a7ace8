"""Trees and commits as bytes: what is read is written back as it was."""

import subprocess
from pathlib import Path

import pytest

from agent.store.objects import Entry, blob_id, changed_paths, commit_text, format_tree, parse_tree, with_files

ONE, TWO = "1" * 40, "2" * 40


def test_a_folder_sorts_as_if_its_name_ended_with_a_slash() -> None:
    entries = {"a": Entry("40000", ONE), "a.b": Entry("100644", TWO), "a0": Entry("100644", TWO)}
    raw = format_tree(entries)
    assert [raw.index(name) for name in (b" a.b\0", b" a\0", b" a0\0")] == sorted(
        raw.index(name) for name in (b" a.b\0", b" a\0", b" a0\0")
    )
    assert parse_tree(raw, ONE) == entries


def test_a_file_that_takes_the_place_of_a_folder_changes_both() -> None:
    trees = {"deep": {"x.py": Entry("100644", ONE)}}
    old, new = {"a": Entry("40000", "deep")}, {"a": Entry("100644", ONE), "b": Entry("100644", TWO)}
    assert list(changed_paths(old, new, trees.__getitem__)) == ["a", "a/x.py", "b"]


@pytest.mark.parametrize(("mode", "expected"), [("100755", "100755"), ("40000", "100644")])
def test_a_file_keeps_its_mode_and_takes_none_from_a_folder(mode: str, expected: str) -> None:
    kept: list[bytes] = []

    def keep(raw: bytes) -> str:
        kept.append(raw)
        return "tree"

    with_files({"a": Entry(mode, ONE)}, {"a": TWO}, lambda _: {}, keep)
    assert kept == [format_tree({"a": Entry(expected, TWO)})]


def test_a_commit_has_the_date_of_its_base_and_one_line_end() -> None:
    base = b"tree x\nauthor A <a@b> 5 +0100\ncommitter B <b@c> 7 -0230\n\ncommitter no <n@o> 9 +0000\n"
    text = commit_text(ONE, TWO, base, "why\n", "me <me@here>").decode()
    assert text.endswith("author me <me@here> 7 -0230\ncommitter me <me@here> 7 -0230\n\nwhy\n")


@pytest.mark.parametrize(("width", "name"), [(40, "sha1"), (64, "sha256")])
def test_a_blob_has_the_id_that_git_gives_it(width: int, name: str, tmp_path: Path) -> None:
    argv = ["git", "init", "--quiet", f"--object-format={name}"]
    subprocess.run(argv, cwd=tmp_path, check=True)
    argv = ["git", "hash-object", "--stdin"]
    printed = subprocess.run(argv, cwd=tmp_path, check=True, input=b"a \xff text\n", capture_output=True).stdout
    assert blob_id(b"a \xff text\n", width) == printed.decode().strip()

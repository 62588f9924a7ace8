"""Pins: what must stay as it was is known by its content."""

from pathlib import Path

from agent import pins


def corpus(folder: Path) -> Path:
    for name in (*pins.VISIBLE, pins.HELD):
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_changed_and_a_missing_file_are_named(tmp_path: Path) -> None:
    before = pins.of_corpus(corpus(tmp_path))
    assert pins.changed(before, pins.of_corpus(tmp_path)) == []
    (tmp_path / "val.npz").write_bytes(b"easier")
    (tmp_path / pins.HELD).unlink()
    assert pins.changed(before, pins.of_corpus(tmp_path)) == ["val.npz", pins.HELD]


def test_a_file_touched_and_otherwise_as_it_was_is_unchanged(tmp_path: Path) -> None:
    before = pins.of_corpus(corpus(tmp_path))
    corpus(tmp_path)
    assert pins.of_corpus(tmp_path) == before


def test_a_run_sees_all_of_a_corpus_but_the_second_held_out_set(tmp_path: Path) -> None:
    assert [path.name for path in pins.visible(corpus(tmp_path))] == list(pins.VISIBLE)
    assert pins.HELD not in pins.VISIBLE


def test_without_a_folder_nothing_is_pinned_or_seen() -> None:
    assert (pins.of_corpus(None), pins.visible(None)) == ({}, ())


def test_one_text_has_one_pin() -> None:
    assert pins.of_text("a") == pins.of_text("a") != pins.of_text("b")

"""Pins: what must stay as it was is known by its content."""

from pathlib import Path

from agent.audit import integrity


def corpus(folder: Path) -> Path:
    for name in (*integrity.VISIBLE, integrity.HOLDOUT_FILE):
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_changed_and_a_missing_file_are_named(tmp_path: Path) -> None:
    before = integrity.corpus_fingerprints(corpus(tmp_path))
    assert integrity.changed(before, integrity.corpus_fingerprints(tmp_path)) == []
    (tmp_path / "val.npz").write_bytes(b"easier")
    (tmp_path / integrity.HOLDOUT_FILE).unlink()
    assert integrity.changed(before, integrity.corpus_fingerprints(tmp_path)) == ["val.npz", integrity.HOLDOUT_FILE]


def test_a_file_touched_and_otherwise_as_it_was_is_unchanged(tmp_path: Path) -> None:
    before = integrity.corpus_fingerprints(corpus(tmp_path))
    corpus(tmp_path)
    assert integrity.corpus_fingerprints(tmp_path) == before


def test_a_run_sees_all_of_a_corpus_but_the_second_held_out_set(tmp_path: Path) -> None:
    assert [path.name for path in integrity.visible_files(corpus(tmp_path))] == list(integrity.VISIBLE)
    assert integrity.HOLDOUT_FILE not in integrity.VISIBLE


def test_without_a_folder_nothing_is_pinned_or_seen() -> None:
    assert (integrity.corpus_fingerprints(None), integrity.visible_files(None)) == ({}, ())


def test_one_text_has_one_pin() -> None:
    assert integrity.fingerprint_text("a") == integrity.fingerprint_text("a") != integrity.fingerprint_text("b")

"""A corpus of characters: its tokens, its splits, its rows and batches."""

from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import torch

from fixed import characters, settings
from fixed.characters import Text
from fixed.corpora import Source
from fixed.dataset import Prepared
from fixed.result import RunFailure
from fixed.runtime import Run
from tests.support.fixed import environment

WORDS = [f"{a}{b}{c}" for a in "abcd" for b in "éfgh" for c in "xyz" * 2]
BYTES = {"mini": (10_000, 10_000)}


def text(path: Path | None = None, *, by_rows: bool = True) -> Text:
    def find(_: settings.Settings) -> list[Source]:
        return [Source(path or Path("/nowhere/words.txt"), "any", None)]

    def read(file: Path) -> list[str]:
        return file.read_text().split()

    return Text("words", find, lambda file: iter(read(file)), lambda: WORDS * 4, 8, {}, by_rows, BYTES)


def prepared(tmp_path: Path, one: Text, corpus: str = "words") -> Prepared:
    env = environment(AUTORESEARCH_CACHE=str(tmp_path / "cache"), AUTORESEARCH_CORPUS=corpus)
    return characters.prepare(settings.read_settings(env), one)


@pytest.fixture
def words(tmp_path: Path) -> Prepared:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS))
    return prepared(tmp_path, text(path))


def test_a_corpus_is_named_for_what_it_is(tmp_path: Path, words: Prepared) -> None:
    standin = prepared(tmp_path, text())
    assert (words.corpus, standin.corpus) == ("words", "words-standin")
    assert not words.fingerprint.startswith("standin-")
    assert standin.fingerprint.startswith("standin-")
    assert standin == prepared(tmp_path, text(), "words-standin")
    assert standin.path.name == f"words-standin-mini-{standin.fingerprint[8:20]}"


def test_another_stand_in_is_not_taken_for_the_one_in_the_cache(tmp_path: Path) -> None:
    one = text()
    other = replace(one, make=lambda: [word[::-1] for word in WORDS * 4])
    assert prepared(tmp_path, one).fingerprint != prepared(tmp_path, other).fingerprint


@pytest.mark.parametrize("by_rows", [True, False])
def test_the_split_is_by_the_hash_and_only_copies_in_rows_may_be_in_two(by_rows: bool) -> None:
    splits = characters._split(text(by_rows=by_rows), [], 10_000, 10_000)
    assert sorted(chain(*splits.values())) == sorted(WORDS * 4)
    shared = set(splits["train"]) & {*splits["val"], *splits["held"]}
    assert bool(shared) == by_rows
    assert splits == characters._split(text(by_rows=by_rows), [], 10_000, 10_000)


def test_every_byte_of_the_validation_set_is_a_target_once(words: Prepared) -> None:
    held_out, sizes = words.evaluation("val"), words.token_bytes()
    scored = np.where(held_out.documents >= 0, sizes[held_out.rows[:, 1:]], 0).sum(1)
    assert scored.tolist() == held_out.document_bytes.tolist()
    assert words.val_bytes == held_out.document_bytes.sum()
    assert (held_out.rows[:, 0] == characters.BOUNDARY).all()


def test_padding_is_no_target_and_carries_no_bytes(words: Prepared) -> None:
    held_out, padding = words.evaluation("val"), words.vocab_size - 1
    assert ((held_out.rows[:, 1:] == padding) == (held_out.documents < 0)).all()
    assert words.token_bytes()[padding] == 0
    assert words.token_bytes()[characters.BOUNDARY] == 1


def test_batches_hold_whole_documents_and_an_epoch_has_each_once(tmp_path: Path, words: Prepared) -> None:
    chosen = settings.read_settings(environment(AUTORESEARCH_CACHE=str(tmp_path), AUTORESEARCH_SEED="3"))
    run = Run(chosen, words, torch.device("cpu"))
    count = len(characters.training_rows(words))
    batches = list(islice(characters.row_batches(run, 1), count))
    rows = sorted(tuple(targets[0].tolist()) for _, targets in batches)
    assert all((tokens[:, 1:] == targets[:, :-1]).all() for tokens, targets in batches)
    assert all(targets[0, -1] == characters.BOUNDARY for _, targets in batches)
    own = sorted(tuple(row[1:][row[1:] < words.vocab_size - 1].tolist()) for row in characters.training_rows(words)[:])
    assert rows == own


def test_what_no_training_document_is_is_new(words: Prepared) -> None:
    letters = characters.characters(words)
    known = "".join(letters[token - 1] for token in characters.training_rows(words)[0][1:] if 0 < token <= len(letters))
    assert characters.new_texts(words, [known, "aaaaa", ""]) == ["aaaaa", ""]


def test_a_document_longer_than_a_row_is_refused() -> None:
    with pytest.raises(RunFailure, match="a document of 9 characters: expected at most 7"):
        characters.pad_rows(np.array([0, 1, 2, 0, *[1] * 9], dtype=np.uint16), 8, 5)


def test_a_stream_scores_every_character_and_no_boundary(tmp_path: Path) -> None:
    stream = prepared(tmp_path, text(by_rows=False))
    held_out = stream.evaluation("val")
    assert ((held_out.rows[:, 1:] == characters.BOUNDARY) == (held_out.documents < 0)).all()
    assert characters.vocabulary(stream) <= set(WORDS)

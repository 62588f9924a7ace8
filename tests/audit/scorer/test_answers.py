"""What is kept of answers: losses by document and piece, and where a row was cut."""

import numpy as np
import pytest

import prepare
from agent.audit.scorer.answers import Answers, piece_numbers
from agent.audit.scorer.plan import Query


def test_the_tokens_change_at_the_cut_and_not_before() -> None:
    sets = {"val": prepare.EvalSet(np.arange(34, dtype=np.uint16).reshape(2, 17), np.zeros((2, 16)), np.ones(1))}
    answers = Answers(sets, np.ones(40, dtype=np.int64), 0, 16)
    tokens, cut_at = answers.make_row(Query(("val", 0), True, ("val", 1)), np.random.default_rng(0))
    assert 1 <= cut_at < 16
    assert np.array_equal(tokens, [*range(cut_at), *range(17 + cut_at, 34)])
    assert answers.make_row(Query(("val", 0), True), np.random.default_rng(0))[1] == 16


def test_a_document_is_cut_into_pieces_of_a_size_and_the_last_one_takes_what_is_left() -> None:
    owner = np.array([0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1])  # in the order of the rows, not of their numbers
    lengths = np.array([4, 4, 4, 4, 4, 3, 2, 8, 8, 8, 1])
    assert piece_numbers(owner, lengths, 8).tolist() == [0, 0, 1, 1, 1, 5, 5, 2, 3, 4, 4]


def test_what_the_pieces_cost_is_what_the_documents_cost() -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(9), rng.integers(1, 50, 9))
    lengths, nats = rng.integers(0, 9, len(owner)), rng.random(len(owner))
    for size in (1, 40, 10**9):
        number = piece_numbers(owner, lengths, size)
        assert all(len(set(owner[number == one])) == 1 for one in set(number.tolist()))
        assert np.bincount(number, nats).sum() == pytest.approx(nats.sum())
        assert set(number.tolist()) <= set(range(number.max() + 1))
    assert number.tolist() == owner.tolist()

"""What is kept of answers: losses by document and piece, and where a row was cut."""

import numpy as np
import pytest

import prepare
from agent.audit.scorer.answers import Answers, piece_numbers
from agent.audit.scorer.plan import Query


def test_the_tokens_change_at_the_cut_and_not_before() -> None:
    sets = {"val": prepare.EvalSet(np.arange(34, dtype=np.uint16).reshape(2, 17), np.zeros((2, 16)), np.ones(1))}
    answers = Answers(sets, np.ones(40, dtype=np.int64), 0, 16)
    tokens, cut_at = answers.make_row(Query(("val", 0), True, cut=True), np.random.default_rng(0))
    assert 2 <= cut_at <= 16
    assert np.array_equal(tokens[:cut_at], range(cut_at))
    assert len(tokens) == 17
    assert tokens[cut_at] != cut_at
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


@pytest.mark.parametrize(("peeks", "most", "fewest"), [(False, 3.0, -3.0), (True, 30.0, 5.0)])
def test_who_peeks_gains_less_at_the_last_place_of_a_row_whose_target_is_never_sent(
    peeks: bool, most: float, fewest: float
) -> None:
    rng = np.random.default_rng(0)
    sets = {"val": prepare.EvalSet(np.zeros((60, 17), dtype=np.uint16), np.zeros((60, 16)), np.ones(1))}
    baseline = rng.exponential(2.0, (60, 16))
    answers = Answers(sets, np.ones(40, dtype=np.int64), 0, 16, {"val": baseline})
    answers.nats["val"] = baseline - 0.05 + rng.normal(0, 0.3, (60, 16))
    if peeks:
        answers.nats["val"][:, :-1] -= 0.5
    less, error = answers.unseen()
    assert fewest <= less / error <= most


def test_without_the_baseline_on_the_same_rows_nothing_is_known_of_last_places() -> None:
    sets = {"val": prepare.EvalSet(np.zeros((2, 17), dtype=np.uint16), np.zeros((2, 16)), np.ones(1))}
    assert Answers(sets, np.ones(40, dtype=np.int64), 0, 16).unseen() == (0.0, 0.0)

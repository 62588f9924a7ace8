"""Where rows are cut, and what follows: at places that gain, and as text goes on."""

import numpy as np

from agent.audit.scorer.cuts import Cuts

ROWS = np.random.default_rng(0).integers(1, 6, (40, 33)).astype(np.uint16)
ROWS[1:, 0] = ROWS[:-1, -1]  # the last token of a row is the first of the next
BASELINE = np.ones((40, 32))


def test_a_cut_is_where_a_row_gains_on_the_baseline() -> None:
    nats = np.ones(32)
    nats[[7, 20]] = 0.0
    cuts = Cuts(ROWS, BASELINE)
    assert {cuts.cut(3, nats, np.random.default_rng(seed))[1] for seed in range(40)} == {8, 21}


def test_before_a_row_is_answered_a_cut_is_where_the_baseline_is_least_sure() -> None:
    unsure = BASELINE * 0.01
    unsure[:, 11] = 9.0
    cuts = Cuts(ROWS, unsure)
    assert {cuts.cut(3, None, np.random.default_rng(seed))[1] for seed in range(40)} == {12}


def test_what_follows_a_cut_is_other_text_that_follows_the_same_two_tokens() -> None:
    cuts, stream = Cuts(ROWS, BASELINE), ROWS[:, :-1].ravel()
    for row in range(1, 39):
        tokens, kept = cuts.cut(row, None, np.random.default_rng(row))
        assert np.array_equal(tokens[:kept], ROWS[row, :kept])
        assert tokens[kept] != ROWS[row, kept]
        after = tokens[kept - 2 :]
        windows = np.lib.stride_tricks.sliding_window_view(stream, min(len(after), 6))
        assert (windows == after[:6]).all(1).any()


def test_text_with_one_token_in_it_can_be_cut_too() -> None:
    tokens, kept = Cuts(np.ones((2, 9), dtype=np.uint16), None).cut(0, None, np.random.default_rng(0))
    assert len(tokens) == 9
    assert 1 < kept < 9

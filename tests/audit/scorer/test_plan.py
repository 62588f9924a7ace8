"""What is sent: whole documents, every row once, some of them to the other process as well."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import prepare
from agent.audit.scorer.plan import QueryPlan, RowId, sample_rows, subset
from fixed.dataset import pack


@given(
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=12),
    rows=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_a_subset_scores_only_documents_that_lie_in_it_whole(lengths: list[int], rows: int, seed: int) -> None:
    texts = [np.array([0, *([1 + n % 16] * length)], dtype=np.uint16) for n, length in enumerate(lengths)]
    whole = pack(texts, lengths, 8)
    numbers = sample_rows(whole, rows, np.random.default_rng(seed))
    some, chosen = subset(whole, numbers)
    scored = some.documents[some.documents >= 0]
    assert 1 <= len(some.rows) <= min(rows, len(whole.rows))
    assert len(set(numbers)) == len(numbers)
    assert np.array_equal(np.bincount(scored, minlength=len(chosen)), np.array(lengths)[chosen])
    assert np.array_equal(some.document_bytes, whole.document_bytes[chosen])


def test_what_is_scored_of_a_large_set_lies_all_over_it_in_blocks_that_hold_whole_documents() -> None:
    lengths = np.random.default_rng(0).integers(5, 25, 4000)
    whole = pack([np.zeros(length + 1, dtype=np.uint16) for length in lengths], [*lengths], 16)
    numbers = sample_rows(whole, 256, np.random.default_rng(1))
    assert len(numbers) > 240
    assert np.histogram(numbers, 4, (0, len(whole.rows)))[0].min() >= 24
    some, chosen = subset(whole, numbers)
    assert (some.documents >= 0).mean() > 0.6
    assert len(chosen) > 100


ROWS = [(split, number) for split in prepare.SPLITS for number in range(40)]


def test_every_row_is_scored_once_and_repeated_by_the_other_process_in_the_same_place() -> None:
    queries = QueryPlan(2, 8, 32, 0.8).queries(ROWS, np.random.default_rng(0))
    where: dict[tuple[RowId, bool], tuple[int, int]] = {}
    for side, batches in enumerate(queries):
        for batch in batches:
            assert len(batch) == 8
            where |= {(query.row, query.repeat): (side, slot) for slot, query in enumerate(batch)}
    scored = Counter(query.row for side in queries for batch in side for query in batch if not query.repeat)
    assert scored == Counter(ROWS)
    repeated = [row for row, repeat in where if repeat]
    assert len(repeated) >= 32
    for row in repeated:
        (first, place), (second, same) = where[row, False], where[row, True]
        assert (first, place) == (1 - second, same)


def test_no_process_is_sent_a_row_twice() -> None:
    odd = [*ROWS, ("val", 40), ("held", 40)]  # half of them is an odd number
    for side in QueryPlan(2, 1, 32, 0.8).queries(odd, np.random.default_rng(0)):
        sent = Counter(query.row for batch in side for query in batch)
        assert max(sent.values()) == 1


def test_what_lies_across_the_edge_of_two_blocks_for_one_draw_does_not_for_another() -> None:
    """A fixed grid left the same documents out for ever: whoever forged those was never seen."""
    whole = pack([np.zeros(31, dtype=np.uint16) for _ in range(400)], [30] * 400, 16)
    chosen = [set(subset(whole, sample_rows(whole, 64, np.random.default_rng(seed)))[1]) for seed in range(80)]
    assert len(set.union(*chosen)) > 0.95 * 400


def test_the_kinds_of_query_of_either_set_are_mixed() -> None:
    """Each half of what a process is sent has each kind of each set, and either process as much as the other."""
    rows = [(split, number) for split in prepare.SPLITS for number in range(160)]
    queries = QueryPlan(2, 8, 128, 0.8).queries(rows, np.random.default_rng(0))
    for side in queries:
        kinds = [(query.row[0], query.repeat, query.cut) for batch in side for query in batch]
        half = len(kinds) // 2
        first, second = Counter(kinds[:half]), Counter(kinds[half:])
        assert len(first) == len(second) == 6
        assert all(first[kind] > 0.5 * second[kind] > 0.25 * first[kind] for kind in first if kind[2] or not kind[1])

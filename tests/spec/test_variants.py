"""The names of variants in prose: which words are IDs, are like IDs, or are neither; and that 5,000 cost nothing."""

import time

import pytest

from agent.spec.variants import VariantNames


@pytest.mark.parametrize(
    ("ids", "text", "words"),
    [
        ("1A 1B", "Run 1A and 1b, not 9Z; 1B params, 5m, 20 s, v1A, 1A.2", "1A 1b 9Z"),
        ("A B C", "A run of B, then E. I agree.", "B E"),
        ("1 2 5", "2 first. Each run is 5 minutes on 1 GPU. Then 5.", "2 5"),
        ("wide deep", "deep, a wide-ranging try. Wide.", "deep"),
        ("1A 1A-wide", "1A-wide, then 1A", "1A-wide 1A"),
        ("exp-1 exp-2", "exp-12 and exp-1", "exp-12 exp-1"),
    ],
)
def test_an_id_is_a_whole_word_and_a_word_of_its_shape_is_like_one(ids: str, text: str, words: str) -> None:
    assert [word for _, word in VariantNames(tuple(ids.split())).mentions(text)] == words.split()


def test_a_range_is_taken_apart_and_a_name_with_a_hyphen_is_not() -> None:
    assert VariantNames(("1A", "1B", "1D")).spaced("Run 1A-1D, re-run it") == "Run 1A - 1D, re-run it"
    assert VariantNames(("1A", "1A-1D")).spaced("Run 1A-1D") == "Run 1A-1D"


def test_the_names_of_5_000_variants_are_looked_up_at_once() -> None:
    names = VariantNames(tuple(f"v{at}" for at in range(5000)))
    start = time.process_time()
    assert [word for _, word in names.mentions("Run v17 first. " * 100)] == ["v17"] * 100
    assert time.process_time() - start < 0.5

"""fixed/tokenizer.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from fixed.tokenizer import count_token_bytes, encode
from tests.support.fixed import VOCAB

AWKWARD = ["<|bos|>", "\x00", "é", "日本語", "🙂", "a\r\n\r\n\tb", "12345", "  ", "\x80", "the the", "١٢٣", "\u2028"]


@pytest.mark.parametrize("document", AWKWARD)
def test_the_bytes_of_a_documents_tokens_are_its_utf8_length(tokenizer: Tokenizer, document: str) -> None:
    ids = encode(tokenizer, [document])[0]
    assert ids[0] == 0
    assert 0 not in ids[1:]  # text that spells out BOS is no BOS
    assert count_token_bytes(tokenizer, VOCAB)[ids].sum() == len(document.encode())


@given(document=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_texts_bytes_are_counted_exactly(tokenizer: Tokenizer, document: str) -> None:
    ids = encode(tokenizer, [document])[0]
    assert count_token_bytes(tokenizer, VOCAB)[ids].sum() == len(document.encode())


def test_a_lone_byte_is_one_byte_and_bos_has_none(tokenizer: Tokenizer) -> None:
    sizes = count_token_bytes(tokenizer, VOCAB)
    assert sizes[0] == 0
    assert (sizes[1:257] == 1).all()
    assert (sizes[257 : tokenizer.get_vocab_size()] > 1).all()


def test_digits_are_split_into_ones_and_twos(tokenizer: Tokenizer) -> None:
    pieces = [token for token in tokenizer.get_vocab() if token.isdigit()]
    assert pieces
    assert max(map(len, pieces)) <= 2


def test_the_tokenizer_has_the_size_it_is_asked_for(tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() <= VOCAB
    assert len(count_token_bytes(tokenizer, VOCAB)) == VOCAB

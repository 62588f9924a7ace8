"""fixed/evaluate.py."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from fixed import dataset, evaluate, result
from fixed.tokenizer import count_token_bytes, encode
from tests.support.fixed import VOCAB

DOCUMENTS = ["The naïve cat sat on the mat.", "日本語 and 12345 " * 9, "x", "<|bos|> the end of the other one " * 5]


def uniform(vocab: int):  # type: ignore[no-untyped-def]
    return lambda tokens: torch.zeros(*tokens.shape, vocab)


def bigram(seed: int, vocab: int):  # type: ignore[no-untyped-def]
    table = torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))
    return lambda tokens: table[tokens]


def packed(tokenizer: Tokenizer, length: int, documents: Sequence[str] = DOCUMENTS) -> dataset.EvalSet:
    return dataset.pack(encode(tokenizer, list(documents)), [len(d.encode()) for d in documents], length)


@pytest.mark.parametrize("length", [1, 3, 16, 64, 4096])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_uniform_model_costs_log2_of_the_vocabulary_for_each_token(
    tokenizer: Tokenizer, length: int, batch: int
) -> None:
    held, sizes = packed(tokenizer, length), count_token_bytes(tokenizer, VOCAB)
    nats = evaluate.score(uniform(VOCAB), held, sizes, batch=batch, device="cpu")
    tokens = sum(len(ids) - 1 for ids in encode(tokenizer, DOCUMENTS))
    expected = math.log2(VOCAB) * tokens / sum(len(d.encode()) for d in DOCUMENTS)
    assert evaluate.bits_per_byte(nats, held.document_bytes) == pytest.approx(expected, rel=1e-6)


@given(
    documents=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=6
    ),
    length=st.integers(1, 50),
)
@settings(max_examples=100, deadline=None)
def test_every_token_is_a_target_exactly_once(tokenizer: Tokenizer, documents: list[str], length: int) -> None:
    held = packed(tokenizer, length, documents)
    scored = held.rows[:, 1:][held.documents >= 0]
    encoded = encode(tokenizer, documents)
    assert scored.tolist() == [token for ids in encoded for token in ids[1:].tolist()]
    owners = held.documents[held.documents >= 0].tolist()
    assert owners == [index for index, ids in enumerate(encoded) for _ in ids[1:]]
    assert (held.rows[1:, 0] == held.rows[:-1, -1]).all()  # no target goes without the token before it


def test_a_model_that_sees_one_token_scores_the_same_at_every_sequence_length(tokenizer: Tokenizer) -> None:
    sizes = count_token_bytes(tokenizer, VOCAB)
    every = [
        evaluate.score(bigram(0, VOCAB), packed(tokenizer, length), sizes, batch=2, device="cpu")
        for length in (2, 7, 999)
    ]
    np.testing.assert_allclose(every[0], every[1], rtol=1e-6)
    np.testing.assert_allclose(every[0], every[2], rtol=1e-6)


def test_the_same_probability_of_a_text_gives_the_same_bpb_whatever_the_vocabulary() -> None:
    """Each byte has probability 2**-3 under both: as one token of 1 byte, or as tokens of 2 bytes at 2**-6."""
    held = [
        dataset.EvalSet(np.zeros((1, 5), np.uint16), np.zeros((1, 4), np.int32), np.array([4])),
        dataset.EvalSet(np.zeros((1, 3), np.uint16), np.zeros((1, 2), np.int32), np.array([4])),
    ]
    models = [uniform(8), uniform(64)]
    sizes = [np.full(8, 1), np.full(64, 2)]
    for one, model, size in zip(held, models, sizes, strict=True):
        nats = evaluate.score(model, one, size, batch=1, device="cpu")
        assert evaluate.bits_per_byte(nats, one.document_bytes) == pytest.approx(3.0)


def test_tokens_that_do_not_spell_the_documents_are_refused(tokenizer: Tokenizer) -> None:
    held = packed(tokenizer, 16)
    held.document_bytes[0] += 1
    with pytest.raises(AssertionError, match="spell"):
        evaluate.score(uniform(VOCAB), held, count_token_bytes(tokenizer, VOCAB), batch=1, device="cpu")


def test_a_batch_that_does_not_fit_into_memory_is_halved_and_the_score_is_the_same(tokenizer: Tokenizer) -> None:
    rows_seen = []

    def small(tokens: torch.Tensor) -> torch.Tensor:
        rows_seen.append(len(tokens))
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return bigram(1, VOCAB)(tokens)

    held, sizes = packed(tokenizer, 8), count_token_bytes(tokenizer, VOCAB)
    nats = evaluate.score(small, held, sizes, batch=8, device="cpu")
    np.testing.assert_allclose(nats, evaluate.score(bigram(1, VOCAB), held, sizes, batch=3, device="cpu"), rtol=1e-6)
    assert rows_seen[:3] == [8, 4, 2]


def test_a_model_whose_logits_have_the_wrong_shape_is_refused(tokenizer: Tokenizer) -> None:
    sizes = count_token_bytes(tokenizer, VOCAB)
    with pytest.raises(result.RunFailure, match="expected"):
        evaluate.score(uniform(VOCAB - 1), packed(tokenizer, 8), sizes, batch=1, device="cpu")


def through(model: torch.nn.Module, how: str):  # type: ignore[no-untyped-def]
    """A scoring function that has a model in one of the ways in which a script may hand it over."""
    ways = {
        "itself": model,
        "partial": partial(lambda graph, tokens: graph(tokens), model),
        "closure": lambda tokens: model(tokens),
        "method": model.forward,
        "wrapped": torch.no_grad()(lambda tokens: model(tokens)),
    }
    return ways[how]


@pytest.mark.parametrize("how", ["itself", "partial", "closure", "method", "wrapped"])
def test_a_model_with_dropout_is_scored_in_evaluation_mode_however_it_is_handed_over(how: str) -> None:
    model = torch.nn.Sequential(torch.nn.Dropout(0.5))
    for module in evaluate.modules_of(through(model, how)):
        module.eval()
    assert not model.training
    assert not model[0].training
    assert torch.equal(model(torch.ones(64)), torch.ones(64))

"""bench/plain.py: it is the model and the recipe of train.py."""

import dataclasses

import pytest
import torch

import train
from bench import plain


@pytest.fixture
def config() -> train.Config:
    shape = {"n_layer": 4, "model_dim": 32, "n_head": 2, "vocab_size": 97, "sequence_length": 64}
    base = train.make_config("mini")
    return dataclasses.replace(base, **shape, windows=(16, 64, 16, 64), ngram_order=3, ngram_rows=1000)


def pair(config: train.Config) -> tuple[train.GPT, plain.PlainGPT]:
    """Both models with the same weights, all of them drawn at random."""
    torch.manual_seed(0)
    ours, reference = train.build_model(config), plain.PlainGPT(config)
    with torch.no_grad():
        for weight in ours.parameters():
            weight.normal_(std=0.3)
    reference.take(ours)
    return ours, reference


def test_the_same_weights_give_the_same_logits(config: train.Config) -> None:
    ours, reference = pair(config)
    tokens = torch.randint(0, 97, (3, 64))
    torch.testing.assert_close(reference(tokens), ours(tokens), rtol=1e-4, atol=1e-4)
    assert sum(weight.numel() for weight in reference.parameters()) == sum(
        weight.numel() for weight in ours.parameters()
    )


def test_its_matrices_take_the_same_first_step(config: train.Config) -> None:
    ours, reference = pair(config)
    tokens, targets = torch.randint(0, 97, (2, 3, 64))
    ours_optimizer, optimizer = (
        train.Optimizer(ours, train.TUNED["mini"]),
        plain.PlainOptimizer(reference, train.TUNED["mini"]),
    )
    loss, _ = train.loss_and_logits(ours, tokens, ours.embedded(tokens), targets)
    loss.backward()
    ours_optimizer.step(0, 0.5)
    torch.nn.functional.cross_entropy(reference(tokens).flatten(0, 1), targets.flatten()).backward()
    optimizer.step(0, 0.5)
    torch.testing.assert_close(reference.x0, ours.x0, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(reference.resid, ours.resid, rtol=1e-3, atol=1e-4)
    for mine, theirs in zip(ours.blocks, reference.blocks, strict=True):
        assert distance(theirs.up.weight, mine.up.weight) < 1e-3
        assert distance(theirs.attention.v.weight, mine.attention.qkv[2]) < 1e-3


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The norm of the difference in norms of `b`: single entries of what Muon makes depend on the processor."""
    return float(((a - b).norm() / b.norm()).detach())

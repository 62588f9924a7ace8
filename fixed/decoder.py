"""A decoder as its weights: for a gradient that needs no autograd, where it is the one that autograd gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fixed.dataset import Prepared
from fixed.runtime import Run

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn import Parameter

    Pair = tuple[Parameter, Parameter]  # weight and bias

Gradient = Callable[["Tensor", "Tensor"], "Tensor"]  # of tokens and targets, (rows, time), to the loss; fills all grad
TOLERANCE = 1e-3  # of two gradients, as a share of the norm of the one


@dataclass(frozen=True)
class Layer:
    """A layer of a decoder: attention, then an MLP where there is one, each added to the stream it has read.

    Each pair is weight and bias: of a LayerNorm (width,), else of x W + b, (in, out) and (out,). qkv: (3 * heads,
    width, size). out is None where one head is added as it is. gelu: in the MLP; else relu.
    """

    attention_norm: "Pair | None"
    qkv: "Parameter"
    out: "Pair | None"
    mlp_norm: "Pair | None"
    up: "Pair | None"
    down: "Pair | None"
    gelu: bool


@dataclass(frozen=True)
class Decoder:
    """Weights of a model. embedding: (vocab, width); positions: (longest, width) or None; head: (width, vocab).

    mask: 0 where attention looks, else -inf, (longest, longest). padding: the target that no loss counts.
    """

    embedding: "Parameter"
    positions: "Parameter | None"
    layers: Sequence[Layer]
    head: "Pair"
    mask: "Tensor"
    padding: int


def fastest_gradient(run: Run, model: "nn.Module", by_autograd: Gradient, decoder: Decoder | None) -> Gradient:
    """Return the decoder's gradient by hand where it is that of autograd on a batch drawn for it, else `by_autograd`.

    The run's notes say which. The weights of the model have gradients, all zero, and so they are left.
    """
    from fixed.manual import ManualGradient

    gradient = by_autograd
    if decoder is not None and run.device.type == "cpu":
        by_hand = ManualGradient(decoder)
        gradient = by_hand if _agree(model, by_autograd, by_hand, run.corpus) else by_autograd
    run.notes["gradient"] = "by autograd" if gradient is by_autograd else "by hand"
    return gradient


def _agree(model: "nn.Module", by_autograd: Gradient, by_hand: Gradient, corpus: Prepared) -> bool:
    """Return whether both give one gradient. By hand a model that is no such decoder may have none at all."""
    import torch

    drawn = torch.randint(
        corpus.vocab_size, (2, corpus.sequence_length + 1), generator=torch.Generator().manual_seed(0)
    )
    expected = _taken(model, by_autograd, drawn)
    try:
        given = _taken(model, by_hand, drawn)
    except RuntimeError:  # shapes that do not fit
        return False
    return bool(torch.dist(expected, given) <= TOLERANCE * expected.norm())


def _taken(model: "nn.Module", gradient: Gradient, batch: "Tensor") -> "Tensor":
    """Return the gradient of a batch, and the loss, as one vector; clear it."""
    import torch

    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    try:
        loss = gradient(batch[:, :-1], batch[:, 1:])
        return torch.cat([loss.view(1), *(grad.flatten() for grad in grads)])
    finally:
        for grad in grads:
            grad.zero_()

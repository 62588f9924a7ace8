"""Training batches: every epoch is a shuffle of all rows, by the seed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fixed.dataset import Prepared

if TYPE_CHECKING:  # takes a second to load, and whoever only prepares a corpus needs none of it
    import torch


def batches(
    corpus: Prepared, rows: int, seed: int, device: "torch.device", length: int | None = None
) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
    """Yield (tokens, targets) for ever, int64 of (rows, T): each epoch is a shuffle of all rows, by the seed.

    T is `length`, else the corpus's sequence length.
    The next batch is read, and queued for the device, before the one in hand is used.
    """
    data, length = corpus.train(), length or corpus.sequence_length
    blocks = (
        np.stack([data[start : start + length + 1] for start in starts])
        for starts in row_starts(len(data), length, rows, seed)
    )
    waiting = _to_device(next(blocks), device)
    for block in blocks:
        ready, waiting = waiting, _to_device(block, device)
        yield ready


def _to_device(block: np.ndarray, device: "torch.device") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return (tokens, targets) of a block of rows, on the device."""
    import torch

    both = torch.from_numpy(block.astype(np.int64))
    if device.type == "cuda":
        both = both.pin_memory().to(device, non_blocking=True)
    return both[:, :-1].contiguous(), both[:, 1:].contiguous()


def row_starts(tokens: int, length: int, rows: int, seed: int) -> Iterator[list[int]]:
    """Yield where the rows of each batch begin: an epoch cuts the stream at a random phase and shuffles the pieces."""
    rng = np.random.default_rng(seed)
    waiting: list[int] = []
    while True:
        spare = tokens - 1 - length
        first = int(rng.integers(0, min(length, spare + 1)))
        order = np.arange(first, spare + 1, length)
        rng.shuffle(order)
        waiting.extend(order.tolist())
        while len(waiting) >= rows:
            yield waiting[:rows]
            del waiting[:rows]

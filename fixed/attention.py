"""Causal attention to the last places only: three kernels that give the same, one of them the fastest on a machine."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor, float], Tensor]  # q, k, v: (B, heads, T, head_dim); the scale of q k


def local_attention(q: Tensor, k: Tensor, v: Tensor, scale: float, window: int) -> Tensor:
    """Causal attention to the last `window` places, on every device.

    Queries go in chunks of `window` places, each to the keys of its own chunk and of the one before it: the work
    grows with T x window and not with T x T.
    """
    heads, length = q.shape[1:3]
    if window >= length:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    q, k, v = (_in_chunks(part, window) for part in (q, k, v))
    k, v = (torch.cat([F.pad(part, (0, 0, 0, 0, 1, -1)), part], dim=2) for part in (k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=_chunk_mask(q.size(1), window, q.device), scale=scale)
    return mixed.flatten(1, 2).unflatten(0, (-1, heads))[:, :, :length]


def _in_chunks(x: Tensor, window: int) -> Tensor:
    """(B, heads, T, head_dim) to (B x heads, chunks, window, head_dim), the last chunk filled up with zeros."""
    missing = -x.size(2) % window
    x = F.pad(x, (0, 0, 0, missing)) if missing else x
    return x.unflatten(2, (-1, window)).flatten(0, 1)


def _chunk_mask(chunks: int, window: int, device: torch.device) -> Tensor:
    """Which keys each query of a chunk sees, (1, chunks, window, 2 x window): nothing lies before the first chunk."""
    key, query = torch.arange(-window, window, device=device), torch.arange(window, device=device)[:, None]
    later = torch.arange(chunks, device=device)[:, None, None] > 0
    return ((key <= query) & (key > query - window) & (later | (key >= 0)))[None]


def flex(window: int, length: int, device: torch.device) -> Attend:
    """Windows by flex_attention: compiled for CUDA, it skips what no window holds."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    def sees(_batch: Tensor, _head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i - j < window)

    blocks = create_block_mask(sees, None, None, length, length, device=str(device))
    return lambda q, k, v, scale: flex_attention(q, k, v, block_mask=blocks, scale=scale)


def varlen(window: int, length: int, device: torch.device) -> Attend:
    """Windows by the FlashAttention inside torch (CUDA only), which takes the rows of a batch end to end."""
    from torch.nn.attention.varlen import varlen_attn

    def attend(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        rows = q.size(0)
        ends = torch.arange(0, (rows + 1) * length, length, dtype=torch.int32, device=device)
        q, k, v = (part.transpose(1, 2).flatten(0, 1) for part in (q, k, v))
        mixed = varlen_attn(q, k, v, ends, ends, length, length, scale=scale, window_size=(window - 1, 0))
        return mixed.unflatten(0, (rows, length)).transpose(1, 2)

    return attend


KERNELS: dict[str, Callable[[int, int, torch.device], Attend]] = {
    "local": lambda window, _length, _device: partial(local_attention, window=window),
    "flex": flex,
    "varlen": varlen,
}


class AttentionShape(Protocol):
    """What of a model's configuration says how its attention is shaped."""

    @property
    def windows(self) -> tuple[int, ...]: ...
    @property
    def model_dim(self) -> int: ...
    @property
    def n_head(self) -> int: ...
    @property
    def sequence_length(self) -> int: ...
    @property
    def dtype(self) -> str: ...


def by_window(config: AttentionShape, device: torch.device, name: str) -> Mapping[int, Attend]:
    """Return the kernel `name` for each short window."""
    length = config.sequence_length
    return {window: KERNELS[name](window, length, device) for window in set(config.windows) - {length}}


def trial(config: AttentionShape, rows: int, device: torch.device, name: str) -> Callable[[], None]:
    """Return what `autotune` times: one short window, forward and backward; made ready at the first call."""
    shape = (3, rows, config.n_head, config.sequence_length, config.model_dim // config.n_head)

    @cache
    def ready() -> tuple[Attend, Tensor]:
        attend = KERNELS[name](min(config.windows), config.sequence_length, device)
        qkv = torch.randn(shape, dtype=getattr(torch, config.dtype), device=device, requires_grad=True)
        return torch.compile(attend, dynamic=False), qkv

    return lambda: ready()[0](*ready()[1], 1.0).sum().backward()

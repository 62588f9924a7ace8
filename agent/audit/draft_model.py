"""Builds a draft's model: its size, and whether its answers depend on what they must not. A script; needs torch.

    python draft_model.py SCRIPT CHECKPOINT HELD_OUT DEVICE TOKENS OUT

It runs in the sandbox, in an export of the draft, after the draft's first steps. Parameters and FLOPs come from a model
on the meta device, without a byte of weights; where a model cannot go there, from one on the processor. The answers are
those of the checkpoint, in evaluation mode. All of it is the draft's own word: it helps its author, and proves nothing.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

TRAINING = 3  # FLOPs of a forward and a backward pass, in those of the forward pass


def main() -> None:
    """Write {"metrics": {params, flops_per_token, order_shift, causality_shift}} to OUT."""
    script, checkpoint, held_out, device, batch_tokens, out = sys.argv[1:]
    sys.path[:0] = [os.getcwd(), str(Path(script).parent)]  # noqa: PTH109 (where the export is)
    import torch

    module = importlib.import_module(Path(script).stem)
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # as prepare.py sets it for a run
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)

    def build() -> Any:
        return module.build_model(module.Config(**saved["config"]))

    tokens = _read_rows(Path(held_out), int(batch_tokens))
    metrics: dict[str, float] = {**count(build, tokens[:1])}
    model = build()
    model.load_state_dict(saved["model"])
    model.to(device).eval()
    metrics |= shifts(model, tokens.to(device))
    Path(out).write_text(json.dumps({"metrics": metrics}), encoding="utf-8")


def _read_rows(path: Path, batch_tokens: int) -> "Tensor":
    """Return a batch of the first rows of a held-out set, over and over where it has fewer, int64 of (rows, T)."""
    import numpy as np
    import torch

    with np.load(path) as arrays:
        rows = arrays["rows"][:, :-1].astype(np.int64)
    return torch.from_numpy(np.resize(rows, (max(2, batch_tokens // rows.shape[1]), rows.shape[1])))


def count(build: Callable[[], Any], tokens: "Tensor") -> dict[str, int]:
    """Return parameters, and FLOPs of a training token by the matrix products of a forward pass over `tokens`."""
    try:
        return _count_on("meta", build, tokens)
    except Exception:  # a model that looks at values, or at none but its own device's, says so in its own way
        return _count_on("cpu", build, tokens)


def _count_on(device: str, build: Callable[[], Any], tokens: "Tensor") -> dict[str, int]:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device(device):
        model = build().eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(tokens.to(device))
    flops = TRAINING * counter.get_total_flops() // tokens.numel()
    return {"params": sum(weight.numel() for weight in model.parameters()), "flops_per_token": flops}


def shifts(model: Callable[["Tensor"], "Tensor"], tokens: "Tensor") -> dict[str, float]:
    """Return by how much the logarithm of a token's probability moves that should not, in those of their spread.

    order_shift: a row is among random ones, and not among its like. causality_shift: random tokens follow. The spread
    is the standard deviation over the vocabulary: after a few steps a model says little, and moves as little.
    """
    import torch

    cut = tokens.shape[1] // 2
    with torch.no_grad():
        own = _logarithms(model, tokens)
        drawn = torch.randint(own.shape[-1], tokens.shape, generator=torch.Generator().manual_seed(0))
        others = drawn.to(tokens.device)
        before = _logarithms(model, torch.cat([tokens[:, :cut], others[:, cut:]], dim=1))
        order = [_order_shift(model, row[None], others) for row in (tokens[0], tokens[-1])]
    spread = float((own - own.mean(-1, keepdim=True)).std().clamp_min(1e-6))
    causality = float((own[:, :cut] - before[:, :cut]).abs().max())
    return {"order_shift": max(order) / spread, "causality_shift": causality / spread}


def _order_shift(model: Callable[["Tensor"], "Tensor"], row: "Tensor", others: "Tensor") -> float:
    """Return by how much a row's answers move from a batch of itself alone to one of others."""
    import torch

    alike, among = row.expand(len(others), -1).contiguous(), torch.cat([row, others[1:]])
    return float((_logarithms(model, alike)[0] - _logarithms(model, among)[0]).abs().max())


def _logarithms(model: Callable[["Tensor"], "Tensor"], tokens: "Tensor") -> "Tensor":
    """Return the logarithm of the probability of every token at every place, float32 of (B, T, vocab)."""
    return model(tokens).float().log_softmax(-1)


if __name__ == "__main__":
    main()

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
    """Return two batches of the first rows of a held-out set, over and over where it has fewer, int64 of (rows, T)."""
    import numpy as np
    import torch

    with np.load(path) as arrays:
        rows = arrays["rows"][:, :-1].astype(np.int64)
    count = max(1, batch_tokens // rows.shape[1])
    return torch.from_numpy(np.resize(rows, (2 * count, rows.shape[1])))


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
    """Return by how much, of its size (of 1 where it is smaller), an answer moves that should not.

    order_shift: other rows are in the batch. causality_shift: other tokens follow. tokens: an even number of rows.
    """
    import torch

    half, cut = len(tokens) // 2, tokens.shape[1] // 2
    rows, others = tokens[:half], tokens[half:]
    later = torch.cat([rows[:, :cut], others[:, cut:]], dim=1)
    with torch.no_grad():
        own, before = (model(batch).float() for batch in (rows, later))
        first = model(torch.cat([rows[:1], others[1:]])).float()  # the one or the other has a batch's largest value
        last = model(torch.cat([others[:-1], rows[-1:]])).float()
    return {
        "order_shift": max(_most(own[:1], first[:1]), _most(own[-1:], last[-1:])),
        "causality_shift": _most(own[:, :cut], before[:, :cut]),
    }


def _most(first: "Tensor", second: "Tensor") -> float:
    """Return the most that an answer moved, of its size."""
    moved = (second - first).abs() / first.abs().clamp_min(1.0)
    return float(moved.max())


if __name__ == "__main__":
    main()

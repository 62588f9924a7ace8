"""Answers tokens with logits: the model of a checkpoint in a process of its own. A script; needs torch.

    python model_server.py CHECKPOINT DEVICE SCRIPT (in an export of the commit that trained the checkpoint)

SCRIPT is the track's, with Config and build_model. All of it runs in the sandbox, for nobody vouches for that code, and
none of it before the first batch comes: of two of these processes the second begins when the first has ended.
Standard input brings batches: rows and length (two little-endian uint32), then the tokens (int32); 0 rows end it.
Standard output takes the answers: the number of dimensions and each of them (uint32), then the logits (float32). What
SCRIPT prints goes to standard error.
"""

import importlib
import os
import struct
import sys
from pathlib import Path
from typing import BinaryIO


def main() -> None:
    """Answer batches until one has no rows."""
    answers, sys.stdout = os.fdopen(os.dup(1), "wb"), sys.stderr
    os.dup2(2, 1)
    script = Path(sys.argv[3]).resolve()
    sys.path.insert(0, str(script.parent))  # as where it is run itself
    os.environ["GOMP_SPINCOUNT"] = "1000"  # its threads must not take the processor from the scorer's
    import torch

    batch = _read(sys.stdin.buffer)
    train = importlib.import_module(script.stem)

    device = torch.device(sys.argv[2])
    if sys.argv[2] == "cuda":
        torch.set_float32_matmul_precision("high")  # as prepare.py sets it for a run
    saved = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
    model = train.build_model(train.Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    model.to(device).eval()
    while batch is not None:
        rows, length, raw = batch
        tokens = torch.frombuffer(bytearray(raw), dtype=torch.int32).view(rows, length).long().to(device)
        with torch.no_grad():
            logits = model(tokens).float().cpu().contiguous()
        answers.write(struct.pack(f"<{1 + logits.dim()}I", logits.dim(), *logits.shape))
        answers.write(logits.numpy())
        answers.flush()
        batch = _read(sys.stdin.buffer)


def _read(queries: BinaryIO) -> tuple[int, int, bytes] | None:
    """Return rows, length and tokens of the next batch; None at the end."""
    rows, length = struct.unpack("<2I", queries.read(8))
    return (rows, length, queries.read(4 * rows * length)) if rows else None


if __name__ == "__main__":
    main()

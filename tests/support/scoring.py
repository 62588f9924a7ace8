"""A corpus of two small held-out sets, and processes that answer tokens with logits by a mode."""

import math
import sys
from pathlib import Path

import numpy as np
import torch

import prepare
from agent.audit.reports import ScoreRequest
from agent.audit.scorer.processes import start_models
from agent.audit.scorer.scorer import Scorer
from fixed.dataset import pack

VOCAB = 17

# A model's process in a few lines: the logits of the next token are made of the token alone, or as MODE says.
ANSWER = """
import struct, sys
import numpy as np
mode, vocab, count, known = sys.argv[1], int(sys.argv[2]), 0, {}
while True:
    count += 1
    rows, length = struct.unpack("<2I", sys.stdin.buffer.read(8))
    tokens = np.frombuffer(sys.stdin.buffer.read(4 * rows * length), dtype=np.int32).reshape(rows, length)
    logits = np.zeros((rows, length, vocab), dtype=np.float32)
    logits[..., 0] = tokens
    if mode == "peeks" or (mode == "counts" and 3 < count < 8):
        logits[:, :-1, 1] = tokens[:, 1:]
    if mode == "looks far":
        logits[:, :-12, 1] = tokens[:, 12:]
    if mode == "hints":
        logits[:, :-1][tokens[:, 1:, None] == np.arange(vocab)] += 0.01
    if mode == "rounds":
        logits += 0.002 * np.random.default_rng(count).standard_normal(logits.shape)
    if mode == "replays":
        for row, answer in zip(tokens, logits):
            answer[:-1, 1] = row[1:]
            for end in range(len(row), 0, -1):
                if tuple(row[:end]) in known:
                    answer[:end] = known[tuple(row[:end])]
                    break
            known.update({tuple(row[: n + 1]): answer[: n + 1].copy() for n in range(len(row))})
    if mode == "adapts":
        logits[..., 1] += 0.01 * count
    if mode == "mixes":
        logits[..., 1] = tokens.mean()
    if mode == "nan":
        logits[0, 0, 0] = np.nan
    if mode == "short":
        logits = logits[:, :-1]
    if mode == "dies":
        sys.exit(3)
    shape = [2**31] * 3 if mode == "boasts" else logits.shape
    sys.stdout.buffer.write(struct.pack("<4I", 3, *shape) + logits.tobytes())
    sys.stdout.buffer.flush()
"""


def command(mode: str) -> list[str]:
    return [sys.executable, "-c", ANSWER, mode, str(VOCAB)]


def make_corpus(folder: Path) -> Path:
    """Write two held-out sets of forty documents, in rows of sixteen tokens, and return their folder."""
    rng = np.random.default_rng(0)
    sizes = np.ones(VOCAB, dtype=np.int64)
    sizes[0] = 0
    np.save(folder / "token_bytes.npy", sizes)
    for split in prepare.SPLITS:
        texts = [np.array([0, *rng.integers(1, VOCAB, 23)], dtype=np.uint16) for _ in range(40)]
        np.savez(folder / f"{split}.npz", **vars(pack(texts, [23] * 40, 16)))
    facts = {"corpus": "t", "profile": "mini", "fingerprint": "f", "vocab_size": VOCAB, "sequence_length": 16}
    prepare.write_json(folder / "meta.json", {**facts, "train_tokens": 1, "val_bytes": 920, "held_bytes": 920})
    return folder


def make_request(
    corpus: Path, out: Path, mode: str, *, metric: str = "val_bpb", claim: float | None = None
) -> ScoreRequest:
    """Return a request about a process that answers by `mode` and claims what an honest one would get, or `claim`."""
    whole = prepare.load(corpus).evaluation("val")
    honest = torch.zeros(VOCAB)
    nats = np.zeros(40)
    for row, owner in zip(whole.rows.astype(np.int64), whole.documents, strict=True):
        for token, target, document in zip(row[:-1], row[1:], owner, strict=True):
            honest[0] = float(token)
            nats[document] += float(-torch.log_softmax(honest, 0)[target]) if document >= 0 else 0.0
    np.savez(out / "claimed.npz", nats=nats, bytes=whole.document_bytes)
    of = {"val_bpb": math.log(2) * whole.document_bytes.sum(), "val_nats": (whole.documents >= 0).sum()}
    torch.save({"model": {"weight": torch.ones(2)}, "config": {}, "steps": 1}, out / "model.pt")
    return ScoreRequest(
        command=command(mode),
        corpus=str(corpus),
        checkpoint=str(out / "model.pt"),
        claimed=str(out / "claimed.npz"),
        metric=metric,
        claimed_metric=nats.sum() / of[metric] if claim is None else claim,
        out=str(out),
        batch_tokens=128,
        piece_bytes=64,
        seed=1,
    )


def score(request: ScoreRequest) -> Scorer:
    """Run the scorer in this process and return it, its checks made."""
    scorer = Scorer(request, start_models(request.command, request.claimed))
    try:
        scorer.run()
    finally:
        scorer.close()
    return scorer

"""The scorer: it sends tokens alone, takes nothing but logits, and says of each check what it found."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import prepare
from agent import scorer

VOCAB = 17

# A model's process in ten lines: the logits of the next token are made of the token alone, as MODE says.
ANSWER = """
import struct, sys
import numpy as np
mode, vocab = sys.argv[1], int(sys.argv[2])
while True:
    rows, length = struct.unpack("<2I", sys.stdin.buffer.read(8))
    tokens = np.frombuffer(sys.stdin.buffer.read(4 * rows * length), dtype=np.int32).reshape(rows, length)
    logits = np.zeros((rows, length, vocab), dtype=np.float32)
    logits[..., 0] = tokens
    if mode == "peeks":
        logits[:, :-1, 1] = tokens[:, 1:]
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


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two held-out sets of forty documents, in rows of sixteen tokens."""
    folder, rng = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    sizes = np.ones(VOCAB, dtype=np.int64)
    sizes[0] = 0
    np.save(folder / "token_bytes.npy", sizes)
    for split in prepare.SPLITS:
        texts = [np.array([0, *rng.integers(1, VOCAB, 23)], dtype=np.uint16) for _ in range(40)]
        np.savez(folder / f"{split}.npz", **vars(prepare.pack(texts, [23] * 40, 16)))
    facts = {"corpus": "t", "profile": "mini", "fingerprint": "f", "vocab_size": VOCAB, "sequence_length": 16}
    prepare.write_json(folder / "meta.json", {**facts, "train_tokens": 1, "val_bytes": 920, "held_bytes": 920})
    return folder


def trial(corpus: Path, out: Path, mode: str, *, bpb: float | None = None) -> scorer.Audit:
    """An audit of a process that answers by `mode` and claims what an honest one would find, or `bpb`."""
    whole = prepare.load(corpus).evaluation("val")
    honest = torch.zeros(VOCAB)
    nats = np.zeros(40)
    for row, owner in zip(whole.rows.astype(np.int64), whole.documents, strict=True):
        for token, target, document in zip(row[:-1], row[1:], owner, strict=True):
            honest[0] = float(token)
            nats[document] += float(-torch.log_softmax(honest, 0)[target]) if document >= 0 else 0.0
    np.savez(out / "losses.npz", nats=nats, bytes=whole.document_bytes)
    torch.save({"model": {"weight": torch.ones(2)}, "config": {}, "steps": 1}, out / "model.pt")
    claimed = prepare.bits_per_byte(nats, whole.document_bytes) if bpb is None else bpb
    saved, told = str(out / "model.pt"), str(out / "losses.npz")
    audit = scorer.Audit(scorer.Request(command(mode), str(corpus), saved, told, claimed, str(out), 8, 1))
    try:
        audit.run()
    finally:
        audit.model.close()
    return audit


def failed(audit: scorer.Audit) -> dict[str, str]:
    return {name: found for name, found in audit.checks.items() if found != "ok"}


def test_an_honest_model_passes_and_is_scored_on_both_sets(corpus: Path, tmp_path: Path) -> None:
    audit = trial(corpus, tmp_path, "honest")
    assert failed(audit) == {}
    assert list(audit.checks) == ["checkpoint", "bytes", "logits", "agreement", "order", "causality", "held-out"]
    assert len(audit.nats) == len(audit.sizes_held) == 40
    assert set(audit.metrics) == {"val_bpb", "held_bpb"}


@pytest.mark.parametrize(
    ("mode", "check", "found"),
    [
        ("peeks", "causality", "logits before a cut moved by"),
        ("mixes", "order", "nats a token more or less among other rows"),
        ("nan", "logits", "not all are finite"),
        ("short", "logits", r"expected (8, 16, 17)"),
        ("boasts", "logits", r"expected (8, 16, 17)"),
        ("dies", "checkpoint", "ended before it answered"),
    ],
)
def test_each_check_says_what_it_found(corpus: Path, tmp_path: Path, mode: str, check: str, found: str) -> None:
    assert found in failed(trial(corpus, tmp_path, mode))[check]


def test_a_claim_that_is_not_what_the_losses_make_is_refused(corpus: Path, tmp_path: Path) -> None:
    assert "and it claims 0.100000" in failed(trial(corpus, tmp_path, "honest", bpb=0.1))["agreement"]


def test_losses_of_another_model_are_refused(corpus: Path, tmp_path: Path) -> None:
    assert " nats where " in failed(trial(corpus, tmp_path, "mixes"))["agreement"]


def test_a_checkpoint_is_data_and_finite(corpus: Path, tmp_path: Path) -> None:
    audit = trial(corpus, tmp_path, "honest")
    torch.save({"model": {"weight": torch.tensor([1.0, float("nan")])}}, tmp_path / "model.pt")
    assert audit._checkpoint() == "not finite: weight"
    torch.save({"model": {"weight": Path()}}, tmp_path / "model.pt")
    assert "UnpicklingError" in audit._checkpoint()


def test_what_is_asked_holds_tokens_and_no_target() -> None:
    """The last token of a row is a target alone, and never leaves."""
    echo = "import sys; data = sys.stdin.buffer.read(8 + 4 * 6); sys.stderr.write(data.hex())"
    model = scorer.Model([sys.executable, "-c", echo], VOCAB)
    with pytest.raises(scorer.Refused):
        model(torch.arange(6).view(2, 3))
    model.close()
    assert struct.calcsize("<2I") + 4 * 6 == 32


@given(
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=12),
    rows=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_a_part_scores_only_documents_that_lie_in_it_whole(lengths: list[int], rows: int, seed: int) -> None:
    texts = [np.array([0, *([1 + n % 16] * length)], dtype=np.uint16) for n, length in enumerate(lengths)]
    whole = prepare.pack(texts, lengths, 8)
    part, chosen = scorer.part_of(whole, rows, np.random.default_rng(seed))
    told = part.documents[part.documents >= 0]
    assert len(part.rows) == min(rows, len(whole.rows))
    assert np.array_equal(np.bincount(told, minlength=len(chosen)), np.array(lengths)[chosen])
    assert np.array_equal(part.document_bytes, whole.document_bytes[chosen])

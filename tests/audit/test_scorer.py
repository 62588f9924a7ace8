"""The scorer: it sends tokens alone, takes nothing but logits, and says of each check what it found."""

import json
import shutil
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import prepare
from agent.audit import checks, scorer
from agent.core.runs import Result

VOCAB = 17

# A model's process in a few lines: the logits of the next token are made of the token alone, or as MODE says.
ANSWER = """
import struct, sys
import numpy as np
mode, vocab, asked, known = sys.argv[1], int(sys.argv[2]), 0, {}
while True:
    asked += 1
    rows, length = struct.unpack("<2I", sys.stdin.buffer.read(8))
    tokens = np.frombuffer(sys.stdin.buffer.read(4 * rows * length), dtype=np.int32).reshape(rows, length)
    logits = np.zeros((rows, length, vocab), dtype=np.float32)
    logits[..., 0] = tokens
    if mode == "peeks" or (mode == "counts" and 3 < asked < 8):
        logits[:, :-1, 1] = tokens[:, 1:]
    if mode == "looks far":
        logits[:, :-12, 1] = tokens[:, 12:]
    if mode == "hints":
        logits[:, :-1][tokens[:, 1:, None] == np.arange(vocab)] += 0.01
    if mode == "rounds":
        logits += 0.002 * np.random.default_rng(asked).standard_normal(logits.shape)
    if mode == "replays":
        for row, answer in zip(tokens, logits):
            answer[:-1, 1] = row[1:]
            for end in range(len(row), 0, -1):
                if tuple(row[:end]) in known:
                    answer[:end] = known[tuple(row[:end])]
                    break
            known.update({tuple(row[: n + 1]): answer[: n + 1].copy() for n in range(len(row))})
    if mode == "adapts":
        logits[..., 1] += 0.01 * asked
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


def trial(corpus: Path, out: Path, mode: str, *, bpb: float | None = None) -> scorer.Scorer:
    """An audit of a process that answers by `mode` and claims what an honest one would find, or `bpb`."""
    whole = prepare.load(corpus).evaluation("val")
    honest = torch.zeros(VOCAB)
    nats = np.zeros(40)
    for row, owner in zip(whole.rows.astype(np.int64), whole.documents, strict=True):
        for token, target, document in zip(row[:-1], row[1:], owner, strict=True):
            honest[0] = float(token)
            nats[document] += float(-torch.log_softmax(honest, 0)[target]) if document >= 0 else 0.0
    np.savez(out / "told.npz", nats=nats, bytes=whole.document_bytes)
    torch.save({"model": {"weight": torch.ones(2)}, "config": {}, "steps": 1}, out / "model.pt")
    claimed = prepare.bits_per_byte(nats, whole.document_bytes) if bpb is None else bpb
    saved, told = str(out / "model.pt"), str(out / "told.npz")
    return tried(checks.ScoreRequest(command(mode), str(corpus), saved, told, claimed, str(out), 8, 1, 64))


def tried(question: checks.ScoreRequest) -> scorer.Scorer:
    audit = scorer.Scorer(question, scorer.started(question.command, question.claimed))
    try:
        audit.run()
    finally:
        audit.close()
    return audit


def failed(audit: scorer.Scorer) -> dict[str, str]:
    return {name: found for name, found in audit.checks.items() if found != "ok"}


def test_an_honest_model_passes_and_is_scored_on_both_sets(corpus: Path, tmp_path: Path) -> None:
    audit = trial(corpus, tmp_path, "honest")
    assert failed(audit) == {}
    assert list(audit.checks) == ["checkpoint", "bytes", "logits", "agreement", "order", "causality", "held-out"]
    assert set(audit.metrics) == {"val_bpb", "held_bpb"}
    audit.save(1.0)
    read = checks.read_report(Result("ok"), tmp_path)
    assert len(read.val.nats) == len(read.held.sizes) == 40
    with np.load(tmp_path / "told.npz") as told:
        assert np.allclose(read.val.nats, told["nats"], rtol=1e-6)


def test_a_baseline_is_scored_on_the_same_documents_and_nothing_else_is_tried(corpus: Path, tmp_path: Path) -> None:
    winner = trial(corpus, tmp_path, "honest")
    baseline = tried(replace(winner.question, claimed=None))
    assert baseline.checks == {"logits": "ok", "held-out": "ok"}
    assert baseline.metrics == pytest.approx(winner.metrics)
    assert all(np.array_equal(baseline.chosen[split], winner.chosen[split]) for split in prepare.SPLITS)


@pytest.mark.parametrize(
    ("mode", "check", "found"),
    [
        ("peeks", "causality", "answers before a cut moved by"),
        ("looks far", "causality", "answers before a cut moved by"),
        ("counts", "causality", "answers before a cut moved by"),
        ("replays", "causality", "answers before a cut moved by"),
        ("mixes", "order", "a row asked again among other rows"),
        ("adapts", "order", "a row asked again among other rows"),
        ("nan", "logits", "not all are finite"),
        ("short", "logits", r"expected (8, 16, 17)"),
        ("boasts", "logits", r"expected (8, 16, 17)"),
        ("dies", "checkpoint", "ended before it answered"),
    ],
)
def test_each_check_says_what_it_found(corpus: Path, tmp_path: Path, mode: str, check: str, found: str) -> None:
    assert found in failed(trial(corpus, tmp_path, mode))[check]


@pytest.mark.parametrize(("mode", "found"), [("rounds", {}), ("hints", {"causality": "nats more or less where it"})])
def test_bfloat16_may_round_and_a_hint_as_small_as_that_shows_in_the_mean(
    corpus: Path, tmp_path: Path, mode: str, found: dict[str, str]
) -> None:
    full = tmp_path / "full"
    shutil.copytree(corpus, full)
    prepare.write_json(full / "meta.json", {**json.loads((corpus / "meta.json").read_text()), "profile": "full"})
    told = failed(trial(full, tmp_path, mode))
    told.pop("agreement", None)
    assert told.keys() == found.keys()
    assert all(text in told[name] for name, text in found.items())


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
    process = subprocess.Popen([sys.executable, "-c", echo], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    model = scorer.Model(process, VOCAB)
    model.send(torch.arange(6).view(2, 3))
    with pytest.raises(scorer.CheckFailed):
        model.receive(2, 3)
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
    numbers = scorer.some_rows(whole, rows, np.random.default_rng(seed))
    part, chosen = scorer.part_of(whole, numbers)
    told = part.documents[part.documents >= 0]
    assert 1 <= len(part.rows) <= min(rows, len(whole.rows))
    assert len(set(numbers)) == len(numbers)
    assert np.array_equal(np.bincount(told, minlength=len(chosen)), np.array(lengths)[chosen])
    assert np.array_equal(part.document_bytes, whole.document_bytes[chosen])


def test_what_is_scored_of_a_large_set_lies_all_over_it_in_blocks_that_hold_whole_documents() -> None:
    lengths = np.random.default_rng(0).integers(5, 25, 4000)
    whole = prepare.pack([np.zeros(length + 1, dtype=np.uint16) for length in lengths], [*lengths], 16)
    numbers = scorer.some_rows(whole, 256, np.random.default_rng(1))
    assert len(numbers) > 240
    assert np.histogram(numbers, 4, (0, len(whole.rows)))[0].min() >= 24
    part, chosen = scorer.part_of(whole, numbers)
    assert (part.documents >= 0).mean() > 0.6
    assert len(chosen) > 100


ROWS = [(split, number) for split in prepare.SPLITS for number in range(40)]


def test_every_row_is_scored_once_and_asked_again_of_the_other_process_in_the_same_place() -> None:
    asks = scorer.plan(ROWS, 32, 2, 8, np.random.default_rng(0))
    where = {}
    for side, batches in enumerate(asks):
        for batch in batches:
            assert len(batch) == 8
            where |= {(ask.row, ask.again): (side, slot) for slot, ask in enumerate(batch)}
    told = Counter(ask.row for side in asks for batch in side for ask in batch if not ask.again)
    assert told == Counter(ROWS)
    again = [row for row, twice in where if twice]
    assert len(again) >= 32
    for row in again:
        (first, place), (second, same) = where[row, False], where[row, True]
        assert (first, place) == (1 - second, same)


def test_no_process_is_shown_a_row_twice() -> None:
    odd = [*ROWS, ("val", 40), ("held", 40)]  # half of them is an odd number
    for side in scorer.plan(odd, 32, 2, 1, np.random.default_rng(0)):
        shown = Counter(row for batch in side for ask in batch for row in (ask.row, ask.other) if row)
        assert max(shown.values()) == 1


def test_the_kinds_of_question_of_either_set_are_mixed() -> None:
    """Each half of what a process is asked has each kind of each set, and either process as much as the other."""
    rows = [(split, number) for split in prepare.SPLITS for number in range(160)]
    asks = scorer.plan(rows, 128, 2, 8, np.random.default_rng(0))
    kinds = [[(ask.row[0], ask.again, bool(ask.other)) for batch in side for ask in batch] for side in asks]
    for told in kinds:
        half = len(told) // 2
        first, second = Counter(told[:half]), Counter(told[half:])
        assert len(first) == len(second) == 6
        assert all(first[kind] > 0.5 * second[kind] > 0.25 * first[kind] for kind in first if kind[2] or not kind[1])


def test_the_tokens_change_at_the_cut_and_not_before() -> None:
    parts = {"val": prepare.EvalSet(np.arange(34, dtype=np.uint16).reshape(2, 17), np.zeros((2, 16)), np.ones(1))}
    answers = scorer.Answers(parts, np.ones(40, dtype=np.int64), 0)
    tokens, cut = answers.asked(scorer.Query(("val", 0), True, ("val", 1)), np.random.default_rng(0))
    assert 1 <= cut < 16
    assert np.array_equal(tokens, [*range(cut), *range(17 + cut, 34)])
    assert answers.asked(scorer.Query(("val", 0), True), np.random.default_rng(0))[1] == 16


def test_a_document_is_cut_into_pieces_of_a_size_and_the_last_one_takes_what_is_left() -> None:
    owner = np.array([0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 1])  # in the order of the rows, not of their numbers
    lengths = np.array([4, 4, 4, 4, 4, 3, 2, 8, 8, 8, 1])
    assert scorer.piece_numbers(owner, lengths, 8).tolist() == [0, 0, 1, 1, 1, 5, 5, 2, 3, 4, 4]


def test_what_the_pieces_cost_is_what_the_documents_cost() -> None:
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(9), rng.integers(1, 50, 9))
    lengths, nats = rng.integers(0, 9, len(owner)), rng.random(len(owner))
    for size in (1, 40, 10**9):
        number = scorer.piece_numbers(owner, lengths, size)
        assert all(len(set(owner[number == one])) == 1 for one in set(number.tolist()))
        assert np.bincount(number, nats).sum() == pytest.approx(nats.sum())
        assert set(number.tolist()) <= set(range(number.max() + 1))
    assert number.tolist() == owner.tolist()

"""Scores a checkpoint without its code: the trusted half of the audit. A script; needs prepare.py, numpy and torch.

    python scorer.py REQUEST        (REQUEST: JSON, see `Request`; in an export whose prepare.py is the pinned one)

It owns the held-out data and sends tokens, never targets, to the model's process (answerer.py, in a sandbox), whose
logits it scores with the evaluator of prepare.py. Each check says `ok` or what it found; result.json has them all.
"""

import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Read when torch is loaded: threads that wait by spinning would take the processor from the model's process.
os.environ["GOMP_SPINCOUNT"] = "1000"

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, os.getcwd())  # noqa: PTH109 (where the export is)
import prepare

# The share by which audited and claimed nats may differ: kernels of another shape, and on `full` bfloat16.
AGREE = {"full": 0.002, "mini": 0.0002}
SAME = 1e-3  # nats: what a target may cost more or less among other rows, at another batch size
MOVED = 0.02  # what a logit may move by when only later tokens change
MOST_BATCHES = 8  # of rows from each held-out set that are scored, on profile full; on mini all are
CUTS = {"full": 64, "mini": 256}  # places after which new tokens come, one in each try


@dataclass(frozen=True)
class Request:
    """What to score. claimed: the run's losses.npz, None for a baseline that is only compared with."""

    command: list[str]  # the model's process
    prepared: str
    checkpoint: str
    claimed: str | None
    claimed_bpb: float
    out: str
    batch: int
    seed: int


class Refused(Exception):
    """A check that did not hold, by name."""

    def __init__(self, check: str, found: str) -> None:
        super().__init__(f"{check}: {found}")
        self.check, self.found = check, found


class Model:
    """The model's process: called with int64 tokens (rows, T), it returns what came back as logits."""

    def __init__(self, command: list[str], vocab: int) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers, self._vocab = self._process.stdin, self._process.stdout, vocab
        self._refused: Refused | None = None  # from then on nothing that comes back can be told apart

    def __call__(self, tokens: Tensor) -> Tensor:
        """Float32 logits (rows, T, vocab). Raises Refused where the answer is none, and at every call after that."""
        if self._refused is None:
            try:
                return self._ask(tokens)
            except Refused as refused:
                self._refused = refused
        raise self._refused

    def _ask(self, tokens: Tensor) -> Tensor:
        rows, length = tokens.shape
        try:
            self._questions.write(struct.pack("<2I", rows, length) + tokens.to(torch.int32).numpy().tobytes())
            self._questions.flush()
        except BrokenPipeError:
            raise Refused("checkpoint", "the model's process ended before it answered (see the log)") from None
        (dims,) = struct.unpack("<I", self._exactly(4))
        shape = struct.unpack(f"<{dims}I", self._exactly(4 * dims)) if dims <= 8 else (dims,)
        if shape != (rows, length, self._vocab):
            raise Refused("logits", f"shape {shape}, expected {(rows, length, self._vocab)}")
        logits = torch.frombuffer(self._exactly(4 * math.prod(shape)), dtype=torch.float32).view(shape)
        if not torch.isfinite(logits).all():
            raise Refused("logits", "not all are finite")
        return logits

    def _exactly(self, size: int) -> bytearray:
        """`size` bytes of the answer."""
        held, view, filled = (room := bytearray(size)), memoryview(room), 0
        while filled < size:
            got = self._read(view[filled:])
            if not got:
                raise Refused("checkpoint", "the model's process ended before it answered (see the log)")
            filled += got
        return held

    def _read(self, room: memoryview) -> int:
        stream: BinaryIO = self._answers  # type: ignore[assignment]
        return stream.readinto(room)  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(BrokenPipeError):  # what was not read is nobody's any more
                pipe.close()


def part_of(whole: prepare.EvalSet, rows: int, rng: np.random.Generator) -> tuple[prepare.EvalSet, np.ndarray]:
    """`rows` neighbouring rows of a held-out set, and the numbers of the documents that lie in them from end to end."""
    first = int(rng.integers(0, max(1, len(whole.rows) - rows + 1)))
    owner = whole.documents[first : first + rows]
    outside = np.concatenate([whole.documents[:first], whole.documents[first + rows :]])
    chosen = np.setdiff1d(owner, np.append(outside, -1))
    renamed = np.full(len(whole.document_bytes) + 1, -1, dtype=np.int32)  # the last entry serves the owner -1
    renamed[chosen] = np.arange(len(chosen))
    return prepare.EvalSet(whole.rows[first : first + rows], renamed[owner], whole.document_bytes[chosen]), chosen


class Audit:
    """One checkpoint on trial: `checks` fills up as each is tried, `metrics` with what was scored."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.corpus = prepare.load(Path(request.prepared))
        self.sizes = self.corpus.token_bytes()
        self.rng = np.random.default_rng(request.seed)
        self.checks: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.nats, self.sizes_held = np.zeros(0), np.zeros(0)  # of the documents of the second held-out set
        self.model = Model(request.command, self.corpus.vocab_size)

    def run(self) -> None:
        """Every check of a winner, or only the second held-out set of a baseline."""
        if self.request.claimed is not None:
            self._try("checkpoint", self._checkpoint)
            self._try("bytes", self._bytes)
            self._try("agreement", self._agreement)
            self._try("order", self._order)
            self._try("causality", self._causality)
        self._try("held-out", self._held)

    def _try(self, name: str, check: Callable[[], str]) -> None:
        """Once a check fails for want of an answer, those after it fail as well; each says why."""
        try:
            self.checks[name] = check()
        except Refused as refused:
            if self.checks.get(refused.check, "ok") == "ok":
                self.checks[refused.check] = refused.found
            self.checks.setdefault(name, f"not tried: {refused}")
        except prepare.Stop as stop:
            self.checks[name] = stop.reason

    def _checkpoint(self) -> str:
        """Loads as data alone, and holds numbers alone."""
        try:
            saved = torch.load(self.request.checkpoint, map_location="cpu", weights_only=True)
            weights = dict(saved["model"]).items()
            bad = [name for name, value in weights if value.is_floating_point() and not torch.isfinite(value).all()]
        except Exception as error:  # whatever the file is, it says so in its own way
            return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'cannot be loaded'}"
        return f"not finite: {', '.join(bad[:3])}" if bad else "ok"

    def _bytes(self) -> str:
        """The targets of every document spell exactly its bytes, each once."""
        for split in prepare.SPLITS:
            whole = self.corpus.evaluation(split)
            told = whole.documents >= 0
            found = np.bincount(whole.documents[told], self.sizes[whole.rows[:, 1:][told]], len(whole.document_bytes))
            if not np.array_equal(found, whole.document_bytes):
                return f"the tokens of {split} do not spell its documents"
        return "ok"

    def _score(self, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(nats, bytes, numbers) of the documents scored, and their bits per byte among the metrics."""
        whole = self.corpus.evaluation(split)
        rows = MOST_BATCHES * self.request.batch if self.corpus.profile == "full" else len(whole.rows)
        part, chosen = part_of(whole, rows, np.random.default_rng(self.request.seed))
        nats = prepare.score(self.model, part, self.sizes, batch=self.request.batch, device="cpu")
        self.metrics[f"{split}_bpb"] = prepare.bits_per_byte(nats, part.document_bytes)
        return nats, part.document_bytes, chosen

    def _agreement(self) -> str:
        """The claim adds up, and what was scored here costs what the run says it does."""
        assert self.request.claimed is not None
        nats, _, chosen = self._score("val")
        self.checks["logits"] = "ok"
        try:
            with np.load(self.request.claimed, allow_pickle=False) as told:
                said, lengths = told["nats"].astype(np.float64), told["bytes"]
        except (OSError, ValueError, KeyError) as error:
            return f"the run's losses.npz cannot be read: {error}"
        true = self.corpus.evaluation("val").document_bytes
        if said.shape != true.shape or not np.array_equal(lengths, true):
            raise Refused("bytes", f"the run counts {lengths.sum():,} bytes where there are {true.sum():,}")
        whole = prepare.bits_per_byte(said, lengths)
        if not math.isclose(whole, self.request.claimed_bpb, rel_tol=1e-6):
            return f"the run's losses make {whole:.6f} and it claims {self.request.claimed_bpb:.6f}"
        off = abs(nats.sum() / said[chosen].sum() - 1)
        return (
            "ok"
            if off <= AGREE[self.corpus.profile]
            else f"claims {said[chosen].sum():.1f} nats where {nats.sum():.1f} were found"
        )

    def _losses(self, rows: np.ndarray) -> Tensor:
        """Nats of every target of `rows`, (len(rows), T)."""
        both = torch.from_numpy(rows.astype(np.int64))
        logits = self.model(both[:, :-1].contiguous())
        flat = torch.nn.functional.cross_entropy(logits.flatten(0, 1), both[:, 1:].flatten(), reduction="none")
        return flat.view(len(rows), -1)

    def _order(self) -> str:
        """The same rows in another order, in batches of another size: no row's cost may depend on the others."""
        whole = self.corpus.evaluation("val").rows
        rows = whole[self.rng.permutation(len(whole))[: 2 * self.request.batch]]
        one = torch.cat(
            [self._losses(rows[at : at + self.request.batch]) for at in range(0, len(rows), self.request.batch)]
        )
        order, half = self.rng.permutation(len(rows)), max(1, self.request.batch // 2 - 1)
        again = torch.cat([self._losses(rows[order[at : at + half]]) for at in range(0, len(rows), half)])
        off = (one[torch.from_numpy(order)] - again).mean(1).abs().max().item()
        return "ok" if off <= SAME else f"a row costs {off:.4f} nats a token more or less among other rows"

    def _causality(self) -> str:
        """New tokens after a cut leave the logits before it where they were. Many cuts: a peek may be a rare one."""
        whole = self.corpus.evaluation("val").rows[:, :-1].astype(np.int64)
        size = min(self.request.batch, len(whole))  # as many rows as at any other time: nothing tells this check apart
        rows = whole[self.rng.permutation(len(whole))[:size]]
        length = rows.shape[1]
        cuts = self.rng.permutation(np.arange(1, length))[: CUTS[self.corpus.profile]]
        before, moved = self.model(torch.from_numpy(rows)), 0.0
        for at in range(0, len(cuts), size):
            cut = np.resize(cuts[at : at + size], size)[:, None]  # each row has one of its own
            later = np.arange(length) >= cut
            changed = np.where(later, self.rng.integers(0, self.corpus.vocab_size, later.shape), rows)
            off = (self.model(torch.from_numpy(changed)) - before).abs().amax(-1)
            moved = max(moved, off.masked_fill(torch.from_numpy(later), 0.0).max().item())
        return "ok" if moved <= MOVED else f"logits before a cut moved by {moved:.3f} when tokens after it changed"

    def _held(self) -> str:
        """Score the second held-out set; the harness compares it with the baseline's."""
        self.nats, self.sizes_held, _ = self._score("held")
        return "ok"

    def save(self, seconds: float) -> None:
        out = Path(self.request.out)
        np.savez(out / "losses.npz", nats=self.nats, bytes=self.sizes_held)
        prepare.write_json(
            out / "result.json", {"metrics": self.metrics, "checks": self.checks, "phases": {"audit": seconds}}
        )


def main() -> None:
    began = time.perf_counter()
    audit = Audit(Request(**json.loads(sys.argv[1])))
    try:
        audit.run()
    finally:
        audit.model.close()
    audit.save(time.perf_counter() - began)
    print(json.dumps(audit.checks, indent=1), flush=True)


if __name__ == "__main__":
    main()

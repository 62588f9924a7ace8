"""Scores a checkpoint without its code: the trusted half of the audit. A script; needs prepare.py, numpy and torch.

    python scorer.py QUESTION        (JSON, the fields of checks.Question; in an export whose prepare.py is pinned)

It owns the held-out data and sends tokens, never targets, to the model's processes (answerer.py, in a sandbox), whose
logits it scores with the evaluator of prepare.py. Each check says `ok` or what it found; result.json has them all.

Two processes share the questions, which are planned before the first is asked. A row that is asked twice, unchanged or
with another row's tokens from some place on, goes to either process once: there is nothing to remember and to replay,
and neither number nor order, place, company or text tells one question from another.
"""

import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, BinaryIO, cast


def started(command: Sequence[str], claimed: str | None) -> list[subprocess.Popen[bytes]]:
    """The processes that have the model: two for a winner, one for a baseline."""
    sides = 1 if claimed is None else 2
    return [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(sides)]


# Begun before torch is loaded here, so that all load it at once: each takes two seconds for that.
QUESTION = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
PROCESSES = started(QUESTION["command"], QUESTION["claimed"]) if QUESTION else []

# Read when torch is loaded: threads that wait by spinning would take the processor from the model's process.
os.environ["GOMP_SPINCOUNT"] = "1000"

import numpy as np  # noqa: E402 (the processes come first)
import torch  # noqa: E402 (the processes come first)
from torch import Tensor  # noqa: E402 (the processes come first)

sys.path.insert(0, os.getcwd())  # noqa: PTH109 (where the export is)
import prepare  # noqa: E402 (the processes come first)

if TYPE_CHECKING:
    from agent.audit.checks import ScoreRequest

# The share by which audited and claimed nats may differ: kernels of another shape, and on `full` bfloat16.
AGREE = {"full": 0.002, "mini": 0.0002}
# What a logit may move by, of its size (of 1 where it is smaller). Both answers come from batches of one shape, where
# the row has the same place, so an honest model should give the same bits twice. There is room for kernels that add up
# in an order of their own: two steps of bfloat16 (each at most 2**-7 of a number), or 512 of float32 (2**-23).
MOVED = {"full": 2**-6, "mini": 2**-14}
SAME = 1e-3  # nats, beyond noise: what a row's tokens may cost more or less among other rows, or one that is not there
PROBES = 16  # random entries of the vocabulary that are looked at in each place, beside the token that follows
# Rows of each held-out set that are scored, and rows of both together that are asked again. On `full` the 192 rows of a
# winner and the 128 of the baseline are 655,000 tokens and 21 GB of logits: 14 s at 1.5 GB a second, which leaves as
# much of the 30 s that an audit may take to start four processes (an estimate: nothing has been measured on CUDA).
SCORED = {"full": 64, "mini": 224}
AGAIN = {"full": 64, "mini": 128}
CUT = 0.8  # of the rows that are asked again: with other tokens from some place on

Place = tuple[str, int]  # a held-out set, and a row among those that are scored


class CheckFailed(Exception):
    """A check that did not hold, by name."""

    def __init__(self, check: str, found: str) -> None:
        super().__init__(f"{check}: {found}")
        self.check, self.found = check, found


# --- the model's processes --------------------------------------------------------------------------------


class Model:
    """A process that has the model: `send` it int64 tokens (rows, T), `receive` what came back as logits."""

    def __init__(self, process: subprocess.Popen[bytes], vocab: int) -> None:
        self._process = process
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers, self._vocab = self._process.stdin, self._process.stdout, vocab
        self._room = bytearray()  # of the last answer; a new one each time would cost more than the scoring

    def send(self, tokens: Tensor) -> None:
        try:
            self._questions.write(struct.pack("<2I", *tokens.shape) + tokens.to(torch.int32).numpy().tobytes())
            self._questions.flush()
        except BrokenPipeError:
            raise CheckFailed("checkpoint", "the model's process ended before it answered (see the log)") from None

    def receive(self, rows: int, length: int) -> Tensor:
        """Float32 logits (rows, T, vocab), good until the next call. Raises Refused where the answer is none."""
        (dims,) = struct.unpack("<I", self._exactly(bytearray(4)))
        shape = struct.unpack(f"<{dims}I", self._exactly(bytearray(4 * dims))) if dims <= 8 else (dims,)
        if shape != (rows, length, self._vocab):
            raise CheckFailed("logits", f"shape {shape}, expected {(rows, length, self._vocab)}")
        if len(self._room) != 4 * math.prod(shape):
            self._room = bytearray(4 * math.prod(shape))
        logits = torch.frombuffer(self._exactly(self._room), dtype=torch.float32).view(shape)
        if not math.isfinite(logits.sum()):  # many times faster than to look at each
            raise CheckFailed("logits", "not all are finite")
        return logits

    def _exactly(self, room: bytearray) -> bytearray:
        """`room`, full of what comes next."""
        view, filled = memoryview(room), 0
        while filled < len(room):
            got = self._read(view[filled:])
            if not got:
                raise CheckFailed("checkpoint", "the model's process ended before it answered (see the log)")
            filled += got
        return room

    def _read(self, room: memoryview) -> int:
        stream: BinaryIO = self._answers  # type: ignore[assignment]
        return stream.readinto(room)  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(BrokenPipeError):  # what was not read is nobody's any more
                pipe.close()


# --- what is asked ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """A row as one question. again: its second time. other: the row whose tokens follow after a cut."""

    row: Place
    again: bool = False
    other: Place | None = None


def some_rows(whole: prepare.EvalSet, count: int, rng: np.random.Generator) -> np.ndarray:
    """The numbers of at most `count` rows, in short blocks all over the set; of all, where there are no more.

    A block is long enough for several documents to lie in it from end to end: only those can be scored.
    """
    if count >= len(whole.rows):
        return np.arange(len(whole.rows))
    lengths = np.bincount(whole.documents[whole.documents >= 0], minlength=len(whole.document_bytes))
    fits = math.ceil(4 * float(np.quantile(lengths, 0.9)) / whole.documents.shape[1])
    block = min(max(1, fits), count)
    chosen = rng.permutation(len(whole.rows) // block)[: count // block]
    return np.sort((chosen[:, None] * block + np.arange(block)).ravel())


def part_of(whole: prepare.EvalSet, numbers: np.ndarray) -> tuple[prepare.EvalSet, np.ndarray]:
    """Rows of a held-out set by number, and the numbers of the documents that lie in them from end to end."""
    owner, outside = whole.documents[numbers], np.delete(whole.documents, numbers, axis=0)
    chosen = np.setdiff1d(owner, np.append(outside, -1))
    renamed = np.full(len(whole.document_bytes) + 1, -1, dtype=np.int32)  # the last entry serves the owner -1
    renamed[chosen] = np.arange(len(chosen))
    return prepare.EvalSet(whole.rows[numbers], renamed[owner], whole.document_bytes[chosen]), chosen


def plan(
    rows: Sequence[Place], again: int, sides: int, batch: int, rng: np.random.Generator
) -> list[list[list[Query]]]:
    """Every question, in batches of one size for each of `sides` processes: all rows once, and `again` of them twice.

    The second time a row goes to the other process, into the same place of a batch, in other company. Tokens that
    follow a cut are those of a row that the same process does not have to score.
    """
    rows = [rows[number] for number in rng.permutation(len(rows))]
    columns: list[list[list[Query]]] = [[[] for _ in range(batch)] for _ in range(sides)]
    for number, row in enumerate(rows):
        columns[number % sides][number // sides % batch].append(Query(row))
    again = min(again, len(rows))
    for number, row in enumerate(rows[:again]):
        mates = rows[number % sides :: sides] if len(rows) > 2 * sides else rows
        other = mates[(mates.index(row) + len(mates) // 2) % len(mates)] if number < CUT * again else None
        columns[(number + 1) % sides][number // sides % batch].append(Query(row, True, other))
    _fill(columns, rows, rng)
    return [[list(asks) for asks in zip(*map(_shuffled(rng), side), strict=True)] for side in columns]


def _fill(columns: list[list[list[Query]]], rows: Sequence[Place], rng: np.random.Generator) -> None:
    """Bring all columns to one length by asking more rows again, those of the same place where there are any."""
    longest = max(len(column) for side in columns for column in side)
    for side, other in zip(columns, reversed(columns), strict=True):
        for column, opposite in zip(side, other, strict=True):
            spare = [ask.row for ask in opposite if not ask.again] or list(rows)
            chosen = rng.integers(0, len(spare), longest - len(column))
            column += [Query(spare[number], True) for number in chosen]


def _shuffled(rng: np.random.Generator) -> Callable[[list[Query]], list[Query]]:
    return lambda column: [column[number] for number in rng.permutation(len(column))]


# --- what is answered -------------------------------------------------------------------------------------


class Answers:
    """What is kept of the logits: the nats of every target of the rows scored, and some logits of rows asked twice."""

    def __init__(self, parts: dict[str, prepare.EvalSet], sizes: np.ndarray, seed: int) -> None:
        self.parts, self.sizes, self.seed = parts, sizes, seed
        self.nats = {split: np.zeros(part.documents.shape) for split, part in parts.items()}
        self.first: dict[Place, np.ndarray] = {}
        self.second: list[tuple[Query, int, np.ndarray]] = []  # with the number of places that nothing changed before

    def asked(self, ask: Query, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """The tokens (T + 1), and how many of its answers must be those of the row as it stands."""
        own = self._tokens(ask.row)
        places = np.flatnonzero(own[1:-1] != self._tokens(ask.other)[1:-1]) + 1 if ask.other else np.zeros(0)
        if ask.other is None or not len(places):
            return own, len(own) - 1
        cut = int(rng.choice(places))
        return np.concatenate([own[:cut], self._tokens(ask.other)[cut:]]), cut

    def take(self, ask: Query, tokens: np.ndarray, cut: int, logits: Tensor, twice: bool) -> None:
        """Score one row with the evaluator of prepare.py, each target as a document of its own."""
        targets = tokens[1:].astype(np.int64)
        alone = prepare.EvalSet(tokens[None], np.arange(len(targets))[None], self.sizes[targets])
        nats = prepare.score(lambda _: logits[None], alone, self.sizes, batch=1, device="cpu")
        if not ask.again:
            self.nats[ask.row[0]][ask.row[1]] = nats
        if twice:
            look = self._look(ask.row, logits.numpy(), nats + logits.numpy()[np.arange(len(targets)), targets])
            if ask.again:
                self.second.append((ask, cut, look))
            else:
                self.first[ask.row] = look

    def _look(self, row: Place, logits: np.ndarray, norm: np.ndarray) -> np.ndarray:
        """Of each place: nats of the row's own next token, the logarithm of the sum, some logits; (T, PROBES + 2)."""
        own, places = self._tokens(row)[1:].astype(np.int64), np.arange(len(logits))
        rng = np.random.default_rng([self.seed, *row[0].encode(), row[1]])
        probes = rng.integers(0, logits.shape[1], (len(logits), PROBES))
        return np.column_stack([norm - logits[places, own], norm, logits[places[:, None], probes]])

    def _tokens(self, row: Place) -> np.ndarray:
        row_tokens: np.ndarray = self.parts[row[0]].rows[row[1]]
        return row_tokens

    def documents(self, split: str) -> np.ndarray:
        """Nats of each document that was scored."""
        owner, nats = self.parts[split].documents, self.nats[split]
        return np.bincount(owner[owner >= 0], nats[owner >= 0], len(self.parts[split].document_bytes))

    def pieces(self, split: str, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Nats and bytes of each document that was scored, in pieces of at least `size` bytes where it has as many."""
        part = self.parts[split]
        scored = part.documents >= 0
        lengths = self.sizes[part.rows[:, 1:][scored].astype(np.int64)]
        number = piece_numbers(part.documents[scored], lengths, size)
        return np.bincount(number, self.nats[split][scored]), np.bincount(number, lengths)

    def moved(self, *, cut: bool) -> tuple[float, list[np.ndarray]]:
        """Of the rows asked again, with a cut or without: the most that an answer moved, of its size; and for each row
        the nats that its tokens up to the cut cost more than the first time."""
        pairs = [(self.first[ask.row][:n], then[:n]) for ask, n, then in self.second if bool(ask.other) == cut]
        most = [(np.abs(then - first) / np.maximum(1.0, np.abs(first))).max() for first, then in pairs]
        return float(max(most, default=0.0)), [(then - first)[:, 0] for first, then in pairs]


def piece_numbers(owner: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """The piece that each token is in: documents (`owner`, from 0 on) in the order of their tokens, cut every `size`
    bytes; what is left over at the end of a document belongs to its last piece."""
    order = np.argsort(owner, kind="stable")
    total = np.bincount(owner, lengths)
    before = np.cumsum(lengths[order]) - lengths[order] - (np.cumsum(total) - total)[owner[order]]
    pieces = np.maximum(1, total // size)
    first = np.cumsum(pieces) - pieces
    number = np.empty(len(owner), dtype=np.int64)
    number[order] = first[owner[order]] + np.minimum(before // size, pieces[owner[order]] - 1)
    return number


def beyond_noise(differences: np.ndarray) -> float:
    """The size of their mean, less the three standard errors that rounding may explain."""
    return float(abs(differences.mean()) - 3 * differences.std() / math.sqrt(len(differences)))


# --- the audit --------------------------------------------------------------------------------------------


class Scorer:
    """One checkpoint on trial: `checks` fills up as each is tried, `metrics` with what was scored."""

    def __init__(self, question: "ScoreRequest", processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self.question, self.corpus = question, prepare.load(Path(question.prepared))
        self.rng = np.random.default_rng(question.seed)
        self.checks: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.models = [Model(process, self.corpus.vocab_size) for process in processes]
        self.sides = len(self.models)
        self.wholes = {split: self.corpus.evaluation(split) for split in prepare.SPLITS}
        numbers = {name: some_rows(one, SCORED[self.corpus.profile], self.rng) for name, one in self.wholes.items()}
        parts = {name: part_of(one, numbers[name]) for name, one in self.wholes.items()}
        self.chosen = {name: chosen for name, (_, chosen) in parts.items()}
        self.answers = Answers({name: part for name, (part, _) in parts.items()}, self.sizes(), question.seed)
        self.refused: CheckFailed | None = None  # what ended the questions before the last was answered

    def sizes(self) -> np.ndarray:
        return self.corpus.token_bytes()

    def run(self) -> None:
        """Every check of a winner, or only the scores of a baseline."""
        winner = self.question.claimed is not None
        if winner:
            self._try("checkpoint", self._checkpoint)
            self._try("bytes", self._bytes)
        self._try("logits", self._logits)
        if winner:
            self._try("agreement", self._agreement)
            self._try("order", self._order)
            self._try("causality", self._causality)
        self._try("held-out", self._scores)

    def _try(self, name: str, check: Callable[[], str]) -> None:
        """Once the model has given no answer, the checks that need one fail as well; each says why."""
        try:
            self.checks[name] = check()
        except CheckFailed as refused:
            if self.checks.get(refused.check, "ok") == "ok":
                self.checks[refused.check] = refused.found
            self.checks.setdefault(name, f"not tried: {refused}")
        except prepare.RunFailure as stop:
            self.checks[name] = stop.reason

    def _checkpoint(self) -> str:
        """Loads as data alone, and holds numbers alone."""
        try:
            saved = torch.load(self.question.checkpoint, map_location="cpu", weights_only=True)
            weights = dict(saved["model"]).items()
            bad = [name for name, value in weights if value.is_floating_point() and not torch.isfinite(value).all()]
        except Exception as error:  # whatever the file is, it says so in its own way
            return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'cannot be loaded'}"
        return f"not finite: {', '.join(bad[:3])}" if bad else "ok"

    def _bytes(self) -> str:
        """The targets of every document spell exactly its bytes, each once."""
        for split, whole in self.wholes.items():
            told = whole.documents >= 0
            found = np.bincount(whole.documents[told], self.sizes()[whole.rows[:, 1:][told]], len(whole.document_bytes))
            if not np.array_equal(found, whole.document_bytes):
                return f"the tokens of {split} do not spell its documents"
        return "ok"

    def _logits(self) -> str:
        """Ask all there is to ask: while one process answers, the other's answer is scored."""
        rows = [(split, number) for split, part in self.answers.parts.items() for number in range(len(part.rows))]
        again = AGAIN[self.corpus.profile] if self.sides == 2 else 0
        asks = plan(rows, again, self.sides, self.question.batch, self.rng)
        twice = {ask.row for side in asks for batch in side for ask in batch if ask.again} if self.sides == 2 else set()
        try:
            for batches in zip(*asks, strict=True):
                self._batches(batches, twice)
        except CheckFailed as refused:
            self.refused = refused
            raise
        return "ok"

    def _batches(self, batches: Sequence[list[Query]], twice: set[Place]) -> None:
        """A batch for each process."""
        sent = [[self.answers.asked(ask, self.rng) for ask in batch] for batch in batches]
        for model, rows in zip(self.models, sent, strict=True):
            model.send(torch.from_numpy(np.stack([tokens[:-1] for tokens, _ in rows]).astype(np.int64)))
        for model, batch, rows in zip(self.models, batches, sent, strict=True):
            logits = model.receive(len(rows), self.corpus.sequence_length)
            for ask, (tokens, cut), answer in zip(batch, rows, logits, strict=True):
                self.answers.take(ask, tokens, cut, answer, ask.row in twice)

    def _answered(self) -> Answers:
        if self.refused is not None:
            raise self.refused
        return self.answers

    def _agreement(self) -> str:
        """The claim adds up, and what was scored here costs what the run says it does."""
        found, chosen = self._answered().documents("val").sum(), self.chosen["val"]
        try:
            said, lengths = self._claimed()
        except (OSError, ValueError, KeyError) as error:
            return f"the run's losses.npz cannot be read: {error}"
        true = self.wholes["val"].document_bytes
        if said.shape != true.shape or not np.array_equal(lengths, true):
            raise CheckFailed("bytes", f"the run counts {lengths.sum():,} bytes where there are {true.sum():,}")
        whole = prepare.bits_per_byte(said, lengths)
        if not math.isclose(whole, self.question.claimed_bpb, rel_tol=1e-6):
            return f"the run's losses make {whole:.6f} and it claims {self.question.claimed_bpb:.6f}"
        claimed = said[chosen].sum()
        agreed = abs(found / claimed - 1) <= AGREE[self.corpus.profile]
        return "ok" if agreed else f"claims {claimed:.1f} nats where {found:.1f} were found"

    def _claimed(self) -> tuple[np.ndarray, np.ndarray]:
        """Nats and bytes of every document of the validation set, as the run tells them."""
        assert self.question.claimed is not None
        with np.load(self.question.claimed, allow_pickle=False) as told:
            return told["nats"].astype(np.float64), told["bytes"]

    def _order(self) -> str:
        """A row costs the same among other rows, after other rows, in another process."""
        most, dearer = self._answered().moved(cut=False)
        if most > MOVED[self.corpus.profile]:
            return f"a row asked again among other rows: an answer moved by {most:.2g} of its size"
        off = max(beyond_noise(row) for row in dearer)
        return "ok" if off <= SAME else f"a row costs {off:.4f} nats a token more or less among other rows"

    def _causality(self) -> str:
        """Other tokens after a cut leave the answers before it as they were, by one of them and by the mean of all."""
        most, dearer = self._answered().moved(cut=True)
        if most > MOVED[self.corpus.profile]:
            return f"answers before a cut moved by {most:.2g} of their size when the tokens after it were others"
        off = beyond_noise(np.array([row[-1] for row in dearer]))
        return "ok" if off <= SAME else f"a token costs {off:.4f} nats more or less where it does not follow"

    def _scores(self) -> str:
        """Bits per byte of both held-out sets; the harness compares them with the baseline's."""
        for split, part in self._answered().parts.items():
            if not len(part.document_bytes):
                return f"no document of {split} lies from end to end in the rows that are scored"
            self.metrics[f"{split}_bpb"] = prepare.bits_per_byte(self.answers.documents(split), part.document_bytes)
        return "ok"

    def save(self, seconds: float) -> None:
        """Write what was found, by pieces. Nats that were not answered are zeros, beside a check that says so."""
        out, told = Path(self.question.out), {"audit": seconds}
        val, held = (self.answers.pieces(split, self.question.piece) for split in prepare.SPLITS)
        np.savez(out / "losses.npz", val_nats=val[0], held_nats=held[0], val_bytes=val[1], held_bytes=held[1])
        prepare.write_json(out / "result.json", {"metrics": self.metrics, "checks": self.checks, "phases": told})

    def close(self) -> None:
        for model in self.models:
            model.close()


def main() -> None:
    began = time.perf_counter()
    audit = Scorer(cast("ScoreRequest", SimpleNamespace(**QUESTION)), PROCESSES)
    try:
        audit.run()
    finally:
        audit.close()
    audit.save(time.perf_counter() - began)
    print(json.dumps(audit.checks, indent=1), flush=True)


if __name__ == "__main__":
    main()

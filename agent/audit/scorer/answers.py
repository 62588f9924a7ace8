"""What is kept of the logits: the nats of every target of the rows scored, and of some tokens in rows sent twice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from agent.audit.metrics import units
from agent.audit.scorer.cuts import cuts_of
from agent.audit.scorer.plan import Query, RowId
from fixed.dataset import EvalSet
from fixed.evaluate import score


@dataclass(frozen=True)
class _Second:
    """The second answer to a row: the query, the places before the cut, what was kept of them."""

    query: Query
    places: int
    kept: np.ndarray


@dataclass(frozen=True)
class Sent:
    """A query as it was sent: its tokens (T + 1), and how many of its answers must be those of the row itself."""

    query: Query
    tokens: np.ndarray
    places: int


class Answers:
    """The answers to the queries of a plan, over the rows `sets` of both held-out sets and the bytes of each token.

    compared: the nats of each target as the baseline was scored, by set, where the rows are the same.
    """

    def __init__(
        self,
        sets: dict[str, EvalSet],
        token_bytes: np.ndarray,
        seed: int,
        probed_logits: int,
        compared: dict[str, np.ndarray] | None = None,
    ) -> None:
        self.sets, self.token_bytes = sets, token_bytes
        self._seed, self._probed_logits = seed, probed_logits
        self.nats = {split: np.zeros(one.documents.shape) for split, one in sets.items()}
        self.compared = compared or {}
        self._cuts = cuts_of(sets, self.compared)
        self._first: dict[RowId, np.ndarray] = {}
        self._second: list[_Second] = []
        self._answered: set[RowId] = set()

    def make_row(self, query: Query, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Return a query's tokens (T + 1), and how many of its answers must be those of the row as it stands."""
        split, number = query.row
        if not query.cut:
            own = self._tokens(query.row)
            return own, len(own) - 1
        nats = self.nats[split][number] if query.row in self._answered else None
        return self._cuts[split].cut(number, nats, rng)

    def record(self, queries: Sequence[Sent], logits: Tensor, twice: set[RowId]) -> None:
        """Score a batch with the evaluator of fixed/, each target as a document of its own."""
        rows = np.stack([one.tokens for one in queries])
        targets = rows[:, 1:].astype(np.int64)
        alone = EvalSet(rows, np.arange(targets.size).reshape(targets.shape), self.token_bytes[targets.ravel()])
        nats = score(lambda _: logits, alone, self.token_bytes, batch=len(rows), device="cpu")
        for one, row_nats, answer in zip(queries, nats.reshape(targets.shape), logits, strict=True):
            self._record(one, row_nats, answer.numpy(), twice)

    def _record(self, one: Sent, nats: np.ndarray, logits: np.ndarray, twice: set[RowId]) -> None:
        query, targets = one.query, one.tokens[1:].astype(np.int64)
        if not query.repeat:
            self.nats[query.row[0]][query.row[1]] = nats
            self._answered.add(query.row)
        if query.row not in twice:
            return
        kept = self._keep(query.row, logits, nats + logits[np.arange(len(targets)), targets].astype(np.float64))
        if query.repeat:
            self._second.append(_Second(query, one.places, kept))
        else:
            self._first[query.row] = kept

    def document_nats(self, split: str) -> np.ndarray:
        """Return the nats of each document that was scored."""
        owner, nats = self.sets[split].documents, self.nats[split]
        return np.bincount(owner[owner >= 0], nats[owner >= 0], len(self.sets[split].document_bytes))

    def pieces(self, split: str, piece_bytes: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return nats and the metric's units of the documents that were scored.

        They are cut into pieces of `piece_bytes` where they have as many.
        """
        one = self.sets[split]
        scored, lengths = one.documents >= 0, target_bytes(one, self.token_bytes)
        number = piece_numbers(one.documents[scored], lengths, piece_bytes)
        return np.bincount(number, self.nats[split][scored]), np.bincount(number, units(metric, lengths))

    def shifts(self, *, cut: bool) -> tuple[float, list[np.ndarray]]:
        """Compare both answers to the rows sent twice, with a cut or without.

        Return the most nats by which a probability moved; and for each row the nats that its tokens up to the cut cost
        more the second time.
        """
        pairs = [
            (self._first[one.query.row][: one.places], one.kept[: one.places])
            for one in self._second
            if one.query.cut == cut and one.query.row in self._first
        ]
        most = [np.abs(second - first).max() for first, second in pairs]
        return float(max(most, default=0.0)), [(second - first)[:, 0] for first, second in pairs]

    def unseen(self) -> tuple[float, float]:
        """Return how much less a row gains on the baseline at its last place, and the standard error (nats a token).

        The target of a row's last place is in no query, so nobody can peek at it; all others of a row are. Both are
        zero where the baseline's losses of the same rows are not known.
        """
        rows = [np.zeros(0)]
        for split, baseline in self.compared.items():
            scored, half = self.sets[split].documents >= 0, baseline.shape[1] // 2
            gain, counts = (baseline - self.nats[split]) * scored, scored[:, half:-1].sum(1)
            ends = scored[:, -1] & (counts > 0)
            rows.append((gain[:, half:-1].sum(1)[ends] / counts[ends]) - gain[ends, -1])
        differences = np.concatenate(rows)
        if len(differences) < 2:
            return 0.0, 0.0
        return float(differences.mean()), float(differences.std(ddof=1) / math.sqrt(len(differences)))

    def _keep(self, row: RowId, logits: np.ndarray, norm: np.ndarray) -> np.ndarray:
        """Return of each place the nats of the row's next token, and of some others; float64 of (T, probed + 1)."""
        own, places = self._tokens(row)[1:].astype(np.int64), np.arange(len(logits))
        rng = np.random.default_rng([self._seed, *row[0].encode(), row[1]])
        probed = rng.integers(0, logits.shape[1], (len(logits), self._probed_logits))
        return np.column_stack([norm - logits[places, own], norm[:, None] - logits[places[:, None], probed]])

    def _tokens(self, row: RowId) -> np.ndarray:
        tokens: np.ndarray = self.sets[row[0]].rows[row[1]]
        return tokens


def target_bytes(one: EvalSet, token_bytes: np.ndarray) -> np.ndarray:
    """Return the bytes of each target of a held-out set that a document has, in the order of the rows."""
    sizes: np.ndarray = token_bytes[one.rows[:, 1:][one.documents >= 0].astype(np.int64)]
    return sizes


def piece_numbers(owner: np.ndarray, lengths: np.ndarray, piece_bytes: int) -> np.ndarray:
    """Return the number of the piece that each token is in.

    Documents (`owner`, from 0 on) are cut, in the order of their tokens, every `piece_bytes`; what is left over at the
    end of a document belongs to its last piece.
    """
    order = np.argsort(owner, kind="stable")
    total = np.bincount(owner, lengths)
    before = np.cumsum(lengths[order]) - lengths[order] - (np.cumsum(total) - total)[owner[order]]
    pieces = np.maximum(1, total // piece_bytes)
    first = np.cumsum(pieces) - pieces
    number = np.empty(len(owner), dtype=np.int64)
    number[order] = first[owner[order]] + np.minimum(before // piece_bytes, pieces[owner[order]] - 1)
    return number


def beyond_noise(differences: np.ndarray) -> float:
    """Return the size of their mean, less the three standard errors that rounding may explain."""
    return float(abs(differences.mean()) - 3 * differences.std() / math.sqrt(len(differences)))

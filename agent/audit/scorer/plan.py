"""What is sent to the model's processes: which rows of the held-out sets, in which order, which of them twice."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fixed.dataset import EvalSet

RowId = tuple[str, int]  # a held-out set, and a row among those that are scored
Batches = list[list["Query"]]  # of one process


@dataclass(frozen=True)
class Query:
    """One row to be answered. repeat: its second time. cut: other tokens follow from some place on."""

    row: RowId
    repeat: bool = False
    cut: bool = False


def sample_rows(whole: EvalSet, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the numbers of at most `count` rows, in short blocks all over the set; of all, where there are no more.

    A block is long enough for several documents to lie in it from end to end: only those can be scored. Where the
    first begins is drawn too, so that no document lies across the edge of two for ever.
    """
    if count >= len(whole.rows):
        return np.arange(len(whole.rows))
    lengths = np.bincount(whole.documents[whole.documents >= 0], minlength=len(whole.document_bytes))
    fits = math.ceil(4 * float(np.quantile(lengths, 0.9)) / whole.documents.shape[1])
    block = min(max(1, fits), count)
    first = int(rng.integers(0, min(block, len(whole.rows) - count + 1)))
    chosen = rng.permutation((len(whole.rows) - first) // block)[: count // block]
    return np.sort((first + chosen[:, None] * block + np.arange(block)).ravel())


def subset(whole: EvalSet, numbers: np.ndarray) -> tuple[EvalSet, np.ndarray]:
    """Return rows of a held-out set by number, and the numbers of the documents that lie in them from end to end."""
    owner, outside = whole.documents[numbers], np.delete(whole.documents, numbers, axis=0)
    chosen = np.setdiff1d(owner, np.append(outside, -1))
    renamed = np.full(len(whole.document_bytes) + 1, -1, dtype=np.int32)  # the last entry serves the owner -1
    renamed[chosen] = np.arange(len(chosen))
    return EvalSet(whole.rows[numbers], renamed[owner], whole.document_bytes[chosen]), chosen


@dataclass(frozen=True)
class QueryPlan:
    """How queries are laid out: for so many processes, in batches of so many rows, so many rows twice."""

    processes: int
    batch_rows: int
    repeated_rows: int
    cut_share: float  # of the repeated rows: with other tokens after a cut

    def queries(self, rows: Sequence[RowId], rng: np.random.Generator) -> list[Batches]:
        """Return every query, in batches of one size for each process: all rows once, `repeated_rows` of them twice.

        The second time a row goes to the other process, into the same place of a batch, in other company.
        """
        rows = [rows[number] for number in rng.permutation(len(rows))]
        columns: list[Batches] = [[[] for _ in range(self.batch_rows)] for _ in range(self.processes)]
        for number, row in enumerate(rows):
            columns[number % self.processes][self._place(number)].append(Query(row))
        repeated = min(self.repeated_rows, len(rows))
        for number, row in enumerate(rows[:repeated]):
            query = Query(row, True, number < self.cut_share * repeated)
            columns[(number + 1) % self.processes][self._place(number)].append(query)
        _fill(columns, rows, rng)
        return [[list(queries) for queries in zip(*map(_shuffled(rng), one), strict=True)] for one in columns]

    def _place(self, number: int) -> int:
        """Return the place in a batch of the row that comes at `number`."""
        return number // self.processes % self.batch_rows


def _fill(columns: list[Batches], rows: Sequence[RowId], rng: np.random.Generator) -> None:
    """Bring all columns to one length by repeating more rows, those of the same place where there are any."""
    longest = max(len(column) for side in columns for column in side)
    for side, other in zip(columns, reversed(columns), strict=True):
        for column, opposite in zip(side, other, strict=True):
            spare = [query.row for query in opposite if not query.repeat] or list(rows)
            chosen = rng.integers(0, len(spare), longest - len(column))
            column += [Query(spare[number], True) for number in chosen]


def _shuffled(rng: np.random.Generator) -> Callable[[list[Query]], list[Query]]:
    return lambda column: [column[number] for number in rng.permutation(len(column))]

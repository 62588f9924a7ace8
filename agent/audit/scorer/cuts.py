"""Where a row is cut, and what follows instead: chosen so that who looks ahead is seen, and does not see the cut."""

import numpy as np

from fixed.dataset import EvalSet

TRIES = 8  # places that are looked at for other tokens


class Cuts:
    """Cuts of the rows of one held-out set.

    A row is cut behind a place at which it gains on the baseline: a hint that is worth anything is there. What follows
    comes from where the last two tokens before the cut stand as well (the last one, or any, where they stand nowhere
    else), so that the text goes on as text does.
    """

    def __init__(self, rows: np.ndarray, baseline: np.ndarray | None) -> None:
        """rows: tokens (n, T + 1). baseline: nats (n, T) of each target, as the baseline was scored; None: unknown."""
        self._rows, self._baseline = rows, baseline
        self._stream = np.append(rows[:, :-1].ravel(), rows[-1, -1]).astype(np.int64)
        pairs = np.append(-1, (self._stream[:-1] << 32) + self._stream[1:])  # that end at each place
        self._indices = [(keys, np.argsort(keys, kind="stable")) for keys in (pairs, self._stream)]

    def cut(self, row: int, nats: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """Return the tokens of a row with others from a cut on, and how many answers must be as for the row itself.

        nats: of each target of the row, as answered; None where it has not been yet.
        """
        own = self._rows[row]
        places = np.arange(1, len(own) - 1)  # the last token before the cut: its answer is for the first after it
        weights = self._weights(row, nats)[places] + 1e-9
        place = int(rng.choice(places, p=weights / weights.sum()))
        start = self._elsewhere(row * (len(own) - 1) + place, len(own) - 1 - place, rng)
        return np.concatenate([own[: place + 1], self._stream[start : start + len(own) - 1 - place]]), place + 1

    def _weights(self, row: int, nats: np.ndarray | None) -> np.ndarray:
        """Return by how much each place should be chosen: by the square of what it gains, or could gain."""
        if self._baseline is None:
            return np.ones(self._rows.shape[1] - 1)
        gain: np.ndarray = self._baseline[row] if nats is None else np.maximum(self._baseline[row] - nats, 0.0)
        return gain**2

    def _elsewhere(self, place: int, count: int, rng: np.random.Generator) -> int:
        """Return where in the stream other tokens begin, `count` of them, after what stands at `place` too."""
        last = len(self._stream) - count
        for keys, order in self._indices:
            low, high = np.searchsorted(keys, [keys[place], keys[place] + 1], sorter=order)
            for start in order[rng.integers(low, high, TRIES)] + 1:
                if start <= last and self._stream[start] != self._stream[place + 1]:
                    return int(start)
        others = np.flatnonzero(self._stream[: last + 1] != self._stream[place + 1])
        return int(rng.choice(others)) if len(others) else last


def cuts_of(sets: dict[str, EvalSet], compared: dict[str, np.ndarray]) -> dict[str, Cuts]:
    """Return the cuts of each held-out set. compared: what the baseline's targets cost, for those of the same rows."""
    known = {name: one * (sets[name].documents >= 0) for name, one in compared.items()}
    return {name: Cuts(one.rows, known.get(name)) for name, one in sets.items() if len(one.rows)}

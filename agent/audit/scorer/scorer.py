"""The checks of one checkpoint, from what its processes answer."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agent.audit.metrics import units
from agent.audit.reports import ScoreRequest
from agent.audit.rules import OK, SCORING
from agent.audit.scorer.answers import Answers, Sent, beyond_noise, target_bytes
from agent.audit.scorer.client import CheckFailed, ModelClient
from agent.audit.scorer.plan import Query, QueryPlan, RowId, sample_rows, subset
from agent.execution.beside import Process
from fixed.dataset import SPLITS, EvalSet, load
from fixed.result import RunFailure, write_json


class Scorer:
    """One checkpoint: `checks` fills up as each is made, `metrics` with what was scored."""

    def __init__(self, request: ScoreRequest, processes: Sequence[Process]) -> None:
        self.request, self.corpus = request, load(Path(request.corpus))
        self.rules = SCORING[self.corpus.profile]
        self.rng = np.random.default_rng(request.seed)
        self.checks: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.models = [ModelClient(process, self.corpus.vocab_size) for process in processes]
        self.token_bytes = self.corpus.token_bytes()
        self.wholes = {split: self.corpus.evaluation(split) for split in SPLITS}
        rows = {
            split: sample_rows(one, self._rows(self.rules.scored_tokens), self.rng)
            for split, one in self.wholes.items()
        }
        subsets = {split: subset(one, rows[split]) for split, one in self.wholes.items()}
        self.chosen = {split: chosen for split, (_, chosen) in subsets.items()}  # documents that are scored, by number
        sets = {split: one for split, (one, _) in subsets.items()}
        compared = self._compared(rows)
        self.rows = rows
        self.answers = Answers(sets, self.token_bytes, request.seed, self.rules.probed_logits, compared)
        self.failure: CheckFailed | None = None  # what ended the queries before the last was answered

    def _compared(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the nats of each target as the baseline was scored, for the sets of which it was on the same rows."""
        if self.request.compared is None:
            return {}
        with np.load(self.request.compared, allow_pickle=False) as losses:
            scored = {split: (losses[f"{split}_rows"], losses[f"{split}_targets"]) for split in SPLITS}
        return {split: nats for split, (numbers, nats) in scored.items() if np.array_equal(numbers, rows[split])}

    def run(self) -> None:
        """Make every check of a winner, or only score a baseline."""
        winner = self.request.claimed is not None
        if winner:
            self._try("checkpoint", self._checkpoint)
            self._try("bytes", self._bytes)
        self._try("logits", self._logits)
        if winner:
            self._try("agreement", self._agreement)
            self._try("order", self._order)
            self._try("causality", self._causality)
        self._try("held-out", self._score)

    def save(self, seconds: float) -> None:
        """Write the report. Nats that were not answered are zeros, beside a check that says so."""
        out = Path(self.request.out)
        val, held = (self.answers.pieces(split, self.request.piece_bytes, self.request.metric) for split in SPLITS)
        own: dict[str, Any] = {f"{split}_targets": nats.astype(np.float32) for split, nats in self.answers.nats.items()}
        own |= {f"{split}_rows": numbers for split, numbers in self.rows.items()}
        np.savez(out / "losses.npz", val_nats=val[0], held_nats=held[0], val_units=val[1], held_units=held[1], **own)
        whole = all(len(self.rows[split]) == len(one.rows) for split, one in self.wholes.items())
        report = {"metrics": self.metrics, "checks": self.checks, "phases": {"audit": seconds}, "whole": whole}
        write_json(out / "result.json", report)

    def close(self) -> None:
        """End the model's processes."""
        for model in self.models:
            model.close()

    def _try(self, name: str, check: Callable[[], str]) -> None:
        """Make a check. Once the model has given no answer, the checks that need one fail as well; each says why."""
        try:
            self.checks[name] = check()
        except CheckFailed as failure:
            if self.checks.get(failure.check, OK) == OK:
                self.checks[failure.check] = failure.finding
            self.checks.setdefault(name, f"not tried: {failure}")
        except RunFailure as failure:
            self.checks[name] = failure.reason

    def _rows(self, tokens: int) -> int:
        """Return how many whole rows have so many tokens; at least one."""
        return max(1, tokens // self.corpus.sequence_length)

    # --- what is sent and answered ------------------------------------------------------------------------

    def _logits(self) -> str:
        """Send all queries, those of the first process before those of the second: no two ever run at once."""
        rows = [(split, number) for split, one in self.answers.sets.items() for number in range(len(one.rows))]
        two = len(self.models) == 2
        repeated = self._rows(self.rules.repeated_tokens) if two else 0
        plan = QueryPlan(len(self.models), self._rows(self.request.batch_tokens), repeated, self.rules.cut_share)
        queries = plan.queries(rows, self.rng)
        twice = {query.row for side in queries for batch in side for query in batch if query.repeat and two}
        try:
            for model, batches in zip(self.models, queries, strict=True):
                self._exchange(model, batches, twice)
                model.close()
        except CheckFailed as failure:
            self.failure = failure
            raise
        return OK

    def _exchange(self, model: ModelClient, batches: Sequence[list[Query]], twice: set[RowId]) -> None:
        """Send a process its batches and record its answers; while it answers one, that before is scored."""
        before: list[Sent] = []
        logits = torch.empty(0)
        for batch in batches:
            sent = [Sent(query, *self.answers.make_row(query, self.rng)) for query in batch]
            model.send(torch.from_numpy(np.stack([one.tokens[:-1] for one in sent]).astype(np.int64)))
            if before:
                self.answers.record(before, logits, twice)
            before, logits = sent, model.receive(len(sent), self.corpus.sequence_length)
        if before:
            self.answers.record(before, logits, twice)

    def _answered(self) -> Answers:
        """Return the answers. Raises CheckFailed where they are not complete."""
        if self.failure is not None:
            raise self.failure
        return self.answers

    # --- checks -------------------------------------------------------------------------------------------

    def _checkpoint(self) -> str:
        """Check that it loads as data alone, and holds finite numbers alone."""
        try:
            saved = torch.load(self.request.checkpoint, map_location="cpu", weights_only=True)
            weights = dict(saved["model"]).items()
            bad = [name for name, value in weights if value.is_floating_point() and not torch.isfinite(value).all()]
        except Exception as error:  # whatever the file is, it says so in its own way
            return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'cannot be loaded'}"
        return f"not finite: {', '.join(bad[:3])}" if bad else OK

    def _bytes(self) -> str:
        """Check that the targets of every document spell exactly its bytes, each once."""
        for split, whole in self.wholes.items():
            scored = whole.documents >= 0
            lengths = target_bytes(whole, self.token_bytes)
            if not np.array_equal(
                np.bincount(whole.documents[scored], lengths, len(whole.document_bytes)), whole.document_bytes
            ):
                return f"the tokens of {split} do not spell its documents"
        return OK

    def _agreement(self) -> str:
        """Check that the claim adds up, and that what was scored here costs what the run says it does."""
        audited, chosen = self._answered().document_nats("val"), self.chosen["val"]
        try:
            nats, lengths, rows = self._claimed()
        except (OSError, ValueError, KeyError) as error:
            return f"the run's losses.npz cannot be read: {error}"
        true = self.wholes["val"].document_bytes
        if nats.shape != true.shape or not np.array_equal(lengths, true):
            raise CheckFailed("bytes", f"the run counts {lengths.sum():,} bytes where there are {true.sum():,}")
        whole, claim = nats.sum() / self._units(self.wholes["val"]), self.request.claimed_metric
        if not math.isclose(whole, claim, rel_tol=1e-6):
            return f"the run's losses make {whole:.6f} and it claims {claim:.6f}"
        claimed = nats[chosen]
        if abs(audited.sum() / claimed.sum() - 1) > self.rules.claim_error_ratio:
            return f"claims {claimed.sum():.1f} nats where {audited.sum():.1f} were found"
        if (finding := self._apart("document", chosen, claimed, audited)) != OK or len(chosen) == len(nats):
            return finding
        return self._rows_agree(rows, nats.sum())

    def _rows_agree(self, rows: np.ndarray | None, total: float) -> str:
        """Check what the run says of each row: not every document lies from end to end in the rows that are scored."""
        numbers, whole = self.rows["val"], self.wholes["val"]
        if rows is None or rows.shape != (len(whole.rows),):
            return "the run's losses.npz does not say what each row costs, and not every document was scored"
        if not math.isclose(rows.sum(), total, rel_tol=1e-6):
            return f"the run's rows cost {rows.sum():.1f} nats and its documents {total:.1f}"
        scored = whole.documents[numbers] >= 0
        audited = (self.answers.nats["val"] * scored).sum(1)
        return self._apart("row", numbers, rows[numbers], audited)

    def _apart(self, what: str, numbers: np.ndarray, claimed: np.ndarray, audited: np.ndarray) -> str:
        """Check that each of several costs what the run says, within the error that rounding explains."""
        off = np.abs(audited - claimed) > self.rules.piece_error_ratio * np.maximum(claimed, 1.0)
        if not off.any() and np.isfinite(claimed).all():
            return OK
        worst = int(np.argmax(np.nan_to_num(np.abs(audited - claimed), nan=np.inf)))
        costs = f"claims {claimed[worst]:.2f} nats where {audited[worst]:.2f} were found"
        return f"{what} {numbers[worst]} of the validation set: {costs} ({int(off.sum())} of {len(off)} are off)"

    def _claimed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return nats and bytes of every document of the validation set, and nats of its rows, as the run reports."""
        assert self.request.claimed is not None
        with np.load(self.request.claimed, allow_pickle=False) as losses:
            rows = losses["rows"].astype(np.float64) if "rows" in losses else None
            return losses["nats"].astype(np.float64), losses["bytes"], rows

    def _order(self) -> str:
        """Check that a row costs the same among other rows, after other rows, in another process."""
        most, dearer = self._answered().shifts(cut=False)
        if most > self.rules.shift_nats:
            return f"a row sent twice, among other rows: a probability moved by {most:.2g} nats"
        off = max(beyond_noise(row) for row in dearer)
        return OK if off <= self.rules.nat_shift else f"a row costs {off:.4f} nats a token more or less among others"

    def _causality(self) -> str:
        """Check that other tokens after a cut leave the answers before it, each of them and the mean of all."""
        most, dearer = self._answered().shifts(cut=True)
        if most > self.rules.shift_nats:
            return f"a probability before a cut moved by {most:.2g} nats when the tokens after it were others"
        off = beyond_noise(np.array([row[-1] for row in dearer]))
        if off > self.rules.nat_shift:
            return f"a token costs {off:.4f} nats more or less where it does not follow"
        less, error = self.answers.unseen()
        if less <= self.rules.unseen_errors * error:
            return OK
        return f"it gains {less:.3f} nats (± {error:.3f}) less where a row ends: there the next token was not sent"

    def _score(self) -> str:
        """Score both held-out sets in the metric; the harness compares them with the baseline's."""
        for split, one in self._answered().sets.items():
            if not len(one.document_bytes):
                return f"no document of {split} lies from end to end in the rows that are scored"
            self.metrics[split] = float(self.answers.document_nats(split).sum() / self._units(one))
        return OK

    def _units(self, one: EvalSet) -> float:
        """Return what the metric divides the nats of all scored documents by."""
        return float(units(self.request.metric, target_bytes(one, self.token_bytes)).sum())

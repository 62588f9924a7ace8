"""The checks of one checkpoint, from what its processes answer."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from agent.audit.metrics import units
from agent.audit.reports import ScoreRequest
from agent.audit.rules import OK, SCORING
from agent.audit.scorer.answers import Answers, beyond_noise, target_bytes
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
        self.answers = Answers(sets, self.token_bytes, request.seed, self.rules.probed_logits)
        self.failure: CheckFailed | None = None  # what ended the queries before the last was answered

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
        np.savez(out / "losses.npz", val_nats=val[0], held_nats=held[0], val_units=val[1], held_units=held[1])
        report = {"metrics": self.metrics, "checks": self.checks, "phases": {"audit": seconds}}
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
        """Send all queries: while one process answers, the other's answer is scored."""
        rows = [(split, number) for split, one in self.answers.sets.items() for number in range(len(one.rows))]
        two = len(self.models) == 2
        repeated = self._rows(self.rules.repeated_tokens) if two else 0
        plan = QueryPlan(len(self.models), self._rows(self.request.batch_tokens), repeated, self.rules.cut_share)
        queries = plan.queries(rows, self.rng)
        twice = {query.row for side in queries for batch in side for query in batch if query.repeat and two}
        try:
            for batches in zip(*queries, strict=True):
                self._exchange(batches, twice)
        except CheckFailed as failure:
            self.failure = failure
            raise
        return OK

    def _exchange(self, batches: Sequence[list[Query]], twice: set[RowId]) -> None:
        """Send each process a batch and record its answers."""
        sent = [[self.answers.make_row(query, self.rng) for query in batch] for batch in batches]
        for model, rows in zip(self.models, sent, strict=True):
            model.send(torch.from_numpy(np.stack([tokens[:-1] for tokens, _ in rows]).astype(np.int64)))
        for model, batch, rows in zip(self.models, batches, sent, strict=True):
            logits = model.receive(len(rows), self.corpus.sequence_length)
            for query, (tokens, places), answer in zip(batch, rows, logits, strict=True):
                self.answers.record(query, tokens, places, answer, query.row in twice)

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
        audited, chosen = self._answered().document_nats("val").sum(), self.chosen["val"]
        try:
            nats, lengths = self._claimed()
        except (OSError, ValueError, KeyError) as error:
            return f"the run's losses.npz cannot be read: {error}"
        true = self.wholes["val"].document_bytes
        if nats.shape != true.shape or not np.array_equal(lengths, true):
            raise CheckFailed("bytes", f"the run counts {lengths.sum():,} bytes where there are {true.sum():,}")
        whole, claim = nats.sum() / self._units(self.wholes["val"]), self.request.claimed_metric
        if not math.isclose(whole, claim, rel_tol=1e-6):
            return f"the run's losses make {whole:.6f} and it claims {claim:.6f}"
        claimed = nats[chosen].sum()
        agreed = abs(audited / claimed - 1) <= self.rules.claim_error_ratio
        return OK if agreed else f"claims {claimed:.1f} nats where {audited:.1f} were found"

    def _claimed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return nats and bytes of every document of the validation set, as the run reports them."""
        assert self.request.claimed is not None
        with np.load(self.request.claimed, allow_pickle=False) as losses:
            return losses["nats"].astype(np.float64), losses["bytes"]

    def _order(self) -> str:
        """Check that a row costs the same among other rows, after other rows, in another process."""
        most, dearer = self._answered().shifts(cut=False)
        if most > self.rules.logit_shift_ratio:
            return f"a row sent twice, among other rows: an answer moved by {most:.2g} of its size"
        off = max(beyond_noise(row) for row in dearer)
        return OK if off <= self.rules.nat_shift else f"a row costs {off:.4f} nats a token more or less among others"

    def _causality(self) -> str:
        """Check that other tokens after a cut leave the answers before it, each of them and the mean of all."""
        most, dearer = self._answered().shifts(cut=True)
        if most > self.rules.logit_shift_ratio:
            return f"answers before a cut moved by {most:.2g} of their size when the tokens after it were others"
        off = beyond_noise(np.array([row[-1] for row in dearer]))
        return (
            OK if off <= self.rules.nat_shift else f"a token costs {off:.4f} nats more or less where it does not follow"
        )

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

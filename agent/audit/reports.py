"""What goes to the scorer and what comes back from it: a request, a report, and the losses of both held-out sets."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from pathlib import Path

from agent.audit.rules import RULES
from agent.core.frozen import frozen
from agent.core.runs import Result
from agent.core.sanitize import one_line

# All three are run
SCORER, MODEL_SERVER = Path(__file__).with_name("scorer") / "__main__.py", Path(__file__).with_name("model_server.py")
DRAFT_MODEL = Path(__file__).with_name("draft_model.py")


@frozen
class Losses:
    """Nats of the documents of a held-out set that were scored, by pieces of `piece_bytes` or more.

    sizes: what the metric divides the nats of each piece by (metrics.units).
    """

    nats: Sequence[float] = ()
    sizes: Sequence[float] = ()

    def gain(self, other: "Losses") -> tuple[float, float]:
        """Return how much more `other` costs in the metric, and the standard error (a mean over pieces, paired).

        Both are NaN where the two did not score the same pieces; of a single piece the error is infinite.
        """
        from statistics import variance  # it loads fractions and random, and only an audit takes one

        if not len(self.nats) or len(self.nats) != len(other.nats):
            return math.nan, math.nan
        more = [theirs - ours for ours, theirs in zip(self.nats, other.nats, strict=True)]
        unit = math.fsum(self.sizes)
        error = math.sqrt(len(more) * variance(more)) / unit if len(more) > 1 else math.inf
        return math.fsum(more) / unit, error


@frozen
class ScoreReport:
    """What the scorer reports of one checkpoint: its checks by name, its metric and its losses on both sets."""

    checks: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    val: Losses = field(default_factory=Losses)
    held: Losses = field(default_factory=Losses)

    @property
    def val_metric(self) -> float | None:
        """The metric on the validation set; None where it was not scored."""
        return self.metrics.get("val")

    @property
    def held_metric(self) -> float | None:
        """The metric on the second held-out set; None where it was not scored."""
        return self.metrics.get("held")


@frozen(kw_only=True)
class ScoreRequest:
    """What the scorer has to do with one checkpoint.

    command: starts a process that has the model. metric: one of METRICS. claimed: the run's losses.npz; None for a
    baseline, which is scored for the comparison and not checked. compared: the losses.npz of the baseline's report;
    None for the baseline itself. seed: draws the rows. out: takes the report.
    """

    command: Sequence[str]
    corpus: str
    checkpoint: str
    claimed: str | None
    metric: str
    claimed_metric: float
    compared: str | None = None
    out: str
    batch_tokens: int
    piece_bytes: int
    seed: int

    def to_json(self) -> str:
        """Return the request as the scorer's command line takes it."""
        return json.dumps(asdict(self))


def read_report(result: Result, folder: Path) -> ScoreReport:
    """Return what the scorer left in `folder`; where its job failed, a report whose check `checkpoint` says how."""
    import numpy as np  # a fifth of a command's start, and few commands audit

    if result.status != "ok":
        return ScoreReport({"checkpoint": f"the audit ended with {result.status}: {result.reason}"})
    report = json.loads((folder / "result.json").read_bytes())
    # a check may quote the checkpoint, which is anybody's text
    checks = {name: one_line(text, limit=RULES.finding_chars) for name, text in report["checks"].items()}
    with np.load(folder / "losses.npz", allow_pickle=False) as losses:
        val, held = (
            Losses(losses[f"{split}_nats"].tolist(), losses[f"{split}_units"].tolist()) for split in ("val", "held")
        )
    return ScoreReport(checks, report["metrics"], val, held)

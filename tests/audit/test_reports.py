"""What goes to the scorer and what comes back: a gain is paired, a report that is not there says why."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from agent.audit.reports import Losses, ScoreReport, ScoreRequest, read_report
from agent.audit.rules import RULES
from agent.core.runs import Result

REQUEST = ScoreRequest(
    command=["python", "model_server.py"],
    corpus="corpus",
    checkpoint="model.pt",
    claimed=None,
    metric="val_bpb",
    claimed_metric=1.5,
    out="out",
    batch_tokens=128,
    piece_bytes=64,
    seed=1,
)


def test_a_request_is_the_same_on_the_other_side() -> None:
    assert ScoreRequest(**json.loads(REQUEST.to_json())) == REQUEST


def test_a_gain_and_its_error_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    ours, theirs, sizes = rng.random(50), rng.random(50), rng.integers(1, 9, 50)
    gain, error = Losses(ours.tolist(), sizes.tolist()).gain(Losses(theirs.tolist(), sizes.tolist()))
    unit = sizes.sum()
    assert gain == pytest.approx((theirs - ours).sum() / unit)
    assert error == pytest.approx(math.sqrt(50 * (theirs - ours).var(ddof=1)) / unit)


@pytest.mark.parametrize("other", [Losses(), Losses([1.0], [1.0])])
def test_losses_of_other_pieces_have_no_gain(other: Losses) -> None:
    assert all(map(math.isnan, Losses([1.0, 2.0], [1.0, 1.0]).gain(other)))
    assert all(map(math.isnan, Losses().gain(other)))


def test_an_audit_that_crashed_fails_its_checkpoint(tmp_path: Path) -> None:
    report = read_report(Result("timeout", reason="killed after 60 s"), tmp_path)
    assert report.checks == {"checkpoint": "the audit ended with timeout: killed after 60 s"}
    assert (report.val_metric, report.held_metric) == (None, None)


def test_a_check_that_quotes_a_checkpoint_is_one_short_harmless_line(tmp_path: Path) -> None:
    quoted = {"checks": {"checkpoint": "@all\n" + "x" * 999}, "metrics": {"val": 1.5}}
    (tmp_path / "result.json").write_text(json.dumps(quoted))
    np.savez(tmp_path / "losses.npz", val_nats=[1.0], val_units=[2], held_nats=[3.0], held_units=[4])
    report = read_report(Result("ok"), tmp_path)
    assert report.checks["checkpoint"].startswith("ⓐall xxx")
    assert len(report.checks["checkpoint"]) == RULES.finding_chars
    assert report == ScoreReport(report.checks, {"val": 1.5}, Losses([1.0], [2]), Losses([3.0], [4]))

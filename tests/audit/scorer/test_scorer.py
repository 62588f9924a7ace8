"""The scorer: it takes nothing but logits, and says of each check what speaks against the checkpoint."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import prepare
from agent.audit.metrics import METRICS
from agent.audit.reports import read_report
from agent.audit.rules import SCORING
from agent.audit.scorer.scorer import Scorer
from agent.core.runs import Result
from tests.support.scoring import make_corpus, make_request, score


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def failed(scorer: Scorer) -> dict[str, str]:
    return {name: finding for name, finding in scorer.checks.items() if finding != "ok"}


def test_an_honest_model_passes_and_is_scored_on_both_sets(corpus: Path, tmp_path: Path) -> None:
    scorer = score(make_request(corpus, tmp_path, "honest"))
    assert failed(scorer) == {}
    assert list(scorer.checks) == ["checkpoint", "bytes", "logits", "agreement", "order", "causality", "held-out"]
    assert set(scorer.metrics) == {"val", "held"}
    scorer.save(1.0)
    report = read_report(Result("ok"), tmp_path)
    assert len(report.val.nats) == len(report.held.sizes) == 40
    with np.load(tmp_path / "claimed.npz") as claimed:
        assert np.allclose(report.val.nats, claimed["nats"], rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_is_scored_in_its_own_units(corpus: Path, tmp_path: Path, metric: str) -> None:
    """All bytes are characters here: the two metrics differ by ln 2."""
    scorer = score(make_request(corpus, tmp_path, "honest", metric=metric))
    assert failed(scorer) == {}
    assert scorer.metrics["val"] == pytest.approx(scorer.request.claimed_metric, rel=1e-6)
    scorer.save(1.0)
    assert sum(read_report(Result("ok"), tmp_path).held.sizes) == pytest.approx(
        {"val_bpb": 637.7, "val_nats": 920}[metric], abs=0.1
    )


def test_a_claim_in_the_units_of_another_metric_is_refused(corpus: Path, tmp_path: Path) -> None:
    request = replace(make_request(corpus, tmp_path, "honest"), metric="val_nats")
    assert "and it claims" in failed(score(request))["agreement"]


def test_a_baseline_is_scored_on_the_same_documents_and_nothing_else_is_tried(corpus: Path, tmp_path: Path) -> None:
    winner = score(make_request(corpus, tmp_path, "honest"))
    baseline = score(replace(winner.request, claimed=None))
    assert baseline.checks == {"logits": "ok", "held-out": "ok"}
    assert baseline.metrics == pytest.approx(winner.metrics)
    assert all(np.array_equal(baseline.chosen[split], winner.chosen[split]) for split in prepare.SPLITS)


@pytest.mark.parametrize(
    ("mode", "check", "finding"),
    [
        ("peeks", "causality", "a probability before a cut moved by"),
        ("looks far", "causality", "a probability before a cut moved by"),
        ("counts", "causality", "a probability before a cut moved by"),
        ("replays", "causality", "a probability before a cut moved by"),
        ("mixes", "order", "a row sent twice, among other rows"),
        ("adapts", "order", "a row sent twice, among other rows"),
        ("nan", "logits", "not all are finite"),
        ("short", "logits", r"expected (8, 16, 17)"),
        ("boasts", "logits", r"expected (8, 16, 17)"),
        ("dies", "checkpoint", "ended before it answered"),
    ],
)
def test_each_check_says_what_speaks_against_it(
    corpus: Path, tmp_path: Path, mode: str, check: str, finding: str
) -> None:
    assert finding in failed(score(make_request(corpus, tmp_path, mode)))[check]


@pytest.mark.parametrize(("mode", "findings"), [("rounds", {}), ("hints", {"causality": "nats more or less where it"})])
def test_bfloat16_may_round_and_a_hint_as_small_as_that_shows_in_the_mean(
    corpus: Path, tmp_path: Path, mode: str, findings: dict[str, str]
) -> None:
    full = tmp_path / "full"
    shutil.copytree(corpus, full)
    prepare.write_json(full / "meta.json", {**json.loads((corpus / "meta.json").read_text()), "profile": "full"})
    actual = failed(score(make_request(full, tmp_path, mode)))
    actual.pop("agreement", None)
    assert actual.keys() == findings.keys()
    assert all(text in actual[name] for name, text in findings.items())


def test_a_claim_that_is_not_what_the_losses_make_is_refused(corpus: Path, tmp_path: Path) -> None:
    assert "and it claims 0.100000" in failed(score(make_request(corpus, tmp_path, "honest", claim=0.1)))["agreement"]


def test_losses_of_another_model_are_refused(corpus: Path, tmp_path: Path) -> None:
    assert " nats where " in failed(score(make_request(corpus, tmp_path, "mixes")))["agreement"]


def test_a_checkpoint_is_data_and_finite(corpus: Path, tmp_path: Path) -> None:
    scorer = score(make_request(corpus, tmp_path, "honest"))
    torch.save({"model": {"weight": torch.tensor([1.0, float("nan")])}}, tmp_path / "model.pt")
    assert scorer._checkpoint() == "not finite: weight"
    torch.save({"model": {"weight": Path()}}, tmp_path / "model.pt")
    assert "UnpicklingError" in scorer._checkpoint()


def test_one_document_that_costs_more_and_another_that_costs_less_are_seen(corpus: Path, tmp_path: Path) -> None:
    request = make_request(corpus, tmp_path, "honest")
    with np.load(str(request.claimed)) as claimed:
        nats, sizes = claimed["nats"], claimed["bytes"]
    nats[3], nats[5] = nats[3] - 2.0, nats[5] + 2.0
    np.savez(str(request.claimed), nats=nats, bytes=sizes)
    assert "document 3 of the validation set: claims" in failed(score(request))["agreement"]


@pytest.mark.parametrize(("forged", "finding"), [(False, None), (True, "row "), (None, "does not say what each row")])
def test_where_some_documents_are_scored_each_row_that_is_has_to_cost_what_the_run_says(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forged: bool | None, finding: str | None
) -> None:
    """The nats of all rows are claimed: a document that lies in no scored block from end to end is in some row."""
    monkeypatch.setitem(SCORING, "mini", replace(SCORING["mini"], scored_tokens=480))
    request = make_request(corpus, tmp_path, "honest")
    first = score(replace(request, claimed=None))
    whole = prepare.load(corpus).evaluation("val")
    logits = torch.zeros(len(whole.rows), 16, 17)
    logits[..., 0] = torch.from_numpy(whole.rows[:, :-1].astype(np.float32))
    nats, rows = prepare.score_rows(lambda _: logits, whole, first.token_bytes, batch=len(logits), device="cpu")
    if forged:
        rows = np.roll(rows, 1)
    more = {} if forged is None else {"rows": rows}
    np.savez(str(request.claimed), nats=nats, bytes=whole.document_bytes, **more)
    found = failed(score(request)).get("agreement")
    assert found is None if finding is None else finding in str(found)

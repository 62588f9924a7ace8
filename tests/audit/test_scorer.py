"""The scorer as it is run: `python path/to/scorer REQUEST`, in a folder that has fixed/."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.audit.reports import SCORER, read_report
from agent.core.runs import Result
from tests.support.project import ROOT
from tests.support.scoring import make_corpus, make_request, score


def test_it_leaves_the_report_that_the_harness_reads(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    request = make_request(make_corpus(tmp_path / "corpus"), tmp_path, "peeks")
    argv = [sys.executable, str(SCORER), request.to_json()]
    run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    report, same = read_report(Result("ok"), tmp_path), score(request)
    assert json.loads(run.stdout) == report.checks == same.checks
    assert report.checks["causality"] != "ok"
    assert report.metrics == pytest.approx(same.metrics)


def test_the_fixed_side_is_that_of_the_folder_it_is_run_in_and_torch_is_not(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    request = replace(make_request(make_corpus(tmp_path / "corpus"), tmp_path, "honest"), claimed=None)
    (tmp_path / "fixed").mkdir()
    (tmp_path / "fixed" / "__init__.py").write_text("raise SystemExit('the fixed side of this folder')")
    (tmp_path / "torch.py").write_text("raise SystemExit('the torch of this folder')")
    argv = [sys.executable, str(SCORER), request.to_json()]
    run = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert run.stderr.startswith("the fixed side of this folder\n")

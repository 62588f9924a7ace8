"""The doctor: what is lacking is named with what to do; ledger and git are held against one another."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app.doctor import cuda_probe, examine, verify
from agent.execution import sandbox
from agent.execution.machine import Gpu, Machine
from agent.execution.sandbox import Sandbox
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from tests.campaign.test_evidence import CAMPAIGN
from tests.store.test_ledger import RUN
from tests.support import needs
from tests.support.project import git


def test_a_gpu_that_torch_cannot_use_is_named_with_what_to_do(tmp_path: Path) -> None:
    here = Machine("cpu", (Gpu(0, "NVIDIA H200", None),), 2, 1000)
    [found] = [one for one in examine(here, tmp_path, sys.executable) if one.name == "GPU"]
    assert not found.ok
    assert "torch cannot use it" in found.advice
    assert "--profile mini" in found.advice


def test_a_gpu_is_probed_where_runs_will_use_it(tmp_path: Path) -> None:
    """The same command, with the walls and the devices of a run around it where there are walls."""
    bare, walled = (cuda_probe("python", Sandbox(level, "")) for level in ("none", "bwrap"))
    assert bare[:2] == ("python", "-c")
    assert "torch.zeros(8, device='cuda')" in bare[2]
    around = Sandbox("bwrap", "").wrap(bare, cwd=Path("/tmp"), readable=(), writable=(), gpus=1)
    assert walled == around
    assert (walled[0], walled[-len(bare) :]) == ("bwrap", bare)
    assert ("--unshare-all" in walled, str(tmp_path) in walled) == (True, False)


def test_the_level_of_the_sandbox_is_named_with_how_to_raise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    [found] = [one for one in examine(Machine("cpu", (), 2, 1), tmp_path, sys.executable) if one.name == "sandbox"]
    assert (found.ok, found.detail) == (False, "none: bubblewrap is not installed")
    assert "apt install bubblewrap" in found.advice


@pytest.mark.parametrize(
    ("switch", "detail"),
    [
        pytest.param("1", "forked from a warm worker", marks=needs.sandbox),
        ("0", "processes of their own (docs/sandbox.md says when)"),
    ],
)
def test_a_run_is_tried_to_see_where_runs_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str, detail: str
) -> None:
    monkeypatch.setenv("AUTORESEARCH_WORKER", switch)
    [found] = [one for one in examine(Machine("cpu", (), 2, 1000), tmp_path, sys.executable) if one.name == "runs"]
    assert (found.ok, found.detail) == (True, detail)


def test_prepared_corpora_are_listed(tmp_path: Path) -> None:
    (tmp_path / "stdlib-mini-abc").mkdir()
    (tmp_path / "stdlib-mini-abc" / "meta.json").write_text("{}")
    [found] = [one for one in examine(Machine("cpu", (), 2, 1000), tmp_path, sys.executable) if one.name == "corpora"]
    assert "stdlib-mini-abc" in found.detail


@pytest.mark.parametrize(
    ("change", "problem"),
    [({}, ""), ({"tree": "0" * 40}, "has another tree"), ({"commit": "0" * 40}, "is not in git")],
)
def test_a_run_whose_commit_is_not_what_it_was_is_found(project: Path, change: dict[str, str], problem: str) -> None:
    ledger = Ledger(project / "ledger.jsonl", project / "lock")
    head, tree = git(project, "rev-parse", "HEAD"), git(project, "rev-parse", "HEAD^{tree}")
    ledger.append(replace(RUN, **{"commit": head, "tree": tree, **change}))  # type: ignore[arg-type]
    with Repository(project) as repo:
        found = verify(repo, ledger)
    assert (found == []) if not problem else (problem in found[0])


def test_a_missing_baseline_is_found(project: Path) -> None:
    ledger = Ledger(project / "ledger.jsonl", project / "lock")
    ledger.append(replace(CAMPAIGN, commits={}, trees={}))
    with Repository(project) as repo:
        assert verify(repo, ledger) == ["branch autoresearch/baseline/main is missing"]

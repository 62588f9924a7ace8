"""The local executor: one run a device, results as they come, nothing left when the caller leaves."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from agent.core.runs import Job
from agent.execution.local import LocalExecutor
from agent.execution.locks import exclusive
from agent.execution.machine import Gpu
from agent.execution.sandbox import NO_SANDBOX

SCRIPT = """
import json, os, pathlib, sys, time
run = pathlib.Path(os.environ["AUTORESEARCH_RUN_DIR"])
print("device", os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
began = time.monotonic()
time.sleep(float(sys.argv[1]))
told = {"metrics": {"m": 1.0, "began": began, "ended": time.monotonic()}}
(run / "result.json").write_text(json.dumps(told))
"""


def devices(count: int) -> list[Gpu]:
    return [Gpu(number, "a gpu", 1000) for number in range(count)]


@pytest.fixture
def executor(tmp_path: Path) -> Callable[[int], LocalExecutor]:
    def export(commit: str, folder: Path) -> None:  # noqa: ARG001
        folder.mkdir()
        (folder / "script.py").write_text(SCRIPT)

    return lambda gpus, at_once=1: LocalExecutor(  # type: ignore[misc]
        devices(gpus), tmp_path / "locks", export, lambda *_: None, waits.append, NO_SANDBOX, at_once=at_once
    )


waits: list[str] = []


def jobs(folder: Path, count: int, seconds: float) -> list[Job]:
    argv = (sys.executable, "script.py", str(seconds))
    return [Job(f"1{n}", "c", n, "screen", argv, {}, folder / f"run-{n}", 30, "m") for n in range(count)]


def test_without_a_gpu_runs_follow_one_another_in_order(
    tmp_path: Path, executor: Callable[[int], LocalExecutor]
) -> None:
    results = list(executor(0).run(jobs(tmp_path, 3, 0.05)))
    assert [job.seed for job, _ in results] == [0, 1, 2]
    spans = [(result.metrics["began"], result.metrics["ended"]) for _, result in results]
    assert all(spans[n][1] <= spans[n + 1][0] for n in range(2))


def test_without_a_gpu_runs_that_share_the_processor_run_together(
    tmp_path: Path, executor: Callable[[int, int], LocalExecutor]
) -> None:
    both = executor(0, 2)
    assert both.slots == 2
    spans = [(one.metrics["began"], one.metrics["ended"]) for _, one in both.run(jobs(tmp_path, 2, 2))]
    assert max(began for began, _ in spans) < min(ended for _, ended in spans)


def test_every_gpu_runs_one_job_at_a_time_and_they_run_together(
    tmp_path: Path, executor: Callable[[int], LocalExecutor]
) -> None:
    both = executor(2)
    results = list(both.run(jobs(tmp_path, 4, 0.5)))
    devices: dict[str, list[tuple[float, float]]] = {}
    for _, result in results:
        device = Path(result.log).read_text().split()[1]
        devices.setdefault(device, []).append((result.metrics["began"], result.metrics["ended"]))
    assert both.slots == 2
    assert set(devices) == {"0", "1"}
    for spans in devices.values():
        spans.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert devices["0"][0][0] < devices["1"][0][1]
    assert devices["1"][0][0] < devices["0"][0][1]


def test_the_export_is_gone_after_the_run_and_results_stay(
    tmp_path: Path, executor: Callable[[int], LocalExecutor]
) -> None:
    [(job, result)] = executor(0).run(jobs(tmp_path, 1, 0))
    assert result.status == "ok"
    assert sorted(path.name for path in job.run_dir.iterdir()) == ["result.json", "run.log"]


def test_a_caller_that_leaves_leaves_nothing_running(tmp_path: Path, executor: Callable[[int], LocalExecutor]) -> None:
    runs = executor(2).run(jobs(tmp_path, 1, 0) + jobs(tmp_path / "long", 3, 30))
    next(runs)
    began = time.monotonic()
    runs.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5


def test_a_device_that_another_harness_uses_is_waited_for_and_its_user_named(
    tmp_path: Path, executor: Callable[[int], LocalExecutor]
) -> None:
    waits.clear()
    lock = exclusive(tmp_path / "locks" / "cpu.lock", "1X in another clone")
    lock.__enter__()
    threading.Timer(0.5, lambda: lock.__exit__(None, None, None)).start()
    [(_, result)] = executor(0).run(jobs(tmp_path, 1, 0))
    assert result.status == "ok"
    assert "1X in another clone" in waits[0]


def test_a_job_that_needs_no_device_waits_for_none(tmp_path: Path, executor: Callable[[int], LocalExecutor]) -> None:
    waits.clear()
    [job] = jobs(tmp_path, 1, 0)
    with exclusive(tmp_path / "locks" / "cpu.lock", "1X in another clone"):
        [(_, result)] = executor(0).run([replace(job, gpus=0)])
    assert (result.status, waits) == ("ok", [])


def test_a_stopped_campaign_does_not_wait_for_a_device_any_longer(
    tmp_path: Path, executor: Callable[[int], LocalExecutor]
) -> None:
    with exclusive(tmp_path / "locks" / "gpu-1.lock", "1X in another clone"):
        runs = executor(2).run(jobs(tmp_path, 1, 0) + jobs(tmp_path / "more", 1, 0))
        next(runs)
        began = time.monotonic()
        runs.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5

"""One run as a process: every way it can end has its status, its log is bounded, nothing of it survives."""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.core.runs import Job, Result, Status
from agent.execution import process
from agent.execution.folders import fresh_folder
from agent.execution.outcome import LINE_CAP
from agent.execution.process import RunningJob

DONE = """
import json, os, pathlib
def result(**fields):
    pathlib.Path(os.environ["AUTORESEARCH_RUN_DIR"], "result.json").write_text(json.dumps(fields))
"""


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """A job that runs a Python text."""

    def make(text: str, timeout_s: float = 20, **env: str) -> Job:
        argv = (sys.executable, "-c", DONE + text)
        return Job("1A", "c" * 40, 0, "screen", argv, env, fresh_folder(tmp_path / "run"), timeout_s, "val_bpb")

    return make


def run(job: Job, on_line: Callable[[str], None] = lambda _: None) -> Result:
    return RunningJob(job, job.run_dir).wait(on_line)


ENDINGS: list[tuple[str, str, Status, str]] = [
    ("good", "result(metrics={'val_bpb': 1.5}, phases={'train': 2.0})", "ok", ""),
    (
        "raises",
        "print('inf nan oom info'); raise RuntimeError('CUDA out of memory nan')",
        "crash",
        "exit status 1: RuntimeError: CUDA out",
    ),
    ("silent", "pass", "no_metric", "exit 0, and no val_bpb"),
    ("null metric", "result(metrics={'val_bpb': None})", "no_metric", "exit 0, and no val_bpb"),
    ("a word for a metric", "result(metrics={'val_bpb': '1.5'})", "no_metric", "exit 0"),
    (
        "another seed",
        "result(metrics={'val_bpb': 1.5}, seed=20)",
        "invalid",
        "result.json says seed 20 where the run was given 0",
    ),
    ("nan", "result(metrics={'val_bpb': float('nan')})", "nan", "val_bpb = nan"),
    ("infinite", "result(metrics={'val_bpb': float('inf')})", "nan", "val_bpb = inf"),
    (
        "torn result",
        "pathlib.Path(os.environ['AUTORESEARCH_RUN_DIR'], 'result.json').write_text('{\"me')",
        "no_metric",
        "",
    ),
    ("metrics that are a list", "result(metrics=[1])", "no_metric", ""),
    ("a number beyond all numbers", "result(metrics={'val_bpb': 10**400})", "no_metric", ""),
    ("a list", "pathlib.Path(os.environ['AUTORESEARCH_RUN_DIR'], 'result.json').write_text('[1]')", "no_metric", ""),
    ("result, then crash", "result(metrics={'val_bpb': 0.1}); os._exit(3)", "crash", "exit status 3"),
    ("segfault", "os.kill(os.getpid(), 11)", "crash", "ended by signal 11"),
    ("killed", "os.kill(os.getpid(), 9)", "crash", "ended by signal 9"),
    (
        "reported oom",
        "pathlib.Path(os.environ['AUTORESEARCH_RUN_DIR'], 'failure.json').write_text"
        "(json.dumps({'status': 'oom', 'reason': 'no memory'})); os._exit(12)",
        "oom",
        "no memory",
    ),
    (
        "reported nan",
        "pathlib.Path(os.environ['AUTORESEARCH_RUN_DIR'], 'failure.json').write_text"
        "(json.dumps({'status': 'nan', 'reason': 'loss is nan'})); os._exit(11)",
        "nan",
        "loss is nan",
    ),
]


@pytest.mark.parametrize(("name", "text", "status", "reason"), ENDINGS, ids=[ending[0] for ending in ENDINGS])
def test_every_ending_has_its_own_status(
    job: Callable[..., Job], name: str, text: str, status: Status, reason: str
) -> None:
    result = run(job(text))
    assert (result.status, reason in result.reason) == (status, True), result
    assert ("val_bpb" in result.metrics) == (status == "ok" or name in ("result, then crash", "another seed"))


def test_a_script_that_only_prints_its_metric_is_understood(job: Callable[..., Job]) -> None:
    result = run(job("print('METRIC val_bpb=9.0'); print('---'); print('val_bpb:   1.25'); print('loss: nan')"))
    assert (result.status, result.metrics) == ("ok", {"val_bpb": 1.25})


def test_an_old_result_is_never_taken_for_a_new_one(job: Callable[..., Job]) -> None:
    assert run(job("result(metrics={'val_bpb': 1.5})")).status == "ok"
    assert run(job("pass")).status == "no_metric"


BURN = "import time\nwhile time.process_time() < 0.6: pass\n"


def test_the_processors_seconds_of_all_that_a_run_started_are_counted(job: Callable[..., Job]) -> None:
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"
    alone, together = (run(job(text + "result(metrics={'val_bpb': 1.5})")) for text in (BURN, child + BURN))
    assert alone.cpu_s >= 0.6
    assert 1.2 <= together.cpu_s < 60


def test_the_time_limit_kills_and_says_so(job: Callable[..., Job]) -> None:
    began = time.monotonic()
    result = run(job("print('begun', flush=True)\nwhile True: pass", timeout_s=1.0))
    assert result.status == "timeout"
    assert "killed after 1 s" in result.reason
    assert time.monotonic() - began < 5
    assert Path(result.log).read_text() == "begun\n"


def test_a_log_is_never_written_through_a_link(job: Callable[..., Job], tmp_path: Path) -> None:
    made = job("print('from the run'); result(metrics={'val_bpb': 1.0})")
    (tmp_path / "victim").write_text("as it was")
    (made.run_dir / "run.log").symlink_to(tmp_path / "victim")
    assert run(made).status == "ok"
    assert (tmp_path / "victim").read_text() == "as it was"


def test_a_run_that_failed_leaves_its_log_and_no_checkpoint(job: Callable[..., Job]) -> None:
    made = job("(pathlib.Path(os.environ['AUTORESEARCH_RUN_DIR']) / 'model.pt').write_text('x'); os._exit(1)")
    assert run(made).status == "crash"
    assert [path.name for path in made.run_dir.iterdir()] == ["run.log"]


DAEMON = """
import subprocess, sys, time
code = "import os, sys, time\\nos.setsid()\\nif os.fork(): os._exit(0)\\nos.setsid()\\ntime.sleep(300)"
subprocess.Popen([sys.executable, "-c", code, "MARK"])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", "MARK"])
time.sleep(0.5)
"""


def marked(mark: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]


@pytest.mark.parametrize("end", ["result(metrics={'val_bpb': 1.0})", "raise SystemExit(1)", "while True: pass"])
def test_nothing_that_a_run_started_outlives_it(job: Callable[..., Job], end: str) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    result = run(job(DAEMON.replace("MARK", mark) + end, timeout_s=2))
    assert result.status in ("ok", "crash", "timeout")
    assert marked(mark) == []


def test_a_run_dies_with_a_harness_that_is_killed(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    harness = f"""
import sys
from pathlib import Path
from agent.core.runs import Job
from agent.execution.folders import fresh_folder
from agent.execution.process import RunningJob
argv = (sys.executable, "-c", {DAEMON.replace("MARK", mark)!r} + "print('up', flush=True); time.sleep(300)", "{mark}")
job = Job("1A", "c", 0, "screen", argv, {{}}, fresh_folder(Path({str(tmp_path / "run")!r})), 60, "m")
RunningJob(job, job.run_dir).wait(lambda line: print(line, flush=True))
"""
    root = Path(__file__).parents[2]
    with psutil.Popen([sys.executable, "-c", harness], cwd=root, stdout=-1) as program:
        assert program.stdout.readline() == b"up\n"
        assert len(marked(mark)) >= 3
        program.kill()
    deadline = time.monotonic() + 5
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert marked(mark) == []


def test_a_log_keeps_its_beginning_and_its_end(job: Callable[..., Job]) -> None:
    text = "print('first')\nfor _ in range(300): print('x' * 100_000)\nprint('last'); result(metrics={'val_bpb': 1.0})"
    result = run(job(text))
    log = Path(result.log).read_bytes()
    assert result.status == "ok"
    assert log.startswith(b"first\nxxx")
    assert log.endswith(b"xxx\nlast\n")
    assert b"bytes left out ..." in log
    assert len(log) < process.LOG_CAP + process.LOG_TAIL + 100


def test_output_that_is_no_text_is_logged_as_it_is(job: Callable[..., Job]) -> None:
    lines: list[str] = []
    result = run(job(r"os.write(1, b'\xff\xfe\x00\n\x1b[31mred\n')"), lines.append)
    assert Path(result.log).read_bytes() == b"\xff\xfe\x00\n\x1b[31mred\n"
    assert lines == ["\ufffd\ufffd", "red"]  # who listens hears plain text


def test_a_line_without_an_end_does_not_fill_memory(job: Callable[..., Job]) -> None:
    lines: list[str] = []
    run(job("os.write(1, b'y' * 5_000_000); print(); print('z')"), lines.append)
    assert len(lines[0]) <= LINE_CAP
    assert lines[1] == "z"


def test_a_run_sees_no_key_of_ours(job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_PASSWORD", "NVIDIA_API_KEY"):
        monkeypatch.setenv(name, "canary-value")
    result = run(job("print(dict(os.environ)); result(metrics={'val_bpb': 1.0})", AUTORESEARCH_SEED="7"))
    log = Path(result.log).read_text()
    assert "canary-value" not in log
    assert "'AUTORESEARCH_SEED': '7'" in log
    assert "'PATH'" in log


def test_kill_from_another_thread_ends_a_run(job: Callable[..., Job]) -> None:
    running = RunningJob(job("import time; time.sleep(60)"), Path.cwd())
    threading.Timer(0.3, running.kill).start()
    began = time.monotonic()
    assert running.wait().status == "crash"
    assert time.monotonic() - began < 5

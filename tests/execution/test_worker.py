"""Warm workers, from the harness's side: which runs come from one, and when it ends."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from agent.execution import worker
from agent.execution.machine import Gpu
from agent.execution.worker import needs_of
from tests.support.forked import DONE, FORKED, make_run, needs_sandbox, zygotes

ROOT = Path(__file__).parents[2]

# --- what a library reads when it is loaded ---------------------------------------------------------------

SPIN = 'import os\n\nos.environ.setdefault("GOMP_SPINCOUNT", "5000")\nimport torch\n'


@pytest.mark.parametrize(
    ("text", "modules", "variable"),
    [
        ("import json", (), None),
        ("import torch", ("torch",), None),
        ("import torch\ntorch.optim.SGD([])", ("torch", *worker.FOR_OPTIMIZERS), None),
        ("def f():\n    import numpy as np\n", ("numpy", "numpy.random"), None),
        ("import beside", ("numpy", "numpy.random", "torch"), None),
        (SPIN, ("torch",), "5000"),
        (SPIN.replace(".setdefault(", "[").replace(", ", "] = ").replace(")", ""), ("torch",), "5000"),
    ],
)
def test_a_zygote_has_what_the_script_imports_and_sets_in_plain_sight(
    tmp_path: Path, text: str, modules: tuple[str, ...], variable: str | None
) -> None:
    (tmp_path / "script.py").write_text(text)
    (tmp_path / "beside.py").write_text("import torch\nfrom numpy import array")
    needs = needs_of(tmp_path / "script.py", {"AUTORESEARCH_SEED": "3", "LANG": "C"})
    assert needs is not None
    assert (needs.modules, dict(needs.env).get("GOMP_SPINCOUNT")) == (modules, variable)
    assert "AUTORESEARCH_SEED" not in dict(needs.env)


@pytest.mark.parametrize(
    "text",
    [
        'import torch, os\nos.environ["OMP_NUM_THREADS"] = "1"',
        'import os\ndef f():\n    os.environ["OMP_NUM_THREADS"] = "1"\nf()\nimport torch',
        'import os\nos.environ.update({"MKL_NUM_THREADS": "1"})\nimport torch',
        'import os\nos.environ["OMP_NUM_THREADS"] = str(2)\nimport torch',
        "import beside\nimport torch",
    ],
)
def test_a_script_that_sets_it_out_of_sight_gets_a_process_of_its_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "script.py").write_text(text)
    (tmp_path / "beside.py").write_text('import os\nos.environ["OMP_NUM_THREADS"] = "1"')
    assert needs_of(tmp_path / "script.py", {}) is None


def test_the_real_script_can_be_forked() -> None:
    needs = needs_of(ROOT / "train.py", {})
    assert needs is not None
    assert {*worker.PRELOAD, *worker.FOR_OPTIMIZERS} == set(needs.modules)


def test_modules_where_it_is_started_are_read_like_those_beside_it(tmp_path: Path) -> None:
    script = tmp_path / "track" / "script.py"
    script.parent.mkdir()
    script.write_text("import beside\n")
    (tmp_path / "beside.py").write_text("import psutil\n")
    near, whole = needs_of(script, {}), needs_of(script, {}, tmp_path)
    assert near is not None
    assert whole is not None
    assert (near.modules, whole.modules) == ((), ("psutil",))


def test_the_environment_of_the_machine_outranks_a_default_of_the_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SPIN)
    needs = needs_of(tmp_path / "script.py", {"GOMP_SPINCOUNT": "7"})
    assert needs is not None
    assert dict(needs.env)["GOMP_SPINCOUNT"] == "7"


# --- with the harness, and without a worker ---------------------------------------------------------------


def running(mark: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["environ"]) if mark in str(p.info["environ"])]


def within_20_s(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


@needs_sandbox
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_everything_ends_with_a_harness_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    mark = f"OMP_MARK_{os.getpid()}_{time.monotonic_ns()}"
    text = "import os, time\nif os.fork() == 0:\n    os.setsid()\nos.write(1, b'up\\n')\ntime.sleep(600)"
    harness = f"""
import sys
from pathlib import Path
from agent.core.runs import Job
from agent.execution import sandbox
from agent.execution.local import LocalExecutor
def export(commit, tree):
    tree.mkdir()
    (tree / "script.py").write_text({text!r})
heard = lambda _, line: print(line, flush=True)
executor = LocalExecutor((), Path({str(tmp_path)!r}), export, heard, print, sandbox.probe())
job = Job("1A", "c", 0, "screen", (sys.executable, "script.py"), {{}}, Path({str(tmp_path / "run")!r}), 600, "m")
list(executor.run([job]))
"""
    env = {**os.environ, mark: "1"}
    with subprocess.Popen([sys.executable, "-c", harness], cwd=ROOT, stdout=subprocess.PIPE, env=env) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == b"up\n"
            # the harness, the zygote, the supervisor, bubblewrap, the run and its daemon
            assert within_20_s(lambda: len(running(mark)) >= 5)
            program.send_signal(how)
            program.wait(20)
        finally:
            program.kill()
    assert within_20_s(lambda: running(mark) == [])


@needs_sandbox
def test_the_start_of_a_worker_is_no_part_of_the_run_that_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first run of a campaign, which is the baseline's, would make room for slow clocks."""
    made = worker.Zygote.__init__

    def slow(self: worker.Zygote, needs: worker.Needs) -> None:
        time.sleep(8)
        made(self, needs)

    monkeypatch.setattr(worker.Zygote, "__init__", slow)
    began = time.monotonic()
    result, log = make_run(tmp_path)(FORKED + DONE)
    assert log.startswith("forked True")
    assert result.seconds < time.monotonic() - began - 8


@needs_sandbox
def test_a_zygote_that_is_killed_costs_no_run(tmp_path: Path) -> None:
    others, warm = zygotes(), make_run(tmp_path)
    warm(FORKED + DONE)
    [zygote] = zygotes() - others
    zygote.kill()
    zygote.wait()
    result, log = warm(FORKED + DONE)
    assert (result.status, log.split("\n")[0]) == ("ok", "forked False")


@needs_sandbox
def test_a_zygote_that_dies_while_it_takes_a_request_costs_no_run(tmp_path: Path) -> None:
    """It is stopped, so that the request waits for it, and killed then: the run is a process of its own, once."""
    others, warm = zygotes(), make_run(tmp_path)
    warm(FORKED + DONE)
    [zygote] = zygotes() - others
    zygote.suspend()
    with ThreadPoolExecutor() as pool:
        run = pool.submit(warm, FORKED + DONE)
        assert within_20_s(lambda: (tmp_path / "logs" / "run" / "tree" / "script.py").exists())
        time.sleep(0.5)
        assert not run.done()
        zygote.kill()
        result, log = run.result(30)
    assert (result.status, result.worker, log) == ("ok", False, "forked False\nMETRIC m=1.0\n")


# A zygote that goes wrong where it takes its first request, which it has received.
GONE = {
    "before it forks": "os._exit(1)",
    "once it has forked": "if os.fork():\n    os._exit(1)\ntime.sleep(1)\nos.read(fds[0], 9)",
    "with the supervisor that has the request": "if not os.fork(): os.read(fds[0], 9)\nos._exit(1)",
    "never, and takes no request": "time.sleep(600)",
}


@needs_sandbox
@pytest.mark.parametrize("how", GONE)
def test_a_run_that_has_not_begun_begins_as_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    stand_in = tmp_path / "zygote.py"
    stand_in.write_text(
        "import array, os, socket, sys, time\n"
        "requests = socket.socket(fileno=int(sys.argv[1]))\n"
        "requests.send(b'ready')\n"
        "fds, (_, ancillary, _, _) = array.array('i'), requests.recvmsg(1, 1000)\n"
        "fds.frombytes(ancillary[0][2])\n" + GONE[how]
    )
    monkeypatch.setattr(worker, "_ZYGOTE", stand_in)
    monkeypatch.setattr(worker, "READY_S", 3)
    began, warm = time.monotonic(), make_run(tmp_path)
    for _ in range(2):
        result, log = warm(FORKED + DONE)
        assert (result.status, result.worker, log) == ("ok", False, "forked False\nMETRIC m=1.0\n")
    assert time.monotonic() - began < 20


@needs_sandbox
def test_a_zygote_that_no_run_has_needed_for_longest_makes_room(tmp_path: Path) -> None:
    others, warm = zygotes(), make_run(tmp_path)
    for needs in "1", "2", "1", "3", "1":
        result, _ = warm(FORKED + DONE, OMP_NUM_THREADS=needs)
        assert result.worker
    assert {one.environ()["OMP_NUM_THREADS"] for one in zygotes() - others} == {"1", "3"}


@needs_sandbox
def test_a_zygote_ends_with_its_executor(tmp_path: Path) -> None:
    others = zygotes()
    run = make_run(tmp_path)
    run("print('METRIC m=1.0')")
    [zygote] = zygotes() - others
    del run
    gc.collect()
    assert not zygote.is_running()


@needs_sandbox
def test_on_a_gpu_each_run_is_a_process_of_its_own(tmp_path: Path) -> None:
    _, log = make_run(tmp_path, gpus=(Gpu(0, "a gpu", 1000),))(FORKED + DONE)
    assert log.split("\n")[0] == "forked False"

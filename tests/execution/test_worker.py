"""Warm workers: a run from one is the run that a process of its own would be, and leaves nothing to the next.

Every script here runs through the real executor, in the real sandbox.
"""

import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.core.runs import Job, Result
from agent.execution import sandbox
from agent.execution.local import LocalExecutor
from agent.execution.machine import Gpu
from agent.execution.worker import needs_of

FOUND = sandbox.probe()
ROOT = Path(__file__).parents[2]
needs_sandbox = pytest.mark.skipif(FOUND.level == "none", reason=f"no sandbox: {FOUND.reason}; {FOUND.advice}")
# A run from a worker knows it by this alone: its sandbox has a shell in it.
FORKED = "import os; print('forked', os.getpid() == 3)\n"
DONE = "\nprint('METRIC m=1.0')\n"

Run = Callable[..., tuple[Result, str]]


def zygotes() -> set[psutil.Process]:
    """Return those that this process has started; an executor of another test may not be gone yet."""
    return {one for one in psutil.Process().children() if "zygote.py" in " ".join(one.cmdline())}


def state(process: psutil.Process) -> tuple[int, ...]:
    """Return what a run could have changed of a process."""
    return (process.pid, process.memory_full_info().data, process.num_fds(), process.num_threads())


def make_run(folder: Path, *, files: dict[str, str] | None = None, gpus: tuple[Gpu, ...] = ()) -> Run:
    """Return what runs a Python text as a job of one executor, and returns its result and what it printed."""
    script = ""

    def export(commit: str, tree: Path) -> None:  # noqa: ARG001
        tree.mkdir()
        for name, text in {"script.py": script, **(files or {})}.items():
            (tree / name).write_text(text)

    executor = LocalExecutor(gpus, folder / "locks", export, lambda *_: None, lambda _: None, FOUND)

    def run(text: str, *, timeout_s: float = 60, **env: str) -> tuple[Result, str]:
        nonlocal script
        script = text
        argv = (sys.executable, "script.py", "an argument")
        job = Job("1A", "c", 0, "screen", argv, env, folder / "logs" / "run", timeout_s, "m")
        [(_, result)] = executor.run([job])
        return result, Path(result.log).read_text(errors="replace")

    return run


@pytest.fixture
def warm(tmp_path: Path) -> Run:
    return make_run(tmp_path)


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    with monkeypatch.context() as patch:
        patch.setenv("AUTORESEARCH_WORKER", "0")
        return make_run(tmp_path)


# --- the same run -----------------------------------------------------------------------------------------

LOOK = """
import gc, os, resource, signal, sys, threading
print(sys.argv, sys.path, sys.orig_argv, sys.executable, sys.prefix)
print(__name__, __file__, sorted(globals()), type(__loader__), sys.modules["__main__"].__dict__ is globals())
print(sorted(os.environ.items()), os.getcwd(), os.listdir(), os.getuid(), os.getgroups(), os.umask(0))
print([line for line in open("/proc/self/status") if line.startswith(("Cap", "NoNew", "Seccomp", "Sig", "Threads"))])
print({name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT")})
print(sorted(os.listdir("/proc/self/fd")), os.readlink("/proc/self/fd/0"), sys.stdout.write_through, os.isatty(0))
spaces = {kind: [os.readlink(f"/proc/{pid}/ns/{kind}") for pid in (1, "self")] for kind in os.listdir("/proc/self/ns")}
print({kind: one == other for kind, (one, other) in sorted(spaces.items())})
print(open("/proc/self/oom_score_adj").read(), os.getpgid(0) == os.getsid(0) , os.nice(0), threading.active_count())
print(sorted(open("/proc/self/mounts")), os.sched_getaffinity(0), signal.getsignal(signal.SIGCHLD), gc.isenabled())
"""


@needs_sandbox
def test_a_run_sees_the_same_from_a_worker_as_in_a_process_of_its_own(warm: Run, cold: Run) -> None:
    first, _ = warm("print('METRIC m=0.0')")
    settings = {"AUTORESEARCH_SEED": "7", "OMP_NUM_THREADS": "1"}
    (one, log), (other, own_log) = (run(LOOK + DONE, **settings) for run in (warm, cold))
    assert (first.status, one.status, other.status) == ("ok", "ok", "ok"), log + own_log
    assert log == own_log
    assert one.sandbox == other.sandbox == FOUND.name


@needs_sandbox
def test_it_is_forked_from_a_worker_and_not_where_that_is_switched_off(warm: Run, cold: Run) -> None:
    assert [run(FORKED + DONE)[1].split("\n")[0] for run in (warm, cold)] == ["forked True", "forked False"]


ENDINGS = {
    "ok": "print('METRIC m=1.0')",
    "raises": "def f(): raise RuntimeError('no')\nf()",
    "a chain": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise OSError(3, 'x') from error",
    "does not compile": "def f(:\n    pass",
    "exit status": "import sys; sys.exit(12)",
    "exit without": "import sys; print('METRIC m=1.0'); sys.exit()",
    "exit with words": "import sys; sys.exit('these words')",
    "exit at once": "import os; os._exit(11)",
    "segfault": "import os; os.kill(os.getpid(), 11)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "terminated": "import os; os.kill(os.getpid(), 15)",
    "interrupted": "raise KeyboardInterrupt",
    "a high status": "import os; os._exit(200)",
    "a thread ends later": "import threading, time\n"
    "threading.Thread(target=lambda: (time.sleep(0.3), print('METRIC m=2.0'))).start()",
    "at exit": "import atexit; atexit.register(print, 'METRIC m=3.0')",
    "an object that ends": "class Last:\n    def __del__(self): print('METRIC m=4.0')\nlast = Last()",
    "a file that is not closed": "import os\n"
    "file = open(os.environ['AUTORESEARCH_RUN_DIR'] + '/result.json', 'w')\nfile.write('{\"metrics\": {\"m\": 5.0}}')",
    "an error while another module is there": "import json\njson.loads('{')",
    "a pickle of its own class": "import pickle\nclass C: pass\nprint(type(pickle.loads(pickle.dumps(C()))))",
    "a process that it spawns": "import multiprocessing as m\ndef f(): print('METRIC m=6.0', flush=True)\n"
    "if __name__ == '__main__':\n    p = m.get_context('spawn').Process(target=f)\n    p.start(); p.join(); print(p.exitcode)",
}


@needs_sandbox
def test_every_ending_is_the_same_from_a_worker(warm: Run, cold: Run) -> None:
    for name, text in ENDINGS.items():
        (one, log), (other, own_log) = warm(text), cold(text)
        assert (one.status, one.reason, one.metrics) == (other.status, other.reason, other.metrics), name
        assert log == own_log, name


@needs_sandbox
def test_the_time_limit_kills_a_run_from_a_worker(warm: Run) -> None:
    began = time.monotonic()
    result, log = warm("import time\nprint('begun')\nwhile True: time.sleep(1)", timeout_s=2)
    assert (result.status, log) == ("timeout", "begun\n")
    assert time.monotonic() - began < 30


@needs_sandbox
def test_random_numbers_that_nobody_seeds_differ_from_run_to_run(tmp_path: Path) -> None:
    text = "import random, tempfile, numpy\nprint(random.random(), numpy.random.rand(), tempfile.mktemp())" + DONE
    run = make_run(tmp_path)
    numbers = [run(text)[1].split()[:3] for _ in range(2)]
    assert all(one != other for one, other in zip(*numbers, strict=True)), numbers


# --- what a library reads when it is loaded ---------------------------------------------------------------

SPIN = 'import os\n\nos.environ.setdefault("GOMP_SPINCOUNT", "5000")\nimport torch\n'


@pytest.mark.parametrize(
    ("text", "modules", "variable"),
    [
        ("import json", (), None),
        ("import torch", ("torch",), None),
        ("def f():\n    import numpy as np\n", ("numpy",), None),
        ("import beside", ("numpy", "torch"), None),
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
    assert {"numpy", "torch"} == set(needs.modules)


def test_the_environment_of_the_machine_outranks_a_default_of_the_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SPIN)
    needs = needs_of(tmp_path / "script.py", {"GOMP_SPINCOUNT": "7"})
    assert needs is not None
    assert dict(needs.env)["GOMP_SPINCOUNT"] == "7"


# --- nothing is left to the next run ----------------------------------------------------------------------

CHEAT = """
import ctypes, gc, json, os, random, signal, subprocess, sys, threading, time
def attempt(name, act):
    try:
        print(name, "worked:", act())
    except BaseException as error:
        print(name, "failed:", type(error).__name__)
json.dumps = lambda *_: "0"
random.random = lambda: 0.0
sys.modules["math"] = None
sys.path.insert(0, "/tmp")
os.environ["LEFT"] = "here"
pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
print("sees", pids, os.getppid())
print("open", sorted(map(int, os.listdir("/proc/self/fd")))[:-1])
libc = ctypes.CDLL(None, use_errno=True)
def ptrace(pid):
    if libc.ptrace(16, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
outside = [int(number) for number in sys.argv[2:]] or range(4, 1 << 15)
for pid in outside:
    for act in (ptrace, lambda pid: os.kill(pid, 9), lambda pid: open(f"/proc/{pid}/mem", "r+b")):
        try:
            act(pid)
            print("reached", pid)
        except OSError:
            pass
attempt("parent", lambda: os.kill(os.getppid() or 1 << 22, 9))
attempt("exe", lambda: open("/proc/self/exe", "r+b"))
def other_exe():
    handle = os.open("/proc/self/exe", os.O_PATH)
    if os.fork() == 0:
        time.sleep(1)
        try:
            os.open(f"/proc/self/fd/{handle}", os.O_RDWR)
            open("/tmp/exe", "w").close()
        finally:
            os._exit(0)
    os.execv("/bin/sh", ["sh", "-c", "sleep 2; ls /tmp; echo METRIC m=1.0"])
attempt("setns", lambda: libc.setns(os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) and 1 / 0)
attempt("unshare", lambda: libc.unshare(0x10000000) and 1 / 0)
for place in ("/tmp/left", "/dev/shm/left", "/tmp/home/left", "left.py", "../../left", sys.executable, json.__file__):
    attempt(place, lambda: open(place, "a").write("left"))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
threading.Thread(target=time.sleep, args=[600], daemon=True).start()
"""
NEXT = """
import json, os, random, sys, math
print("patched", json.dumps([1]), random.random() == 0.0, sys.path[0] == "/tmp", "LEFT" in os.environ)
print("files", [path for path in ("/tmp/left", "/dev/shm/left", "/tmp/home/left", "left.py") if os.path.exists(path)])
print("sees", sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
"""


@needs_sandbox
def test_a_cheat_leaves_nothing_for_the_run_after_it(warm: Run, tmp_path: Path) -> None:
    others = zygotes()
    warm("print('METRIC m=0.0')")
    [zygote] = zygotes() - others
    before = state(zygote)
    cheat, log = warm(FORKED + CHEAT + DONE)
    later, after = warm(FORKED + NEXT + DONE)
    assert (cheat.status, later.status) == ("ok", "ok"), log + after
    assert "sees [1, 2, 3] 0\n" in log
    assert re.findall(r"reached \d+", log) == []
    assert [n for n in ("parent", "exe", "setns", "unshare", sys.executable) if f"{n} failed" not in log] == []
    assert "open [0, 1, 2]\n" in log
    assert "patched [1] False False False\nfiles []\nsees [1, 2, 3]\n" in after
    assert log.startswith("forked True")
    assert after.startswith("forked True")
    assert state(zygote) == before
    assert {path.name for path in tmp_path.rglob("left*")} == set()


@needs_sandbox
def test_the_program_of_a_run_cannot_be_written_to_once_it_runs_another(warm: Run) -> None:
    """While a program runs its file is busy; a run that has become another program tries again."""
    text = CHEAT.partition('attempt("setns"')[0] + "other_exe()"
    result, log = warm(FORKED + text)
    assert result.status == "ok", log
    assert "forked True" in log
    assert "exe\n" not in log.partition("exe failed")[2].partition("\n")[2]


@needs_sandbox
def test_a_module_beside_the_script_is_the_one_it_gets(tmp_path: Path) -> None:
    """The worker has json already; a process of its own finds the one beside the script, and so does this run."""
    run = make_run(tmp_path, files={"json.py": "mine = True"})
    result, log = run("import json\nprint(json.mine)" + DONE)
    assert (result.status, log.split()[0]) == ("ok", "True"), log


# --- with the harness, and without a worker ---------------------------------------------------------------


def running(mark: str) -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["environ"]) if mark in str(p.info["environ"])]


@needs_sandbox
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_everything_ends_with_a_harness_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    mark = f"OMP_MARK_{os.getpid()}_{time.monotonic_ns()}"
    text = "import os, time\nif os.fork() == 0:\n    os.setsid()\nprint('up', flush=True)\ntime.sleep(600)"
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
        assert program.stdout is not None
        assert program.stdout.readline() == b"up\n"
        assert len(running(mark)) >= 5  # the harness, the zygote, the supervisor, bubblewrap, the run and its daemon
        program.send_signal(how)
        program.wait()
    deadline = time.monotonic() + 20
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(mark) == []


@needs_sandbox
def test_a_zygote_that_is_killed_costs_no_run(warm: Run) -> None:
    others = zygotes()
    warm(FORKED + DONE)
    [zygote] = zygotes() - others
    zygote.kill()
    zygote.wait()
    result, log = warm(FORKED + DONE)
    assert (result.status, log.split("\n")[0]) == ("ok", "forked False")


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


@pytest.mark.slow
@needs_sandbox
def test_torch_computes_the_same_bits_in_a_forked_run(warm: Run, cold: Run) -> None:
    text = SPIN + (
        "import sys, numpy as np\n"
        "torch.manual_seed(3)\n"
        "model = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.GELU(), torch.nn.Linear(512, 64))\n"
        "optimizer = torch.optim.AdamW(model.parameters())\n"
        "for _ in range(20):\n"
        "    loss = (model(torch.randn(300, 64)) ** 2).mean()\n"
        "    loss.backward(); optimizer.step(); optimizer.zero_grad()\n"
        "square = np.arange(90000.0).reshape(300, 300)\n"
        "print(loss.item().hex(), float(np.linalg.norm(square @ square)).hex())\n"
        "print(torch.get_num_threads(), torch.__config__.parallel_info(), torch.initial_seed())\n"
    )
    (one, log), (other, own_log) = (run(text + DONE) for run in (warm, cold))
    assert (one.status, other.status) == ("ok", "ok"), log
    assert log == own_log
    assert one.cpu_s < other.cpu_s

"""A run that is forked is the run that a process of its own would be, and leaves nothing to the next."""

import re
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.forked import DONE, FORKED, FOUND, Run, make_cold_run, make_run, needs_sandbox, zygotes

SPIN = 'import os\n\nos.environ.setdefault("GOMP_SPINCOUNT", "5000")\nimport torch\n'


def state(process: psutil.Process) -> tuple[int, ...]:
    """Return what a run could have changed of a process."""
    return (process.pid, process.memory_full_info().data, process.num_fds(), process.num_threads())


@pytest.fixture
def warm(tmp_path: Path) -> Run:
    return make_run(tmp_path)


@pytest.fixture
def cold(tmp_path: Path) -> Run:
    return make_cold_run(tmp_path)


# --- the same run -----------------------------------------------------------------------------------------

LOOK = """
import gc, os, re, resource, signal, sys, threading
print(sys.argv, sys.path, sys.orig_argv, sys.executable, sys.prefix)
print(__name__, __file__, sorted(globals()), type(__loader__), sys.modules["__main__"].__dict__ is globals())
print(sorted(os.environ.items()), os.getcwd(), os.listdir(), os.getuid(), os.getgroups(), os.umask(0))
print([line for line in open("/proc/self/status") if re.match("Cap|NoNew|Seccomp|Sig[^Q]|Threads", line)])
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


@needs_sandbox
def test_the_time_limit_kills_a_run_from_a_worker(warm: Run) -> None:
    began = time.monotonic()
    result, log = warm("import time\nprint('begun')\nwhile True: time.sleep(1)", timeout_s=2)
    assert (result.status, log) == ("timeout", "begun\n")
    assert time.monotonic() - began < 30


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
    loaded = "import sys\nprint('sympy' in sys.modules, 'torch._dynamo' in sys.modules)  # by torch.optim.Adam\n"
    _, log = warm(SPIN + loaded + DONE)
    assert log.startswith("True False"), "an optimizer imports both: the second reads what a run may still set"

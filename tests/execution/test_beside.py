"""Processes that a run of ours starts beside itself, as the audit's scorer does: what they are, and what they know."""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from agent.audit.reports import MODEL_SERVER, SCORER, ScoreReport, read_report
from agent.core.runs import Job
from agent.execution.local import LocalExecutor
from tests.execution.test_zygote import LOOK
from tests.support.forked import DONE, FORKED, FOUND, make_cold_run, make_run, needs_sandbox
from tests.support.project import ROOT, copy_fixed
from tests.support.scoring import VOCAB, make_corpus, make_request

# The scorer's part: starts two processes of one command, sends each a line, and prints what they answer.
STARTS = f"""
import json, os, sys
sys.path.insert(0, {str(ROOT)!r})
from agent.execution.beside import start_beside
both = [start_beside(json.loads(sys.argv[1])) for _ in range(2)]
def exchange(line):
    for one in both:
        one.stdin.write(line)
        one.stdin.close()
        print(one.stdout.read().decode(), flush=True)
        one.wait()
"""
# Whether a text is in the memory of the process that looks; the pattern is another text.
KNOWS = r"""
import re
def knows():
    wanted = re.compile(rb"no one may[ ]know")
    for line in open("/proc/self/maps"):
        begin, end, readable = re.match(r"(\w+)-(\w+) (.)", line).groups()
        if readable == "r" and "[v" not in line:
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                memory.seek(int(begin, 16))
                if wanted.search(memory.read(int(end, 16) - int(begin, 16))):
                    return True
    return False
"""


@pytest.fixture
def both(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Return the logs of an audit's run, from a worker and without one; `beside` is what it starts beside itself."""

    def run(text: str, beside: str, **env: str) -> tuple[str, str]:
        logs = []
        for make in (make_run, make_cold_run):
            one = make(tmp_path, files={"beside.py": beside})
            result, log = one(text, wrapped(tmp_path), "no one may know", audit=True, **env)
            assert result.status == "ok", log
            logs.append(log)
        return logs[0], logs[1]

    return run


def wrapped(folder: Path) -> str:
    """Return the command of what is started beside a run in `folder`, as its argument."""
    tree = folder / "logs" / "run" / "tree"
    argv = (sys.executable, "beside.py", "an argument")
    return json.dumps(FOUND.wrap(argv, cwd=tree, readable=(tree,), writable=(), gpus=0))


@needs_sandbox
def test_it_is_the_process_that_it_would_be_of_its_own(both: Callable[..., tuple[str, str]]) -> None:
    warm, cold = both(STARTS + "exchange(b'')" + DONE, LOOK + "print(sys.stdin.read() == '')", OMP_NUM_THREADS="1")
    assert re.sub(r"pipe:\[\d+\]", "a pipe", warm) == re.sub(r"pipe:\[\d+\]", "a pipe", cold)
    assert "['beside.py', 'an argument']" in warm


@needs_sandbox
def test_the_run_that_starts_it_is_what_it_would_be_too(both: Callable[..., tuple[str, str]]) -> None:
    text = "import os\nif os.environ.pop('AUTORESEARCH_ZYGOTE', ''): os.close(3)\n"
    look = LOOK.replace('(1, "self")', '(os.getppid(), "self")')
    warm, cold = both(text + look + DONE, "")
    assert warm == cold


@needs_sandbox
def test_what_it_answers_and_how_it_ends_is_seen_by_the_run_that_started_it(
    both: Callable[..., tuple[str, str]],
) -> None:
    beside = "import sys\nprint(sys.stdin.read()[::-1])\nprint('to the log', file=sys.stderr)\nsys.exit(3)"
    for log in both(STARTS + "exchange(b'abc')" + DONE, beside):
        assert log.count("cba\n") == log.count("to the log\n") == 2


@needs_sandbox
def test_it_does_not_know_what_the_run_that_started_it_knows(both: Callable[..., tuple[str, str]]) -> None:
    """Which rows the scorer sends twice, for one: its request has the seed."""
    forked, own = both(KNOWS + STARTS + "exchange(b'')\nprint('itself', knows())" + DONE, KNOWS + "print(knows())")
    assert forked.split() == own.split() == ["False", "False", "itself", "True", "METRIC", "m=1.0"]


@needs_sandbox
def test_it_leaves_nothing_to_the_next_one_and_reaches_nobody(both: Callable[..., tuple[str, str]]) -> None:
    beside = FORKED + (
        "import json, os, sys\n"
        "print(sorted(os.listdir('/proc/self/fd')), [n for n in os.listdir('/proc') if n.isdigit() and int(n) > 3])\n"
        "print(hasattr(json, 'left'), os.path.exists('/tmp/left'), {'LEFT', 'AUTORESEARCH_ZYGOTE'} & {*os.environ})\n"
        "json.left, os.environ['LEFT'] = 1, '1'\n"
        "open('/tmp/left', 'w').close()\n"
        "for path in ('left', sys.executable, '/proc/self/exe'):\n"
        "    try:\n        open(path, 'a'); print('wrote to', path)\n"
        "    except OSError:\n        pass\n"
        "if os.fork() == 0:\n    os.setsid()\n    os.close(1)\n    import time; time.sleep(600)\n"
    )
    forked, own = both(STARTS + "exchange(b'')" + DONE, beside)
    assert forked.count("forked True\n") == own.count("forked False\n") == 2
    assert forked.count("['0', '1', '2', '3'] []\nFalse False set()\n") == 2
    assert "wrote" not in forked
    assert forked == own.replace("forked False", "forked True")


@needs_sandbox
@pytest.mark.parametrize("ending", ["import os; os.kill(os.getpid(), 9)", "while True: pass", "raise SystemExit(3)"])
def test_it_ends_with_the_run_however_that_ends(tmp_path: Path, ending: str) -> None:
    mark = f"OMP_MARK_{os.getpid()}_{time.monotonic_ns()}"
    beside = "import os, time\nif os.fork(): print('up', flush=True)\nelse: os.setsid()\ntime.sleep(600)"
    run = make_run(tmp_path, files={"beside.py": beside})
    text = STARTS + "print([one.stdout.readline() for one in both], flush=True)\n" + ending
    result, log = run(text, wrapped(tmp_path), audit=True, timeout_s=6, **{mark: "1"})
    assert result.status in ("crash", "timeout")
    assert log == "[b'up\\n', b'up\\n']\n"
    left = [p for p in psutil.process_iter(["environ", "cmdline"]) if mark in str(p.info["environ"])]
    assert ["zygote.py" in str(one.info["cmdline"]) for one in left] == [True]
    assert result.cpu_s > 0


@needs_sandbox
def test_a_limit_binds_all_of_them_together(tmp_path: Path) -> None:
    """Each of the two has half of the threads that are too many."""
    beside = "import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=[600]).start()"
    run = make_run(tmp_path, files={"beside.py": beside}, threads=60)
    result, log = run(STARTS + "both[0].wait()", wrapped(tmp_path), audit=True, timeout_s=30)
    assert result.reason == "killed: more than 60 threads at once", log


# --- the audit's own --------------------------------------------------------------------------------------

TRAIN = f"""
{FORKED}
import torch

class Config:
    pass

def build_model(config):
    return torch.nn.Embedding({VOCAB}, {VOCAB})
"""


@pytest.mark.slow
@needs_sandbox
def test_a_score_is_the_same_from_a_worker(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    (report, log), (other, own_log) = (_score(tmp_path, switch) for switch in ("1", "0"))
    assert (log.count("forked True"), own_log.count("forked False")) == (2, 2), log  # the models' processes
    assert report == other
    assert list(report.checks.values()) == ["ok"] * 7


def _score(folder: Path, switch: str) -> tuple[ScoreReport, str]:
    """Score an honest checkpoint by the real scorer, in a run of the real executor; return the report and the log."""
    out, tree = folder / "run", folder / "run" / "tree"

    def export(commit: str, tree: Path) -> None:  # noqa: ARG001
        copy_fixed(tree)
        (tree / "train.py").write_text(TRAIN)

    request = make_request(folder, folder, "honest")
    weight = torch.zeros(VOCAB, VOCAB)
    weight[:, 0] = torch.arange(VOCAB)
    torch.save({"model": {"weight": weight}, "config": {}}, request.checkpoint)
    argv = (sys.executable, str(MODEL_SERVER), request.checkpoint, "cpu", "train.py")
    shown = (tree, MODEL_SERVER, Path(request.checkpoint))
    command = FOUND.wrap(argv, cwd=tree, readable=shown, writable=(), gpus=0)
    score = (sys.executable, str(SCORER), replace(request, command=command, out=str(out)).to_json())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTORESEARCH_WORKER", switch)
        executor = LocalExecutor((), folder / "locks", export, lambda *_: None, lambda _: None, FOUND)
    [(_, result)] = executor.run([Job("1A", "c", 0, "audit", score, {}, out, 120, "m", trusted=True)])
    assert result.worker == (switch == "1")
    return read_report(result, out), Path(result.log).read_text()

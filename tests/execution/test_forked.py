"""A forked child as a run: its script ends as it would in a process of its own, and its random numbers are its own."""

from pathlib import Path

from tests.support.forked import DONE, make_cold_run, make_run, needs_sandbox

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
    "if __name__ == '__main__':\n    p = m.get_context('spawn').Process(target=f)\n"
    "    p.start(); p.join(); print(p.exitcode)",
}


@needs_sandbox
def test_every_ending_is_the_same_from_a_worker(tmp_path: Path) -> None:
    warm, cold = make_run(tmp_path), make_cold_run(tmp_path)
    for name, text in ENDINGS.items():
        (one, log), (other, own_log) = warm(text), cold(text)
        assert (one.status, one.reason, one.metrics) == (other.status, other.reason, other.metrics), name
        assert log == own_log, name


@needs_sandbox
def test_random_numbers_that_nobody_seeds_differ_from_run_to_run(tmp_path: Path) -> None:
    text = "import random, tempfile, numpy\nprint(random.random(), numpy.random.rand(), tempfile.mktemp())" + DONE
    run = make_run(tmp_path)
    numbers = [run(text)[1].split()[:3] for _ in range(2)]
    assert all(one != other for one, other in zip(*numbers, strict=True)), numbers

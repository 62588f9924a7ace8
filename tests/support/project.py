"""A small experiment repository in a folder: real git, the real issue, and a script that ends at once or on command.

The script has the constants of the real train.py, so shapes resolve; its body is a stand-in whose metric depends on
the constants and the seed only. `MODE` chooses how it ends.
"""

import ast
import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import forkserver, needs

ROOT = Path(__file__).parents[2]
PIPES: dict[str, Any] = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
ISSUE = "experiments/issues/0003-depth-vs-width.md"

BODY = """
MODE = "ok"  # ok, crash, hang, nan, silent, oom, flood, orphan
SIGMA = 0.001  # of the metric, from seed to seed
PAUSE = 0.0  # seconds that a run takes besides

import hashlib, json, os, subprocess, sys, time
from pathlib import Path

GAIN = {(8, 96): 0.05, (10, 64): 0.02}  # what a shape gains over the baseline


def main():
    run_dir = Path(os.environ["AUTORESEARCH_RUN_DIR"])
    seed = int(os.environ.get("AUTORESEARCH_SEED", "0"))
    digest = hashlib.sha256(f"{DEPTH} {ASPECT_RATIO} {seed}".encode()).digest()
    noise = sum(digest[:12]) / (12 * 255) - 0.5
    value = 1.5 - GAIN.get((DEPTH, ASPECT_RATIO), 0.0) + SIGMA * noise
    print("step 00001 | 50.0% | loss 2.5000 | 1,000 tok/s | eta 0s", flush=True)
    if MODE == "crash":
        raise RuntimeError("an error with info, inf and nan in its text")
    if MODE == "hang":
        time.sleep(600)
    if MODE == "oom":
        (run_dir / "failure.json").write_text(json.dumps({"status": "oom", "reason": "out of memory"}))
        sys.exit(12)
    if MODE == "flood":
        for _ in range(40):
            print("x" * 1_000_000)
    if MODE == "orphan":
        subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); os.fork(); time.sleep(600)"])
        time.sleep(0.3)
    time.sleep(PAUSE)
    metrics = {"step_seconds": 0.01 * DEPTH, "tokens_per_second": 1000.0, "peak_vram_mb": 512.0, "total_tokens_M": 0.1}
    if not os.environ.get("AUTORESEARCH_PROBE"):
        metrics["val_bpb"] = float("nan") if MODE == "nan" else value
    if MODE != "silent":
        (run_dir / "result.json").write_text(json.dumps({"schema": 1, "metrics": metrics, "phases": {"train": 0.01}}))


if __name__ == "__main__":
    main()
"""

PREPARE_BODY = """
import json, os, sys

if __name__ == "__main__":
    name = sys.argv[sys.argv.index("--corpus") + 1]
    if name.startswith("missing"):
        from pathlib import Path
        told = f"corpus {name} cannot be had offline; at hand: stdlib"
        (Path(os.environ["AUTORESEARCH_RUN_DIR"]) / "failure.json").write_text(
            json.dumps({"status": "corpus", "reason": told})
        )
        sys.exit(10)
    print(json.dumps({"corpus": name, "fingerprint": "f" * 64}))
"""


def constants_of(path: Path, *names: str) -> str:
    """The text of a real file's top-level literal assignments (all, or those named)."""
    text = path.read_text()
    kept = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            literal = not any(isinstance(part, ast.Name) for part in ast.walk(node.value))
            if name.isupper() and literal and (not names or name in names):
                kept.append("\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]))
    return "\n".join(kept) + "\n"


def git(folder: Path, *args: str) -> str:
    """Run git in a folder, as somebody who is not the harness, on a fixed date: the same project, the same commits."""
    identity = ["-c", "user.name=A Researcher", "-c", "user.email=researcher@localhost"]
    date = "2026-01-01T00:00:00+00:00"
    env = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    run = subprocess.run(["git", *identity, *args], cwd=folder, capture_output=True, text=True, check=True, env=env)
    return run.stdout.strip()


def make(folder: Path) -> Path:
    """Create the repository with one commit and return its folder."""
    shutil.copytree(_template(), folder, dirs_exist_ok=True)
    return folder


@cache
def _template() -> Path:
    """What `make` copies: git takes a second for it on a busy machine, a copy does not."""
    folder = Path(tempfile.mkdtemp(prefix="autoresearch-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "train.py").write_text(constants_of(ROOT / "train.py") + BODY)
    facts = constants_of(ROOT / "fixed" / "settings.py", "PROFILES")
    peaks = constants_of(ROOT / "fixed" / "evaluate.py", "PEAK_FLOPS")
    (folder / "prepare.py").write_text(facts + peaks + PREPARE_BODY)
    for path in (ISSUE, "experiments/main/track.toml", ".gitignore"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    git(folder, "init", "--quiet", "--initial-branch=main")
    shutil.rmtree(folder / ".git" / "hooks")  # samples
    commit(folder, "A stand-in for the main track")
    return folder


def copy_fixed(folder: Path) -> None:
    """Copy what no experiment edits of the real repository: prepare.py and fixed/."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "prepare.py", folder)
    shutil.copytree(ROOT / "fixed", folder / "fixed", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def commit(folder: Path, message: str) -> str:
    """Commit everything in the folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def edit(folder: Path, path: str, old: str, new: str) -> None:
    """Replace text in a file of the project; the text must be there."""
    text = (folder / path).read_text()
    assert old in text, f"{old!r} is not in {path}"
    (folder / path).write_text(text.replace(old, new))


def agent(
    folder: Path, *args: str, env: dict[str, str] | None = None, timeout: float = 300, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the real command line in a folder, as a user would; `fresh` says that a fork will not do."""
    return _ended(start(folder, *args, env=env, fresh=fresh), timeout)


def start(folder: Path, *args: str, env: dict[str, str] | None = None, fresh: bool = False) -> subprocess.Popen[str]:
    """Start the real command line in a folder, with pipes for what it prints: a fork where one will do."""
    argv = command(*args, *without_sandbox(args, env or {}))
    return forkserver.popen(argv, env=environment(folder, env), cwd=folder, fresh=fresh, **PIPES)


def without_sandbox(args: tuple[str, ...], env: dict[str, str]) -> list[str]:
    """Where no sandbox works, what a test tries is not the sandbox: stand-ins run without. A PATH of its own is."""
    runs = not {"--plan", "--status", "--report", "--no-sandbox"} & {*args} and {"--issue", "--queue"} & {*args}
    return ["--no-sandbox"] if runs and "PATH" not in env and needs.SANDBOX.level == "none" else []


def python(
    script: Path, *args: str, env: dict[str, str], cwd: Path = Path(), timeout: float = 300, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a script that may import torch, to its end: a fork where one will do."""
    argv = [sys.executable, str(script), *args]
    return _ended(forkserver.popen(argv, env=env, cwd=cwd.absolute(), fresh=fresh, **PIPES), timeout)


def _ended(program: subprocess.Popen[str], timeout: float) -> subprocess.CompletedProcess[str]:
    with program:
        try:
            out, errors = program.communicate(timeout=timeout)
        except BaseException:
            program.kill()
            raise
    return subprocess.CompletedProcess(program.args, program.returncode, out, errors)


def command(*args: str) -> list[str]:
    """The argv of the real command line."""
    return [sys.executable, str(ROOT / "agent" / "run.py"), *args]


def environment(folder: Path, extra: dict[str, str] | None = None) -> dict[str, str]:
    """The caller's environment with a cache of the project's own and no device."""
    own = {
        "AUTORESEARCH_CACHE": str(folder.parent / f"{folder.name}-cache"),
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "120",
    }
    return {**os.environ, **own, **(extra or {})}

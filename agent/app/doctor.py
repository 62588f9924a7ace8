"""What this machine and this repository have and lack (--doctor), and whether ledger and git agree (--verify)."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agent.core.experiment import BASELINE
from agent.core.frozen import frozen
from agent.core.runs import Job
from agent.execution import sandbox
from agent.execution.local import LocalExecutor
from agent.execution.machine import Machine, torch_version
from agent.execution.sandbox import Sandbox
from agent.store.baseline import baseline_branch
from agent.store.ledger import Ledger
from agent.store.repository import Repository

_CUDA_PROBE = "import torch; torch.zeros(8, device='cuda').sum().item(); print(torch.cuda.get_device_name())"


@frozen
class Finding:
    """What was looked at and what it is like; `advice` says what to do where that is not `ok`."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def examine(machine: Machine, cache: Path, python: str) -> list[Finding]:
    """Return what a campaign needs and what is there of it. A GPU is probed by using it: nvidia-smi proves nothing."""
    torch, box = torch_version(), sandbox.probe()
    findings = [Finding("torch", torch is not None, torch or "not installed", 'pip install -e ".[dev]"')]
    findings += _gpus(machine, cuda_probe(python, box), box)
    findings.append(Finding("processor", True, f"{machine.name}, {machine.memory_mb:,} MB of memory"))
    findings.append(Finding("git", True, version_of("git")))
    findings.append(Finding("sandbox", box.level != "none", f"{box.name}: {box.reason}", box.advice))
    findings.append(Finding("runs", True, _where_runs_come_from(machine, box, python)))
    prepared = sorted(path.parent.name for path in cache.glob("*/meta.json"))
    findings.append(Finding("corpora", True, f"prepared in {cache}: {', '.join(prepared) or 'none yet'}"))
    free = shutil.disk_usage(next(p for p in (cache, *cache.parents) if p.exists())).free >> 30
    findings.append(
        Finding("disk", free >= 5, f"{free} GiB free beside the cache", "token files and checkpoints need room")
    )
    return findings


def cuda_probe(python: str, box: Sandbox) -> tuple[str, ...]:
    """Return the command that uses the GPU as a run would: inside the sandbox where there is one."""
    argv = (python, "-c", _CUDA_PROBE)
    return box.wrap(argv, cwd=Path("/tmp"), readable=(), writable=(), gpus=1)  # /tmp is one of its own


def _where_runs_come_from(machine: Machine, box: Sandbox, python: str) -> str:
    """Return whether a run is forked from a warm worker: where that may be, one is tried."""
    own = "processes of their own (docs/sandbox.md says when)"
    if machine.gpus or box.level == "none":
        return own
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        folder = Path(name)
        job = Job("trial", "", 0, "prepare", (python, "trial.py"), {}, folder / "run", 60, "", gpus=0)
        executor = LocalExecutor((), folder, _export_trial, lambda *_: None, lambda _: None, box)
        [(_, result)] = executor.run([job])
    return "forked from a warm worker" if result.worker else own


def _export_trial(_: str, tree: Path) -> None:
    tree.mkdir()
    (tree / "trial.py").write_text("", encoding="utf-8")


def _gpus(machine: Machine, argv: Sequence[str], box: Sandbox) -> list[Finding]:
    if not machine.gpus:
        return [Finding("GPU", True, "none: campaigns run on the processor with profile mini, 1/8 of the width")]
    names = ", ".join(f"{gpu.name} ({_megabytes(gpu.memory_mb)})" for gpu in machine.gpus)
    try:
        probe = subprocess.run(argv, capture_output=True, encoding="utf-8", errors="replace", timeout=120, check=False)
        ok, answer = probe.returncode == 0, (probe.stderr.strip().splitlines() or ["no output"])[-1]
    except subprocess.TimeoutExpired:
        ok, answer = False, "no answer in 120 s"
    where = "" if box.level == "none" else " inside the sandbox"
    return [Finding("GPU", ok, names, f"torch cannot use it{where}: {answer}; or take --profile mini")]


def _megabytes(size: int | None) -> str:
    return "memory unknown" if size is None else f"{size:,} MB"


def version_of(program: str) -> str:
    """Return the first line of `program --version`."""
    run = subprocess.run(
        [program, "--version"], capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=False
    )
    return run.stdout.partition("\n")[0]


def verify(repo: Repository, ledger: Ledger) -> list[str]:
    """Return where ledger and git disagree, a line each. (Checksums were checked on loading.)"""
    problems = [line for run in ledger.runs() for line in _run(repo, run.commit, run.tree, run.variant, run.seed)]
    for campaign in ledger.campaigns():
        for name, commit in campaign.commits.items():
            ref = f"autoresearch/issue-{campaign.issue}/{name}"
            kept = (ref, f"{ref}-{commit[:7]}")
            if name != BASELINE and all(repo.resolve(f"refs/heads/{known}") != commit for known in kept):
                problems.append(f"branch {ref} does not name {commit[:7]}, which the ledger says it does")
    for track in {campaign.conditions.track for campaign in ledger.campaigns()}:
        problems += _baseline(repo, ledger, track)
    return list(dict.fromkeys(problems))


def _run(repo: Repository, commit: str, tree: str, variant: str, seed: int) -> list[str]:
    if repo.resolve(commit) is None:
        return [f"{variant} seed {seed}: its commit {commit[:7]} is not in git"]
    if repo.tree(commit) != tree:
        return [f"{variant} seed {seed}: commit {commit[:7]} has another tree than the ledger says"]
    return []


def _baseline(repo: Repository, ledger: Ledger, track: str) -> list[str]:
    tip, promoted = repo.resolve(f"refs/heads/{baseline_branch(track)}"), ledger.promotions(track)
    if tip is None:
        return [f"branch {baseline_branch(track)} is missing"]
    if promoted and not repo.is_ancestor(promoted[-1].new, tip):
        return [
            f"branch {baseline_branch(track)} is at {tip[:7]}; the last promotion moved it to {promoted[-1].new[:7]}"
        ]
    return []

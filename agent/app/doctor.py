"""What this machine and this repository have and lack (--doctor), and whether ledger and git agree (--verify)."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.experiment import BASELINE
from agent.execution import sandbox
from agent.execution.machine import Machine
from agent.execution.sandbox import Sandbox
from agent.store.baseline import baseline_branch
from agent.store.ledger import Ledger
from agent.store.repository import Repository

_CUDA_PROBE = "import torch; torch.zeros(8, device='cuda').sum().item(); print(torch.cuda.get_device_name())"


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `advice` says what to do where it is not `well`."""

    name: str
    well: bool
    told: str
    advice: str = ""


def examine(machine: Machine, cache: Path, python: str) -> list[Finding]:
    """Look at everything a campaign needs. A GPU is probed by using it: nvidia-smi working proves nothing."""
    torch, walls = machine.torch, sandbox.probe()
    found = [Finding("torch", torch is not None, torch or "not installed", 'pip install -e ".[dev]"')]
    found += _gpus(machine, cuda_probe(python, walls), walls)
    found.append(Finding("processor", True, f"{machine.name}, {machine.memory_mb:,} MB of memory"))
    found.append(Finding("git", True, version_of("git")))
    found.append(Finding("sandbox", walls.level != "none", f"{walls.name}: {walls.reason}", walls.advice))
    prepared = sorted(path.parent.name for path in cache.glob("*/meta.json"))
    told = f"prepared in {cache}: {', '.join(prepared) or 'none yet'}"
    found.append(Finding("corpora", True, told))
    free = shutil.disk_usage(next(p for p in (cache, *cache.parents) if p.exists())).free >> 30
    found.append(
        Finding("disk", free >= 5, f"{free} GiB free beside the cache", "token files and checkpoints need room")
    )
    return found


def cuda_probe(python: str, walls: Sandbox) -> tuple[str, ...]:
    """The command that uses the GPU as a run would: inside the sandbox where there is one."""
    argv = (python, "-c", _CUDA_PROBE)
    return walls.wrap(argv, cwd=Path("/tmp"), readable=(), writable=(), gpus=1)  # /tmp is one of its own


def _gpus(machine: Machine, argv: Sequence[str], walls: Sandbox) -> list[Finding]:
    if not machine.gpus:
        return [Finding("GPU", True, "none: campaigns run on the processor with profile mini, 1/8 of the width")]
    told = ", ".join(f"{gpu.name} ({_megabytes(gpu.memory_mb)})" for gpu in machine.gpus)
    try:
        probe = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        well, words = probe.returncode == 0, (probe.stderr.strip().splitlines() or ["no output"])[-1]
    except subprocess.TimeoutExpired:
        well, words = False, "no answer in 120 s"
    where = "" if walls.level == "none" else " inside the sandbox"
    return [Finding("GPU", well, told, f"torch cannot use it{where}: {words}; or take --profile mini")]


def _megabytes(size: int | None) -> str:
    return "memory unknown" if size is None else f"{size:,} MB"


def version_of(program: str) -> str:
    """The first line of `program --version`."""
    run = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
    return run.stdout.partition("\n")[0]


def verify(repo: Repository, ledger: Ledger) -> list[str]:
    """Where ledger and git disagree, a line each; empty when all is well. (Checksums were checked on loading.)"""
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
    here, promoted = repo.resolve(f"refs/heads/{baseline_branch(track)}"), ledger.promotions(track)
    if here is None:
        return [f"branch {baseline_branch(track)} is missing"]
    if promoted and not repo.is_ancestor(promoted[-1].new, here):
        return [
            f"branch {baseline_branch(track)} is at {here[:7]}; the last promotion moved it to {promoted[-1].new[:7]}"
        ]
    return []

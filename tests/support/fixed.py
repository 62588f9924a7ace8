"""Small corpora and runs for the tests of fixed/."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from fixed import dataset, runtime, settings

ROOT = Path(__file__).parents[2]
VOCAB = 300  # of the small tokenizer: BOS, 256 bytes, 43 merges


def environment(**more: str) -> dict[str, str]:
    """The caller's environment without its own AUTORESEARCH settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTORESEARCH_")}
    return {**kept, "AUTORESEARCH_PROFILE": "mini", **more}


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "prepare.py"), *arguments]
    return subprocess.run(argv, env=environment(**more), capture_output=True, text=True, timeout=120)


def read(cache: Path, corpus: str, **more: str) -> settings.Settings:
    return settings.read_settings(environment(AUTORESEARCH_CACHE=str(cache), AUTORESEARCH_CORPUS=corpus, **more))


def cpu_run(cache: Path, **more: str) -> runtime.Run:
    """A run on the CPU that needs no corpus."""
    chosen = settings.read_settings(environment(AUTORESEARCH_CACHE=str(cache), **more))
    corpus = dataset.Prepared(cache, "none", "mini", "0" * 64, 1024, 256, 1, 1, 1)
    return runtime.Run(chosen, corpus, torch.device("cpu"))

"""A run on this machine: its folder, its phases, its device and what that is called."""

import os
import platform
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from fixed import loader
from fixed.dataset import Prepared, prepare
from fixed.result import bad_setting
from fixed.settings import Settings, read_settings
from fixed.work import Work, count_passes

if TYPE_CHECKING:
    import torch


@dataclass
class Run:
    """One training run: what was asked for, the corpus, the seconds each phase took, how it was done, what it took."""

    settings: Settings
    corpus: Prepared
    device: "torch.device"
    phases: dict[str, float] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)
    work: Work = field(default_factory=Work)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the seconds spent inside to the phase `name`."""
        start = time.perf_counter()
        yield
        self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - start

    def batches(self, rows: int, length: int | None = None) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
        """Yield (tokens, targets) for ever, int64 of (rows, T): see loader.batches."""
        for batch in loader.batches(self.corpus, rows, self.settings.seed, self.device, length):
            self.work.draw(batch[0].numel())
            yield batch

    def token_bytes(self) -> "torch.Tensor":
        """Return the raw bytes of each token, int64 of (vocab,): what a loss may weigh it by. A special token has 0."""
        import torch

        return torch.from_numpy(self.corpus.token_bytes()).to(self.device)


def begin(settings: Settings | None = None, prepare: Callable[[Settings], Prepared] = prepare) -> Run:
    """Read the settings, make the run's folder, have the corpus ready, seed everything. Raises RunFailure."""
    import torch

    settings = settings or read_settings()
    if settings.profile == "full" and not torch.cuda.is_available():
        raise bad_setting("AUTORESEARCH_PROFILE='full': expected a CUDA device, and there is none; use 'mini'")
    try:
        settings.run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_setting(f"AUTORESEARCH_RUN_DIR={str(settings.run_dir)!r}: expected a folder ({error})") from error
    for name in ("result.json", "failure.json"):  # of an earlier run in the same folder
        (settings.run_dir / name).unlink(missing_ok=True)
    device = torch.device("cuda" if settings.profile == "full" else "cpu")
    os.environ.setdefault(
        "TORCHINDUCTOR_CACHE_DIR", str(settings.compile_cache / "inductor")
    )  # shared by a machine's runs
    os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")  # ask the processor what it can do, not 8 s of trials
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    corpus = prepare(settings)
    torch.manual_seed(settings.seed)  # and what else an experiment may draw from
    random.seed(settings.seed)
    np.random.seed(settings.seed % 2**32)
    run = Run(settings, corpus, device)
    count_passes(run.work)
    return run


def machine_name(device: "torch.device") -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def peak_memory_mb(device: "torch.device") -> float:
    """The most memory held at once: of the device's allocator on CUDA, of this process (resident) on a CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage counts what the parent held when it started us
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, kilobytes elsewhere
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def seconds_since_start() -> float:
    """Wall seconds since this process was started, before its first import."""
    return time.time() - psutil.Process().create_time()

"""What this machine has: accelerators, a name for the ledger, a folder for shared state. Never imports torch."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

from agent.core import Profile


@dataclass(frozen=True)
class Gpu:
    """One CUDA device: its index for CUDA_VISIBLE_DEVICES, its name, its memory in MB."""

    index: int
    name: str
    memory_mb: int


@dataclass(frozen=True)
class Machine:
    """`name` tells machines apart in the ledger: two machines of one name are taken to be equally fast."""

    name: str
    gpus: tuple[Gpu, ...]
    cores: int
    memory_mb: int

    @property
    def profile(self) -> Profile:
        """The profile that this machine runs unless told otherwise."""
        return "full" if self.gpus else "mini"

    def name_for(self, profile: Profile) -> str:
        """What the numbers of a profile were measured on: the GPU for `full`, the processor for `mini`."""
        return self.gpus[0].name if profile == "full" and self.gpus else self.name


def _gpus() -> tuple[Gpu, ...]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    gpus = tuple(
        Gpu(index, str(pynvml.nvmlDeviceGetName(handle)), int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) >> 20)
        for index, handle in enumerate(handles)
    )
    pynvml.nvmlShutdown()
    return _visible(gpus)


def _visible(gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Those that CUDA_VISIBLE_DEVICES leaves, where it names devices by index."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return gpus
    indices = [int(part) for part in shown.split(",") if part.strip().isdigit()]
    return tuple(gpus[index] for index in indices if index < len(gpus))


def _processor() -> str:
    """The processor's name as the kernel gives it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def detect() -> Machine:
    """Look at the machine; a driver without a device counts as no GPU."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    memory_mb = psutil.virtual_memory().total >> 20
    return Machine(f"{_processor()}, {cores} cores", _gpus(), cores, memory_mb)


def cache() -> Path:
    """The folder for what all clones on this machine share: token files, compiled code, device locks."""
    return Path(os.environ.get("AUTORESEARCH_CACHE") or Path.home() / ".cache" / "autoresearch")

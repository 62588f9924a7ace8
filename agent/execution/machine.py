"""What this machine has: accelerators, a name for the ledger, a folder for shared state. Never imports torch."""

import ctypes
import os
import platform
import tempfile
from pathlib import Path

from agent.core.errors import BadInput
from agent.core.experiment import Profile
from agent.core.frozen import frozen


@frozen
class Gpu:
    """One CUDA device: its index in the order of the PCI bus, its name, its memory in MB (None: unknown)."""

    index: int
    name: str
    memory_mb: int | None
    uuid: str = ""


@frozen
class Machine:
    """`name` tells machines apart in the ledger: two machines of one name are taken to be equally fast.

    `hidden` names the devices that the driver has and CUDA_VISIBLE_DEVICES keeps from us.
    """

    name: str
    gpus: tuple[Gpu, ...]
    cores: int
    memory_mb: int
    hidden: tuple[str, ...] = ()

    @property
    def profile(self) -> Profile:
        """The profile that this machine runs unless a command names another."""
        return "full" if self.gpus else "mini"

    def name_for(self, profile: Profile, torch: str | None) -> str:
        """Return what the numbers of a profile were measured on: the GPU or the processor, and torch (its speed).

        torch: its version; None where it is not installed.
        """
        device = self.gpus[0].name if profile == "full" and self.gpus else self.name
        return device if torch is None else f"{device}, torch {torch}"


def _gpus() -> tuple[Gpu, ...]:
    """The devices that the driver answers for; none where there is no driver, or it is broken."""
    if not _has_driver():
        return ()
    import pynvml  # of no use to a machine without a driver, and a tenth of a command's start

    try:
        pynvml.nvmlInit()
        gpus = tuple(_gpu(index) for index in range(pynvml.nvmlDeviceGetCount()))
        pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return ()
    return gpus


def _has_driver() -> bool:
    """Return whether NVIDIA's library can be loaded: the first of what pynvml does."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def _gpu(index: int) -> Gpu:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Gpu(index, str(pynvml.nvmlDeviceGetName(handle)), _memory_mb(handle), str(pynvml.nvmlDeviceGetUUID(handle)))


def _memory_mb(handle: object) -> int | None:
    """A device that shares the host's memory has none of its own to tell."""
    import pynvml

    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) >> 20
    except pynvml.NVMLError:
        return None


def visible(gpus: tuple[Gpu, ...], shown: str | None) -> tuple[Gpu, ...]:
    """Those that CUDA_VISIBLE_DEVICES (None: unset) leaves: indices or beginnings of UUIDs, up to the first unknown."""
    if shown is None:
        return gpus
    chosen = []
    for part in map(str.strip, shown.split(",")):
        match = [
            gpu for gpu in gpus if part == str(gpu.index) or (part.startswith("GPU-") and gpu.uuid.startswith(part))
        ]
        if not match:
            break
        chosen.append(match[0])
    return tuple(chosen)


def _processor() -> str:
    """The processor's name as the kernel gives it, else its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()  # the second starts a program to know


def detect() -> Machine:
    """Look at the machine; a driver without a device counts as no GPU."""
    import psutil  # where a machine is looked at, and not in every test that names one

    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    memory_mb = psutil.virtual_memory().total >> 20
    every = _gpus()
    shown = visible(every, os.environ.get("CUDA_VISIBLE_DEVICES"))
    hidden = tuple(gpu.name for gpu in every if gpu not in shown)
    return Machine(f"{_processor()}, {cores} cores", shown, cores, memory_mb, hidden)


def torch_version() -> str | None:
    """Return the version of torch that is installed beside us, None where it is not."""
    from importlib.metadata import PackageNotFoundError, version  # with email.message; a look at an answer needs none

    try:
        return version("torch")
    except PackageNotFoundError:
        return None


def expanded(what: str, path: str) -> Path:
    """Return a path that may begin with `~`. Raises BadInput at `what` where that is nobody's home."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise BadInput(f"{path!r}: {error}", where=what, next_step="give the whole path") from None


def folder(variable: str) -> Path | None:
    """The folder that an environment variable names, or None."""
    named = os.environ.get(variable)
    return expanded(variable, named).resolve() if named else None


def cache() -> Path:
    """The folder for what all clones of a user share: token files and compiled code."""
    return folder("AUTORESEARCH_CACHE") or Path.home() / ".cache" / "autoresearch"


def locks() -> Path:
    """The folder for device locks: one for all users and caches of the machine."""
    return Path(tempfile.gettempdir()) / "autoresearch-locks"

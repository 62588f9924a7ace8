"""Run jobs on this machine: one at a time on each GPU, or on the processor where there is none."""

import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from threading import Lock

from agent.core.frozen import frozen
from agent.core.runs import Job, Result
from agent.execution.folders import fresh_folder
from agent.execution.locks import exclusive
from agent.execution.machine import Gpu
from agent.execution.process import LIMITS, Limits, RunningJob
from agent.execution.sandbox import Sandbox
from agent.execution.worker import Workers


@frozen
class _Slot:
    """A place where one run at a time may go: a device and the environment that leads there."""

    device: str
    env: dict[str, str]


def _slot(gpu: Gpu) -> _Slot:
    """A device is locked by its UUID: its index depends on who looks."""
    shown = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu.index)}
    return _Slot(gpu.uuid or f"gpu-{gpu.index}", shown)


def _processor(number: int) -> _Slot:
    """A share of the processor. The first is what another harness, too, takes for the whole of it."""
    return _Slot(f"cpu-{number}" if number else "cpu", {})


class LocalExecutor:
    """GPU slots of one machine. A device is locked for the length of a run, against other harnesses too."""

    def __init__(
        self,
        gpus: Sequence[Gpu],
        locks: Path,
        export: Callable[[str, Path], None],
        on_line: Callable[[Job, str], None],
        on_wait: Callable[[str], None],
        sandbox: Sandbox,
        limits: Limits = LIMITS,
        at_once: int = 1,
    ) -> None:
        """Without `gpus` jobs run on the processor, `at_once` at a time.

        `locks` is the folder of the device locks, `export` writes a commit into a folder, `on_line` gets a run's
        output, `on_wait` who holds a device; `sandbox` and `limits` are what every run gets (no sandbox
        where it is trusted).
        """
        self._sandbox, self._limits = sandbox, limits
        self.workers = None if gpus else Workers()  # on CUDA each run is a process of its own
        self._locks = locks
        self._export, self._on_line, self._on_wait = export, on_line, on_wait
        self._free: queue.Queue[_Slot] = queue.Queue()
        for slot in [_slot(gpu) for gpu in gpus] or [_processor(number) for number in range(at_once)]:
            self._free.put(slot)
        self.slots = self._free.qsize()
        self._running: list[RunningJob] = []
        self._starting = Lock()
        self._stopped = False

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Result]]:
        """Yield each job with its result as it completes. When the caller leaves early, what runs is killed."""
        self._stopped = False
        with ThreadPoolExecutor(max_workers=self.slots) as pool:
            futures: dict[Future[Result], Job] = {pool.submit(self._one, job): job for job in jobs}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                self._stop(futures)

    def _stop(self, futures: dict[Future[Result], Job]) -> None:
        with self._starting:
            self._stopped = True
            for running in self._running:
                running.kill()
        for future in futures:
            future.cancel()

    def _one(self, job: Job) -> Result:
        if job.gpus == 0:
            return self._in(_Slot("none", {}), job)
        slot, named = self._free.get(), set[str]()

        def wait(holder: str) -> bool:
            """Go on waiting for the device unless the campaign was stopped; name each holder once."""
            if holder not in named:
                named.add(holder)
                self._on_wait(holder)
            return not self._stopped

        try:
            with exclusive(self._locks / f"{slot.device}.lock", f"{job.variant} in {job.run_dir}", wait):
                return self._in(slot, job)
        finally:
            self._free.put(slot)

    def _in(self, slot: _Slot, job: Job) -> Result:
        """Export the job's commit into a fresh run folder and run it there; its results stay, without the export."""
        tree = fresh_folder(job.run_dir) / "tree"
        self._export(job.commit, tree)
        with self._starting:
            if self._stopped:
                return Result("crash", reason="stopped before it began")
            placed = replace(job, env={**job.env, **slot.env})
            running = RunningJob(placed, tree, self._sandbox, self._limits, self.workers)
            self._running.append(running)
        result = running.wait(lambda line: self._on_line(job, line))
        self._running.remove(running)
        return result

"""What is compiled and what is timed on this machine, each once, and remembered in the cache."""

import hashlib
import json
import os
import shutil
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixed.dataset import VERSION
from fixed.result import is_out_of_memory, write_json
from fixed.runtime import Run, machine_name

if TYPE_CHECKING:
    import torch

REHEARSED_PASSES = 4  # backward passes of a rehearsal that no budget is charged for: it takes one


def compile(
    run: Run,
    model: Any,
    functions: tuple[Callable[..., Any], ...],
    rehearse: Callable[..., None],
    tuned: Mapping[str, Any],
) -> tuple[Callable[..., Any], ...]:
    """Return `functions`, compiled and warmed up where that pays (see `compiling_pays`), else as they are.

    rehearse: makes one optimizer step with the functions that it is given, on made-up data; the weights of `model` are
    put back after it. tuned: has device_batch (rows at once), attention (the names of fixed.attention.KERNELS that the
    short windows may take: the fastest on this machine is kept), compile_warm and compile_cold (seconds of budget).
    """
    import torch

    facts = [asdict(model.config), tuned["device_batch"]]
    if not compiling_pays(run, facts, warm_s=tuned["compile_warm"], cold_s=tuned["compile_cold"]):
        return functions
    with run.phase("compile"):
        passes = run.work.passes
        _choose_attention(run, model, tuned["device_batch"], tuned["attention"])
        run.work.passes = passes  # the trials are ours
        compiled = tuple(torch.compile(function, dynamic=False) for function in functions)
        weights = {name: value.to("cpu", copy=True) for name, value in model.state_dict().items()}  # spares the device
        rehearse(*compiled)
        run.work.passes = max(passes, run.work.passes - REHEARSED_PASSES)
        model.load_state_dict(weights)
        write_json(known_file(run, "compiled", facts), facts)
    return compiled


def logits_by_graph(graph: Callable[..., Any], model: Any, tokens: "torch.Tensor") -> "torch.Tensor":
    """Return the logits by way of the compiled training graph, (loss, logits) of (model, tokens, embedded, targets)."""
    import torch

    with torch.enable_grad():  # without it, or with one tensor given twice, the graph would be another one
        logits: torch.Tensor = graph(model, tokens, model.embedded(tokens), tokens.clone())[1]
    return logits


def _choose_attention(run: Run, model: Any, rows: int, names: tuple[str, ...]) -> None:
    """Give the short windows of a model the fastest kernel of `names`, as measured on this machine for this shape."""
    from fixed import attention  # loads torch

    if min(model.config.windows) < model.config.sequence_length:
        trials = {name: attention.trial(model.config, rows, run.device, name) for name in names}
        name = autotune(run, "attention", [asdict(model.config), rows], trials)
        attends = attention.by_window(model.config, run.device, name)
        for each in (block.attention for block in model.blocks):
            each.attend = attends.get(each.window, each.attend)


def compiling_pays(run: Run, facts: object, *, warm_s: float, cold_s: float) -> bool:
    """Return whether to compile: what AUTORESEARCH_COMPILE says, else whether the budget is long enough for it.

    facts: what the graph depends on (JSON). The budget must reach `warm_s` seconds where such a graph was compiled
    on this machine before, and `cold_s` where not; one of steps or tokens counts as none.
    """
    budget_s = run.settings.amount if run.settings.kind == "seconds" else 0.0
    pays = budget_s >= (warm_s if known_file(run, "compiled", facts).exists() else cold_s)
    chosen = pays if run.settings.compile is None else run.settings.compile
    able = can_compile(run.device)
    if chosen and not able:
        print("not compiled: there is no compiler, or Python's headers are missing", flush=True)
    run.notes["compiled"] = chosen and able
    return chosen and able


def autotune(run: Run, what: str, facts: object, trials: Mapping[str, Callable[[], None]]) -> str:
    """Return the name of the trial that takes the least time; measured once for a machine and `facts`, then looked up.

    A trial that this device cannot run is left out. Raises RuntimeError where none can, or memory runs out.
    """
    if len(trials) == 1:
        return next(iter(trials))
    path = known_file(run, what, [facts, sorted(trials)])
    seconds = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else trial_seconds(trials, run.device)
    if not seconds:
        raise RuntimeError(f"{what}: none of {', '.join(trials)} runs on {machine_name(run.device)}")
    write_json(path, seconds)
    run.notes[what] = {"chosen": min(seconds, key=seconds.__getitem__), "seconds": seconds}
    return min(seconds, key=seconds.__getitem__)


def known_file(run: Run, what: str, facts: object) -> Path:
    """Return the file in the cache that holds what is known of `facts` on this machine."""
    import torch

    text = json.dumps([VERSION, machine_name(run.device), torch.__version__, facts])
    folder = run.settings.compile_cache / what
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def can_compile(device: "torch.device") -> bool:
    """Return whether torch can compile here: it needs a compiler (on CUDA Triton's, for C) and Python's headers."""
    names = ("CC", "gcc", "clang", "cc") if device.type == "cuda" else ("CXX", "g++")
    compiler = any(shutil.which(os.environ.get(name) or name) for name in names)
    return compiler and Path(sysconfig.get_path("include"), "Python.h").is_file()


def trial_seconds(trials: Mapping[str, Callable[[], None]], device: "torch.device") -> dict[str, float]:
    """Return the seconds of each trial that runs, the best of ten after three that compile and fill caches."""
    import torch

    seconds = {}
    for name, trial in trials.items():
        try:
            seconds[name] = min([_seconds(trial, device) for _ in range(13)][3:])
        except (RuntimeError, ImportError, AssertionError) as error:
            if is_out_of_memory(error):  # it might run when nobody else is on the device
                raise
            print(f"{name} does not run here: {repr(error).splitlines()[0][:200]}", flush=True)
    if device.type == "cuda":  # what the trials took is no part of the run's peak
        torch.cuda.reset_peak_memory_stats()
    return seconds


def _seconds(work: Callable[[], None], device: "torch.device") -> float:
    import torch

    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began

"""Where the number is made: the checkpoint, the held-out score in bits per byte, and the metrics of a run."""

import inspect
import math
import platform
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import TYPE_CHECKING

import numpy as np

from fixed.clock import BudgetClock
from fixed.dataset import EvalSet
from fixed.result import SCHEMA, SUMMARY, bad_setting, is_out_of_memory, not_finite, summary, write_json
from fixed.runtime import Run, machine_name, peak_memory_mb, seconds_since_start

if TYPE_CHECKING:
    import torch

# Dense bf16 FLOP/s from the makers' data sheets, by a part of the device's name; the first that fits counts.
PEAK_FLOPS = {
    "B200": 2250e12, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "A100": 312e12,
    "L40S": 362e12, "RTX 4090": 165e12,
}  # fmt: skip


def evaluate(
    run: Run,
    clock: BudgetClock,
    model: "Callable[[torch.Tensor], torch.Tensor]",
    *,
    weights: "Mapping[str, torch.Tensor]",
    config: Mapping[str, object],
    batch: int,
    flops_per_token: int,
) -> None:
    """Save a checkpoint, score `model` on the validation set, write result.json and print the summary block.

    model: int64 tokens (batch, time) to logits (batch, time, vocab): a module, or a function that has one. `eval()` is
    called on it first, so dropout and the like are off, here as in the audit.
    config: what rebuilds the model; its n_layer is the depth. batch: rows scored at once, halved when memory runs out.
    flops_per_token: of training, for the MFU.
    The checkpoint comes first, so that an evaluation that fails cannot lose the run.
    Files in the run's folder: model.pt, losses.npz (nats and bytes of each document, nats of each row), result.json.
    """
    metrics = training_metrics(run, clock, flops_per_token)
    metrics["num_params_M"] = sum(value.numel() for value in weights.values()) / 1e6
    metrics["depth"] = config["n_layer"]
    if not run.settings.probe:
        with run.phase("checkpoint"):
            save_checkpoint(run.settings.run_dir / "model.pt", weights, config, clock.steps)
        for module in modules_of(model):
            module.eval()
        with run.phase("eval"):
            metrics["val_bpb"] = _validate(run, model, batch)
    report(run, metrics, weights, SUMMARY)


def report(
    run: Run, metrics: dict[str, object], weights: "Mapping[str, torch.Tensor]", shown: Mapping[str, str]
) -> None:
    """Write result.json and print the summary block, the metrics of `shown` in their formats; the end of every run."""
    metrics["peak_vram_mb"] = peak_memory_mb(run.device)
    total = metrics["total_seconds"] = seconds_since_start()
    run.phases["startup"] = total - sum(run.phases.values())
    write_json(run.settings.run_dir / "result.json", _result(run, metrics, weights))
    print(summary(metrics, shown), f"results: {run.settings.run_dir.resolve()}", sep="\n", flush=True)


def modules_of(model: object, depth: int = 3) -> "Iterator[torch.nn.Module]":
    """Yield the modules that a scoring function calls: itself, or what its arguments, closure and globals hold."""
    import torch

    if isinstance(model, torch.nn.Module):
        yield model
    elif depth:
        for one in _held(model):
            yield from modules_of(one, depth - 1)


def _held(function: object) -> list[object]:
    match function:
        case partial():
            return [function.func, *function.args, *function.keywords.values()]
        case MethodType():
            return [function.__self__, function.__func__]
        case FunctionType():
            names = inspect.getclosurevars(function)
            return [*names.nonlocals.values(), *names.globals.values()]
    return []


def _validate(run: Run, model: "Callable[[torch.Tensor], torch.Tensor]", batch: int) -> float:
    """Score the validation set, save the losses of its documents, return bits per byte."""
    held_out = run.corpus.evaluation("val")
    nats, rows = score_rows(model, held_out, run.corpus.token_bytes(), batch=batch, device=run.device)
    save_losses(run, nats, held_out, rows)
    bpb = bits_per_byte(nats, held_out.document_bytes)
    if not math.isfinite(bpb):
        raise not_finite(f"val_bpb is {bpb}")
    return bpb


def save_losses(run: Run, nats: np.ndarray, held_out: EvalSet, rows: np.ndarray | None = None) -> None:
    """Write nats and bytes of each document to losses.npz in the run's folder, and the nats of each row, if given."""
    part = run.settings.run_dir / ".losses.npz"
    by_row = np.zeros(0) if rows is None else rows  # an audit that scores every document needs no more
    np.savez(part, nats=nats, bytes=held_out.document_bytes, rows=by_row)
    part.replace(run.settings.run_dir / "losses.npz")


def bits_per_byte(nats: np.ndarray, sizes: np.ndarray) -> float:
    """Nats of all documents / (ln 2 x their UTF-8 bytes), in float64."""
    return float(nats.sum(dtype=np.float64) / (math.log(2) * sizes.sum(dtype=np.float64)))


def score(
    model: "Callable[[torch.Tensor], torch.Tensor]",
    held_out: EvalSet,
    token_bytes: np.ndarray,
    *,
    batch: int,
    device: "torch.device | str",
) -> np.ndarray:
    """Nats of each document, float64 of (documents,): minus the log-probability of each of its tokens, summed.

    Raises what `score_rows` does.
    """
    return score_rows(model, held_out, token_bytes, batch=batch, device=device)[0]


def score_rows(
    model: "Callable[[torch.Tensor], torch.Tensor]",
    held_out: EvalSet,
    token_bytes: np.ndarray,
    *,
    batch: int,
    device: "torch.device | str",
) -> tuple[np.ndarray, np.ndarray]:
    """Nats of each document, float64 of (documents,), and of what is scored of each row, float64 of (rows,).

    The model is given tokens and never targets; the softmax is taken here, over the logits of the whole vocabulary.
    Every batch has the same shape, the last one filled up with rows that do not count. Raises AssertionError when
    the bytes of the scored tokens are not those of the documents.
    """
    import torch

    targets, owner = held_out.rows[:, 1:], held_out.documents
    counted = np.bincount(owner[owner >= 0], token_bytes[targets[owner >= 0]], minlength=len(held_out.document_bytes))
    assert np.array_equal(counted, held_out.document_bytes), "the scored tokens do not spell the documents"
    totals, by_row = np.zeros(len(held_out.document_bytes)), np.zeros(len(targets))
    done = 0
    with torch.no_grad():
        while done < len(targets):
            rows = held_out.rows[done : done + batch]
            try:
                losses = _losses(model, rows, batch, len(token_bytes), device)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or batch == 1:
                    raise
                batch //= 2
                continue
            where = owner[done : done + len(rows)]
            totals += np.bincount(where[where >= 0], losses[where >= 0], minlength=len(totals))
            by_row[done : done + len(rows)] = (losses * (where >= 0)).sum(1)
            done += len(rows)
    return totals, by_row


def _losses(
    model: "Callable[[torch.Tensor], torch.Tensor]",
    rows: np.ndarray,
    batch: int,
    vocab: int,
    device: "torch.device | str",
) -> np.ndarray:
    """Nats of each target of `rows`, float64 of (len(rows), T)."""
    import torch
    import torch.nn.functional as F

    full = np.pad(rows.astype(np.int64), ((0, batch - len(rows)), (0, 0)))
    both = torch.from_numpy(full).to(device)
    logits = model(both[:, :-1].contiguous())
    if logits.shape != (*both[:, 1:].shape, vocab):
        raise bad_setting(f"model(tokens) gave {tuple(logits.shape)}: expected (batch, time, vocab)")
    losses = F.cross_entropy(logits.float().flatten(0, 1), both[:, 1:].flatten(), reduction="none")
    return losses.view(batch, -1)[: len(rows)].double().cpu().numpy()


def save_checkpoint(
    path: Path, weights: "Mapping[str, torch.Tensor]", config: Mapping[str, object], steps: int
) -> None:
    """Write {"model", "config", "steps"} to `path` atomically; it loads with weights_only=True."""
    import torch

    copied = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
    part = path.with_name(f".{path.name}")
    torch.save({"model": copied, "config": dict(config), "steps": steps}, part)
    part.replace(path)


def training_metrics(run: Run, clock: BudgetClock, flops_per_token: int) -> dict[str, object]:
    """The metrics of training itself. step_seconds is a low quantile: a charged step, undisturbed."""
    tokens, charged = clock.steps * clock.tokens_per_step, clock.charge()
    skipped = min(5, len(clock.step_seconds) // 4)  # the first steps fill caches
    metrics: dict[str, object] = {
        "training_seconds": clock.seconds,
        "total_tokens_M": tokens / 1e6,
        "num_steps": clock.steps,
        "charged_steps": charged,
        "tokens_per_second": (speed := tokens / clock.seconds),
        "step_seconds": sorted(times := clock.step_seconds[skipped:])[len(times) // 5] * clock.steps / charged,
    }
    peak = peak_flops(machine_name(run.device))
    if peak is not None:
        metrics["mfu_percent"] = 100 * flops_per_token * speed / peak
    return metrics


def peak_flops(device_name: str) -> float | None:
    """Dense bf16 FLOP/s of a device, None where it is not known."""
    return next((peak for name, peak in PEAK_FLOPS.items() if name in device_name), None)


def _result(run: Run, metrics: Mapping[str, object], weights: "Mapping[str, torch.Tensor]") -> dict[str, object]:
    import torch

    machine = {
        "device": machine_name(run.device),
        "kind": run.device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    return {
        "schema": SCHEMA,
        "metrics": metrics,
        "phases": run.phases,
        "machine": machine,
        "corpus": run.corpus.fingerprint,
        "profile": run.settings.profile,
        "seed": run.settings.seed,
        "params": sum(value.numel() for value in weights.values()),
        "probe": run.settings.probe,
        "notes": run.notes,
    }

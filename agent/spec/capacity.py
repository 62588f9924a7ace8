"""What a shape costs and what a budget buys: parameters by part, FLOPs, memory, tokens. Pure: numbers in, numbers out.

The formulas for train.py's model are those of `shape`; those here are for a GPT-2 of any shape.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import fields

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Profile
from agent.core.frozen import frozen
from agent.core.values import join
from agent.spec import script, shape
from agent.spec.preflight import MEMORY_HEADROOM
from agent.spec.published import DEVICE_GB, MODELS, GptShape

TOKENS_PER_PARAMETER = 20  # compute-optimal, about: Hoffmann et al. 2022, arXiv 2203.15556, table 3
DEFAULT_MFU = 0.4  # karpathy/autoresearch publishes 39.8 % for its baseline on an H100
DEFAULT_DEVICE = "H100"
MAX_SIZE = 1_000_000  # of each number of a shape
_SHAPE_FORM = "write --shape n_layer=12,d_model=768,n_head=12,vocab=50257,context=1024, or a published model's name"


@frozen
class Model:
    """A model, counted. `by_part` holds parameters; `rows` sequences of `context` tokens at once need `memory_mb`.

    batch: tokens of an optimizer step, None where nothing says. stated: the size by its makers, empty without.
    """

    name: str
    n_layer: int
    d_model: int
    n_head: int
    vocab: int
    context: int
    mlp_ratio: int
    by_part: Mapping[str, int]
    flops_per_token: int
    rows: int
    memory_mb: int
    batch: int | None = None
    stated: str = ""

    @property
    def params(self) -> int:
        return sum(self.by_part.values())

    @property
    def block(self) -> dict[str, int]:
        """The matrices of one block, in units of d_model squared."""
        return {"queries, keys, values": 3, "attention output": 1, "MLP": 2 * self.mlp_ratio}


@frozen
class Device:
    """Peak in dense bf16 FLOP/s; memory in MB, None where it is not known."""

    name: str
    peak_flops: float
    memory_mb: int | None


@frozen
class Purchase:
    """What a budget buys of a model's training; `steps` is None where no batch is known, `fits` without a memory."""

    seconds: float
    tokens: float
    steps: float | None
    tokens_per_parameter: float
    chinchilla_ratio: float  # 1: the compute-optimal number of tokens
    fits: bool | None


# --- models -----------------------------------------------------------------------------------------------


def count_gpt(name: str, sizes: GptShape, stated: str = "") -> Model:
    """Return a GPT-2 of any shape, counted, with one sequence at once.

    FLOPs: 6 for each weight of a matrix product, the head's too, and 12 d for each position that a block attends to
    (PaLM, arXiv 2204.02311, appendix B).
    """
    by_part, square = _gpt_parts(sizes), sizes.n_layer * sizes.d_model**2
    return Model(
        name=name,
        n_layer=sizes.n_layer,
        d_model=sizes.d_model,
        n_head=sizes.n_head,
        vocab=sizes.vocab,
        context=sizes.context,
        mlp_ratio=4,
        by_part=by_part,
        flops_per_token=6 * (12 * square + by_part["token embedding"])
        + 12 * sizes.n_layer * sizes.d_model * sizes.context,
        rows=1,
        memory_mb=_gpt_memory_mb(sizes, sum(by_part.values())),
        stated=stated,
    )


def _gpt_parts(sizes: GptShape) -> dict[str, int]:
    """Return the parameters by part; the head is the token embedding (Radford et al. 2019 and the released code).

    v d tokens, c d positions, and a block 12 d^2 + 13 d: queries, keys and values 3 d^2, their output 1 d^2, the MLP
    8 d^2, biases 9 d, two norms 4 d; a last norm of 2 d. This is exactly what the released checkpoints hold.
    """
    square = sizes.n_layer * sizes.d_model**2
    return {
        "token embedding": sizes.vocab * sizes.d_model,
        "position embedding": sizes.context * sizes.d_model,
        "queries, keys, values": 3 * square,
        "attention output": square,
        "MLP": 8 * square,
        "biases and norms": (13 * sizes.n_layer + 2) * sizes.d_model,
    }


def _gpt_memory_mb(sizes: GptShape, params: int) -> int:
    """Return the MB for training on one sequence, in mixed precision with AdamW.

    16 bytes a parameter: weight and gradient in 2 each, weight and two moments in 4 each (ZeRO, arXiv 1910.02054,
    section 3.1). Kept for the backward pass, a token: 34 d bytes a block where the attention matrix is recomputed, as
    flash attention does, 5 d around the blocks, and 4 v for the logits (Korthikanti et al. 2022, arXiv 2205.05198,
    section 4).
    """
    per_token = (34 * sizes.n_layer + 5) * sizes.d_model + 4 * sizes.vocab
    return math.ceil((16 * params + sizes.context * per_token) / shape.MB)


def count_script(name: str, constants: Mapping[str, object], facts: Mapping[str, object], profile: Profile) -> Model:
    """Return the model that train.py's `constants` give, counted by `shape`. Raises BadInput as `shape.resolve`."""
    sizes, resolved = shape.read_sizes(constants, facts, profile), shape.resolve(constants, facts, profile)
    rows, batch = shape.read_batch(constants, profile)
    return Model(
        name=name,
        n_layer=sizes.depth,
        d_model=sizes.width,
        n_head=sizes.heads,
        vocab=sizes.vocab,
        context=sizes.sequence,
        mlp_ratio=sizes.mlp_ratio,
        by_part=shape.parameters_by_part(sizes),
        flops_per_token=resolved.flops_per_token,
        rows=rows,
        memory_mb=resolved.memory_mb,
        batch=batch,
    )


def published() -> list[Model]:
    """Return the published models, counted."""
    return [count_gpt(name, sizes, stated) for name, (sizes, stated) in MODELS.items()]


def parse_shape(text: str) -> Model:
    """Return the model of `n_layer=12,d_model=768,...` or of a published name, counted. Raises BadInput.

    Where they are left out, the heads are as many of 64 channels as the width has, vocabulary and context GPT-2's.
    """
    name = next((name for name in MODELS if _bare(name) == _bare(text)), None)
    if name is not None:
        return count_gpt(name, *MODELS[name])
    given = dict(_number(text, item) for item in text.split(","))
    if len(given) != len(text.split(",")):
        raise BadInput(f"--shape {text!r} gives a number twice", next_step=_SHAPE_FORM)
    missing = [name for name in ("n_layer", "d_model") if name not in given]
    if missing:
        raise BadInput(f"--shape {text!r} has no {join(missing)}", next_step=_SHAPE_FORM)
    sizes = GptShape(**{"n_head": max(1, given["d_model"] // 64), **given})
    if sizes.d_model % sizes.n_head:
        near = [heads for heads in range(1, sizes.d_model + 1) if sizes.d_model % heads == 0]
        near.sort(key=lambda heads: abs(heads - sizes.n_head))
        raise BadInput(
            f"--shape: d_model {sizes.d_model} does not divide into {sizes.n_head} heads",
            next_step=f"nearest that fit: n_head={' or n_head='.join(map(str, near[:2]))}",
        )
    return count_gpt("this shape", sizes)


def _bare(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _number(text: str, item: str) -> tuple[str, int]:
    name, _, value = (each.strip() for each in item.partition("="))
    known = [field.name for field in fields(GptShape)]
    if name not in known:
        raise BadInput(f"--shape {text!r} is no shape: {item.strip()!r}", next_step=f"{_SHAPE_FORM}: {join([*MODELS])}")
    if not re.fullmatch(r"[0-9]{1,7}", value) or not 1 <= int(value) <= MAX_SIZE:
        raise BadInput(f"--shape: {name} is {value!r}", next_step=f"give a whole number from 1 to {MAX_SIZE:,}")
    return name, int(value)


# --- devices and budgets ----------------------------------------------------------------------------------


def read_peaks(fixed: Mapping[str, str]) -> dict[str, float]:
    """Return the PEAK_FLOPS table of a fixed side (texts by path): dense bf16 FLOP/s by device; empty without one."""
    holders = [path for path, text in fixed.items() if re.search(r"^PEAK_FLOPS\b.*=", text, re.MULTILINE)]
    tables = (script.constants(fixed[path], path).get("PEAK_FLOPS") for path in holders)
    table = next((table for table in tables if isinstance(table, dict)), {})
    return {str(name): float(peak) for name, peak in table.items() if isinstance(peak, int | float)}


def choose_device(text: str, peaks: Mapping[str, float]) -> Device:
    """Return the device whose name is in `text`, or one of so many FLOP/s as `text` says. Raises BadInput."""
    name = next((name for name in peaks if name.lower() in text.lower()), None)
    if name is not None:
        memory = DEVICE_GB.get(name)
        return Device(name, peaks[name], None if memory is None else memory * 1024)
    try:
        peak = float(text)
    except ValueError:
        peak = math.nan
    if not 1e9 <= peak <= 1e20:
        raise BadInput(
            f"--device {text!r} is no known device",
            next_step=f"known: {join([*peaks])}; of another, give the dense bf16 FLOP/s: --device 312e12",
        )
    return Device(f"device of {peak / 1e12:g} TFLOP/s", peak, None)


def buy(model: Model, budget: Budget, device: Device, mfu: float) -> Purchase:
    """Return what a budget buys: seconds x peak x mfu FLOPs make tokens, and tokens take such seconds.

    Raises BadInput for a budget in steps of a model whose batch is not known.
    """
    if budget.kind == "steps" and model.batch is None:
        raise BadInput(
            f"--budget {budget}: nothing says how many tokens a step of {model.name} has",
            next_step="give seconds or tokens: --budget 300 or --budget 500Mtok",
        )
    per_second = device.peak_flops * mfu / model.flops_per_token
    tokens = {
        "seconds": budget.amount * per_second,
        "tokens": budget.amount,
        "steps": budget.amount * (model.batch or 0),
    }[budget.kind]
    ratio = tokens / model.params
    return Purchase(
        seconds=tokens / per_second,
        tokens=tokens,
        steps=None if model.batch is None else tokens / model.batch,
        tokens_per_parameter=ratio,
        chinchilla_ratio=ratio / TOKENS_PER_PARAMETER,
        fits=None if device.memory_mb is None else model.memory_mb * MEMORY_HEADROOM <= device.memory_mb,
    )


def compute_optimal(flops: float) -> tuple[float, float]:
    """Return the parameters and tokens that so many FLOPs train best, about.

    From C = 6 N D and D = 20 N (Hoffmann et al. 2022, arXiv 2203.15556): N = sqrt(C / 120).
    """
    params = math.sqrt(flops / (6 * TOKENS_PER_PARAMETER))
    return params, TOKENS_PER_PARAMETER * params

"""DEPTH, ASPECT_RATIO and HEAD_DIM to widths, heads, parameters, FLOPs and memory. Pure: numbers in, numbers out.

The formulas describe the model of train.py; tests/spec/test_shape.py holds them to the built one.
"""

import math
from collections.abc import Mapping

from agent.core.errors import BadInput
from agent.core.experiment import Profile, Shape
from agent.core.frozen import frozen
from agent.core.sizes import ModelSize

MB = 2**20
# Resident size of the process beside its tensors: Python, torch, its libraries. On CUDA the allocator counts from
# zero. Measured on Linux with the CPU build of torch 2.13, not compiled, and tested in tests/test_train.py; a CUDA
# build takes some 330 MB more of the host.
PROCESS_MB = {"full": 0, "mini": 335}
# Bytes a weight of the n-gram table: the table, and on a CPU the copy of it that the checkpoint is written from.
NGRAM_BYTES = {"full": 4, "mini": 8}
# Values kept for the backward pass, per token and block, in units of model_dim: attention, and for each of
# MLP_RATIO. Eager execution keeps every intermediate. What the compiled graph keeps is read off it: torch.compile cuts
# the full-size graph in two on any machine, and tests/test_train.py holds these figures to that cut, for windows by
# flex or varlen attention (by chunks: 5 more for each block with a short window).
KEPT = {"full": (9, 2), "mini": (20, 2)}
# Bytes for each logit at the peak. Compiled: what the head gave (2), the logits (4) and their gradient (2).
LOGIT_BYTES = {"full": 8, "mini": 24}
ACTIVATION_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}


@frozen
class Sizes:
    """The whole numbers that the formulas are about, as one profile uses them."""

    depth: int
    width: int
    heads: int
    vocab: int
    sequence: int
    mlp_ratio: int
    gate: int
    order: int
    ngrams: int
    windows: tuple[int, ...]

    @property
    def value_tables(self) -> int:
        """Every other block has value embeddings, the last one among them."""
        return (self.depth + 1) // 2


def resolve(constants: Mapping[str, object], facts: Mapping[str, object], profile: Profile) -> Shape:
    """Return the shape that train.py's top-level `constants` give with `facts`, prepare.py's PROFILES[profile].

    Raises BadInput for a constant that is missing or of the wrong kind, a width that does not divide into heads and
    a batch that does not come out even.
    """
    tuned, sizes = _table(constants, "TUNED", profile), read_sizes(constants, facts, profile)
    return Shape(
        depth=sizes.depth,
        aspect_ratio=_whole(constants, "ASPECT_RATIO"),
        head_dim=sizes.width // sizes.heads,
        model_dim=sizes.width,
        n_head=sizes.heads,
        params=parameters(sizes),
        flops_per_token=flops_per_token(sizes),
        memory_mb=_memory(tuned, sizes, profile),
    )


def built(constants: Mapping[str, object], facts: Mapping[str, object], size: ModelSize) -> Shape:
    """Return the shape of a script whose model was built: its `size`, and the heads that the constants give.

    Raises BadInput for a width that does not divide into heads.
    """
    depth, ratio, head = read_heads(constants, facts)
    return Shape(
        depth=depth,
        aspect_ratio=ratio,
        head_dim=head // _whole(facts, "divisor"),
        model_dim=depth * ratio // _whole(facts, "divisor"),
        n_head=depth * ratio // head,
        params=size.params,
        flops_per_token=size.flops_per_token,
        memory_mb=size.memory_mb,
    )


def parameters(sizes: Sizes) -> int:
    """Return the exact count."""
    return sum(parameters_by_part(sizes).values())


def parameters_by_part(sizes: Sizes) -> dict[str, int]:
    """Return the exact count by part: look-up tables, the matrices of all blocks, the head, gates and scalars."""
    table, square = sizes.vocab * sizes.width, sizes.depth * sizes.width**2
    return {
        "token embedding": table,
        "value embeddings": sizes.value_tables * table,
        "n-gram embeddings": sizes.ngrams * sizes.width,
        "queries, keys, values": 3 * square,
        "attention output": square,
        "MLP": 2 * sizes.mlp_ratio * square,
        "head": table,
        "gates and scalars": _gates(sizes) + 2 * sizes.depth,
    }


def flops_per_token(sizes: Sizes) -> int:
    """Return the FLOPs to train on one token: forward and backward, 6 for each weight of a matrix product.

    Attention adds 12 x model_dim for each position that a block's window holds (PaLM, arXiv 2204.02311, appendix B).
    Left out: table look-ups, norms, other elementwise work, the optimizer, and the causal half of the attention.
    """
    weights = _matrices(sizes) + _gates(sizes) + sizes.vocab * sizes.width
    return 6 * weights + 12 * sizes.width * sum(sizes.windows)


def memory_mb(sizes: Sizes, rows: int, total: int, dtype: str, profile: Profile) -> int:
    """Return the predicted peak in MB of training with `rows` sequences at once and `total` tokens a step.

    Four float32 values a parameter: the weight, its gradient, and two moments of AdamW or one of Muon and what its
    step works in; of the n-gram table, the weight alone; of matrices used in a narrower `dtype`, a copy. To these come
    the values kept for the backward pass (KEPT) and the logits (LOGIT_BYTES) or, later and where that is more, what
    the n-gram table's step sorts and sums; and what the process itself holds (PROCESS_MB). The upstream baseline
    (depth 8, width 512, vocabulary 8,192, 128 rows of 2,048, no logits kept) so comes to its published 45 GB.
    """
    table, value_bytes = sizes.ngrams * sizes.width, ACTIVATION_BYTES[dtype]
    state = 16 * (parameters(sizes) - table) + NGRAM_BYTES[profile] * table
    copies = (value_bytes % 4) * (_matrices(sizes) + sizes.vocab * sizes.width)
    attention, mlp = KEPT[profile]
    kept = (sizes.depth * (attention + mlp * sizes.mlp_ratio) + sizes.value_tables + 1) * sizes.width
    per_token = kept * value_bytes + LOGIT_BYTES[profile] * sizes.vocab
    looked_up = 4 * total * sizes.width  # the gradients of the embeddings wait for the end of the step
    sorted_rows = 4 * (sizes.order - 1) * looked_up
    active = max(rows * sizes.sequence * per_token + copies, sorted_rows)
    return PROCESS_MB[profile] + math.ceil((state + looked_up + active) / MB)


def _matrices(sizes: Sizes) -> int:
    """Return the weights of the blocks: queries, keys, values and output, and the two of the MLP."""
    return sizes.depth * (4 + 2 * sizes.mlp_ratio) * sizes.width**2


def _gates(sizes: Sizes) -> int:
    return sizes.value_tables * min(sizes.gate, sizes.width) * sizes.heads


def read_sizes(constants: Mapping[str, object], facts: Mapping[str, object], profile: Profile) -> Sizes:
    """Return the numbers that train.py's `constants` give. Raises BadInput as `resolve` does."""
    tuned = _table(constants, "TUNED", profile)
    depth, ratio, head = read_heads(constants, facts)
    width, divisor, sequence = depth * ratio, _whole(facts, "divisor"), _whole(facts, "sequence_length")
    order = _whole(constants, "NGRAM_ORDER") if "NGRAM_ORDER" in constants else 1  # a script may be older than they
    return Sizes(
        depth=depth,
        width=width // divisor,
        heads=width // head,
        vocab=_whole(facts, "vocab_size"),
        sequence=sequence,
        mlp_ratio=_whole(constants, "MLP_RATIO"),
        gate=_whole(constants, "VALUE_GATE"),
        order=order,
        ngrams=_whole(tuned, "ngram_rows") if order > 1 else 0,
        windows=_windows(constants, tuned, depth, sequence),
    )


def read_heads(constants: Mapping[str, object], facts: Mapping[str, object]) -> tuple[int, int, int]:
    """Return DEPTH, ASPECT_RATIO and HEAD_DIM. Raises BadInput where the heads do not fit the width or the profile."""
    depth, ratio, head = (_whole(constants, name) for name in ("DEPTH", "ASPECT_RATIO", "HEAD_DIM"))
    _check_width(depth, ratio, head)
    _check_head(head, _whole(facts, "divisor"))
    return depth, ratio, head


def _windows(
    constants: Mapping[str, object], tuned: Mapping[str, object], depth: int, sequence: int
) -> tuple[int, ...]:
    """Return the positions that each block sees: window_pattern over and over, the last block all of them."""
    pattern, divisor = _tuned(constants, tuned, "window_pattern"), _tuned(constants, tuned, "short_window")
    if not isinstance(pattern, str) or not pattern or set(pattern) - set("SL"):
        raise BadInput(
            f"window_pattern = {pattern!r}", next_step="write a text of S (short) and L (long), such as SSSL"
        )
    seen = {"S": max(1, sequence // _whole({"short_window": divisor}, "short_window")), "L": sequence}
    return (*(seen[pattern[block % len(pattern)]] for block in range(depth - 1)), sequence)


def _tuned(constants: Mapping[str, object], tuned: Mapping[str, object], name: str) -> object:
    """Return an entry of the profile's table; in an older script it is a constant of its own, in capitals."""
    older = name not in tuned and name.upper() in constants
    return constants[name.upper()] if older else _get(tuned, name)


def read_batch(constants: Mapping[str, object], profile: Profile) -> tuple[int, int]:
    """Return the rows at once and the tokens of an optimizer step that train.py's `constants` give."""
    return _batch(_table(constants, "TUNED", profile))


def _batch(tuned: Mapping[str, object]) -> tuple[int, int]:
    return _whole(tuned, "device_batch"), _whole(tuned, "total_batch")


def _memory(tuned: Mapping[str, object], sizes: Sizes, profile: Profile) -> int:
    rows, total = _batch(tuned)
    if total % (rows * sizes.sequence):
        near = max(1, round(total / (rows * sizes.sequence))) * rows * sizes.sequence
        raise BadInput(
            f"total_batch = {total} of profile {profile} is no multiple of device_batch x sequence length "
            f"= {rows} x {sizes.sequence} = {rows * sizes.sequence}",
            next_step=f"the nearest total_batch that fits is {near}",
        )
    dtype = _get(tuned, "dtype")
    if not isinstance(dtype, str) or dtype not in ACTIVATION_BYTES:
        raise BadInput(
            f"dtype = {dtype!r} of profile {profile}", next_step=f"write one of {', '.join(ACTIVATION_BYTES)}"
        )
    return memory_mb(sizes, rows, total, dtype, profile)


def _check_width(depth: int, ratio: int, head: int) -> None:
    width = depth * ratio
    if width % head == 0:
        return
    ratios = _nearest(ratio, head // math.gcd(depth, head))
    depths = _nearest(depth, head // math.gcd(ratio, head))
    raise BadInput(
        f"DEPTH {depth} x ASPECT_RATIO {ratio} = model_dim {width}, which is no multiple of HEAD_DIM {head}",
        next_step=f"nearest valid: ASPECT_RATIO {ratios} (DEPTH {depth}), or DEPTH {depths} (ASPECT_RATIO {ratio})",
    )


def _check_head(head: int, divisor: int) -> None:
    """A head is divided by the profile's divisor, and rotary positions need its channels in pairs."""
    if head % (2 * divisor):
        near = _nearest(head, 2 * divisor)
        raise BadInput(
            f"HEAD_DIM {head} is no multiple of {2 * divisor}, as this profile needs (widths are divided by {divisor})",
            next_step=f"nearest that fit: HEAD_DIM {near}",
        )


def _nearest(value: int, step: int) -> str:
    """Return the multiples of `step` on both sides of `value`, those above zero."""
    below = value // step * step
    return " or ".join(str(near) for near in (below, below + step) if near > 0)


def _get(table: Mapping[str, object], name: str) -> object:
    if name not in table:
        raise BadInput(
            f"there is no constant {name}", next_step=f"give {name} a literal value at the top of the script"
        )
    return table[name]


def _whole(table: Mapping[str, object], name: str) -> int:
    value = _get(table, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"{name} = {value!r}", next_step=f"{name} must be a whole number of at least 1")
    return value


def _table(constants: Mapping[str, object], name: str, profile: Profile) -> Mapping[str, object]:
    table = _get(constants, name)
    entry = table.get(profile) if isinstance(table, dict) else None
    if not isinstance(entry, dict):
        raise BadInput(
            f"{name} has no entry for profile {profile}", next_step=f"restore {name} at the top of the script"
        )
    return entry

"""The one file an experiment edits: a GPT, its optimizer and the training loop.

The seed, the device, the budget, the data, the evaluation and the run's folder come from prepare.py.
Run it with `python train.py`; importing it trains nothing.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

# Read by the OpenMP runtime when torch is loaded. Its threads wait for one another by spinning, which starves every
# process of a shared machine: two runs on two cores were 30 times slower than one after the other (LOG.md).
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import prepare
from fixed.attention import Attend, local_attention

# --- shape: model_dim = DEPTH * ASPECT_RATIO, in heads of HEAD_DIM (mini divides both widths by 8) ----------
DEPTH = 8  # number of transformer blocks
ASPECT_RATIO = 64  # width for each block of depth
HEAD_DIM = 128  # width of one attention head; model_dim must be a multiple of it
MLP_RATIO = 4  # width of the hidden layer of the MLP, in model_dim
QK_SCALE = 1.1  # factor on queries and keys after their norm: sharper attention
SOFTCAP = 15.0  # logits are squashed into (-SOFTCAP, SOFTCAP)
VALUE_GATE = 32  # channels that the gate of the value embeddings reads
NGRAM_ORDER = 3  # the last 2, 3, ... NGRAM_ORDER tokens together have an embedding too; 1: only single tokens have
RESID_INIT = 1.0  # what each block's input counts for at the start

# --- optimization ------------------------------------------------------------------------------------------
NGRAM_LR = 0.3  # n-gram embeddings (as all embeddings and the head, scaled by the width: see Optimizer)
NGRAM_BETA2 = 0.95  # n-gram embeddings: memory of the square of each row's gradient
HEAD_LR = 0.005  # AdamW: output head
SCALAR_LR = 0.5  # AdamW: weights of the embedding at each block's input; the residual's get 1 % of it
SCALAR_EPS = 1e-6  # AdamW: far above the rounding errors that are all the gradient these have in the first step
ADAM_BETA1 = 0.8  # AdamW: memory of the gradient
ADAM_BETA2 = 0.95  # AdamW: memory of its square
MOMENTUM_START = 0.85  # Muon: Nesterov momentum at the first step
MOMENTUM_END = 0.95  # Muon: momentum after MOMENTUM_STEPS
MOMENTUM_STEPS = 300  # steps over which the momentum rises
MUON_BETA2 = 0.95  # Muon: memory of the second moment of each row
WEIGHT_DECAY = 0.2  # Muon: cautious decay, falling to zero at the end
FINAL_LR_FRAC = 0.05  # of the starting rate, at the very end

# --- what differs between the profiles ---------------------------------------------------------------------
TUNED = {
    "full": {  # as published for an H100, until a GPU has measured otherwise
        "device_batch": 64,  # rows at once
        "total_batch": 262144,  # tokens in one optimizer step
        "window_pattern": "SSSSL",  # attention windows, repeated over the blocks: S short, L all; the last is always L
        "short_window": 8,  # a short window is the sequence length divided by this
        "rope_base": 200000,  # longest wavelength of the rotary positions, in radians per position
        "x0_init": 0.05,  # what the token's own embedding counts for at each block's input at the start
        "embed_lr": 0.9,  # AdamW: token and value embeddings
        "value_decay": 0.003,  # AdamW: weight decay of the value embeddings
        "matrix_lr": 0.04,  # Muon: matrices inside the blocks
        "warmdown_ratio": 0.75,  # share of the budget, at its end, over which the rates fall
        "ngram_rows": 262144,  # of the table of n-gram embeddings
        "dtype": "bfloat16",  # of the activations
        "attention": ("flex", "varlen", "local"),  # short windows take the one of ATTENTIONS that is fastest here
        "compile_warm": 0,  # seconds of training from which compiling pays on a machine that has compiled this shape
        "compile_cold": 0,  # and on one that has not
    },
    "mini": {  # as measured by the issues 10 to 17 (LOG.md)
        "device_batch": 8, "total_batch": 2048, "window_pattern": "SSSL", "short_window": 16, "rope_base": 100000,
        "x0_init": 0.1, "embed_lr": 0.6, "value_decay": 0.0, "matrix_lr": 0.08, "warmdown_ratio": 0.5,
        "ngram_rows": 262144, "dtype": "float32", "attention": ("local",), "compile_warm": 60, "compile_cold": 600,
    },
}  # fmt: skip


# --- model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """What `build_model` needs; a checkpoint holds it. windows: tokens that each block sees, itself included."""

    n_layer: int
    model_dim: int
    n_head: int
    vocab_size: int
    sequence_length: int
    mlp_ratio: int
    windows: tuple[int, ...]
    rope_base: float
    qk_scale: float
    softcap: float
    value_gate: int
    ngram_order: int
    ngram_rows: int
    x0_init: float
    dtype: str


def make_config(profile: str) -> Config:
    """The shape that the constants give on `profile`. Raises RunFailure where the heads do not fit the width."""
    facts, tuned = prepare.PROFILES[profile], dict[str, Any](TUNED[profile])
    prepare.check_width(DEPTH, ASPECT_RATIO, HEAD_DIM)
    return Config(
        n_layer=DEPTH, model_dim=DEPTH * ASPECT_RATIO // facts["divisor"], n_head=DEPTH * ASPECT_RATIO // HEAD_DIM,
        vocab_size=facts["vocab_size"], sequence_length=facts["sequence_length"], mlp_ratio=MLP_RATIO,
        windows=windows(facts["sequence_length"], tuned["window_pattern"], tuned["short_window"]),
        rope_base=tuned["rope_base"], qk_scale=QK_SCALE, softcap=SOFTCAP, value_gate=VALUE_GATE,
        ngram_order=NGRAM_ORDER, ngram_rows=tuned["ngram_rows"], x0_init=tuned["x0_init"], dtype=tuned["dtype"],
    )  # fmt: skip


def windows(length: int, pattern: str, share: int) -> tuple[int, ...]:
    """Tokens that each block's attention sees, from the first block to the last; short ones are 1/share of all."""
    sizes = {"S": max(1, length // share), "L": length}
    return tuple(sizes[pattern[block % len(pattern)]] for block in range(DEPTH - 1)) + (length,)


def has_value_embedding(block: int, depth: int) -> bool:
    """Every other block, the last one among them."""
    return (depth - 1 - block) % 2 == 0


class Linear(nn.Linear):
    """A linear map without bias, whose float32 weight is cast to the type of what flows through it."""

    def __init__(self, wide: int, out: int) -> None:
        super().__init__(wide, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


def rotary(config: Config, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the positions, each (T, 1, head_dim / 2)."""
    half = config.model_dim // config.n_head // 2
    rates = config.rope_base ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
    angles = torch.arange(config.sequence_length, device=device, dtype=torch.float32)[:, None] * rates
    return angles.cos()[:, None], angles.sin()[:, None]


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of the last dimension of x (B, T, heads, head_dim) by its position's angle."""
    cos, sin = cos[: x.size(1)].to(x.dtype), sin[: x.size(1)].to(x.dtype)
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos + right * sin, right * cos - left * sin], dim=-1)


class Attention(nn.Module):
    """Multi-head attention: rotary positions, normed queries and keys, gated value embeddings, a window."""

    def __init__(self, config: Config, block: int) -> None:
        super().__init__()
        width = config.model_dim
        self.n_head, self.window = config.n_head, config.windows[block]
        self.scale = config.qk_scale**2 / math.sqrt(width // config.n_head)
        self.attend: Attend = partial(local_attention, window=self.window)
        self.qkv = nn.Parameter(torch.empty(3, width, width))
        self.out = Linear(width, width)
        self.gate = None
        if has_value_embedding(block, config.n_layer):
            self.gate = Linear(min(config.value_gate, width), config.n_head)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        batch, time, width = x.shape
        qkv = F.linear(x, self.qkv.flatten(0, 1).to(x.dtype)).view(batch, time, 3 * self.n_head, -1)
        qk, v = qkv.split([2 * self.n_head, self.n_head], dim=2)
        q, k = norm(rotate(qk, cos, sin)).transpose(1, 2).chunk(2, dim=1)
        if self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
            v = v + gate.unsqueeze(-1) * values.view_as(v)
        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)
        return self.out(mixed.transpose(1, 2).reshape(batch, time, width))


class Block(nn.Module):
    """Attention, then an MLP with squared ReLU, each on the normed stream and added to it."""

    def __init__(self, config: Config, block: int) -> None:
        super().__init__()
        self.attention = Attention(config, block)
        self.up = Linear(config.model_dim, config.mlp_ratio * config.model_dim)
        self.down = Linear(config.mlp_ratio * config.model_dim, config.model_dim)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(norm(x), values, cos, sin)
        hidden = F.relu(self.up(norm(x)))
        return x + self.down(hidden * hidden)  # not .square(): its backward pass is several times slower on a CPU


def ngram_index(tokens: Tensor, order: int, rows: int) -> Tensor:
    """The row, by a hash, of each n-gram that ends at each token, for n from 2 to `order`: (order - 1, B, T)."""
    key, indices = tokens + 1, []
    for back in range(1, order):
        key = key * 1_000_003 + F.pad(tokens, (back, -back)) + 1
        mixed = key * 0x1E3779B97F4A7C15  # wraps around, as int64 does
        indices.append((mixed ^ (mixed >> 32)) % rows)
    return torch.stack(indices)


class SparseLookup(torch.autograd.Function):
    """Rows of a table. Their gradient goes to the list `touched`: one of the table's size is never made."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Tensor, touched: list[tuple[Tensor, Tensor]]) -> Tensor:
        ctx.index, ctx.touched = index, touched
        return F.embedding(index, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        ctx.touched.append((ctx.index, grad))
        return None, None, None


class Ngrams(nn.Module):
    """Embeddings of the n-grams that end at each token, summed over n: (B, T) to (B, T, model_dim)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.order = config.ngram_order
        self.weight = nn.Parameter(torch.empty(config.ngram_rows, config.model_dim))
        self.touched: list[tuple[Tensor, Tensor]] = []  # (rows, their gradients) since the last optimizer step

    def forward(self, tokens: Tensor) -> Tensor:
        index = ngram_index(tokens, self.order, len(self.weight))
        return SparseLookup.apply(self.weight, index, self.touched).sum(0)


class GPT(nn.Module):
    """model(tokens): int64 (batch, time) to logits, float32 (batch, time, vocab). Targets never enter."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.model_dim)
        self.ngrams = Ngrams(config) if config.ngram_order > 1 else None
        valued = [block for block in range(config.n_layer) if has_value_embedding(block, config.n_layer)]
        self.value_embeds = nn.ModuleDict(
            {str(block): nn.Embedding(config.vocab_size, config.model_dim) for block in valued}
        )
        self.blocks = nn.ModuleList(Block(config, block) for block in range(config.n_layer))
        self.resid = nn.Parameter(torch.empty(config.n_layer))
        self.x0 = nn.Parameter(torch.empty(config.n_layer))
        self.lm_head = Linear(config.model_dim, config.vocab_size)
        cos, sin = rotary(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw the weights from torch's generator; what each block adds is zero at first."""
        bound = math.sqrt(3 / self.config.model_dim)  # uniform with the standard deviation width ** -0.5
        for name, weight in self.named_parameters():
            if name == "wte.weight":
                nn.init.normal_(weight)
            elif name == "lm_head.weight":
                nn.init.normal_(weight, std=0.001)
            elif name in ("resid", "x0"):
                nn.init.constant_(weight, RESID_INIT if name == "resid" else self.config.x0_init)
            elif name.endswith(("out.weight", "down.weight", "gate.weight", "ngrams.weight")):
                nn.init.zeros_(weight)
            else:
                nn.init.uniform_(weight, -bound, bound)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits(tokens, self.embedded(tokens))

    def embedded(self, tokens: Tensor) -> Tensor:
        """Of each token and the n-grams that it ends, (B, T, model_dim). Never compiled: SparseLookup keeps a list."""
        return self.wte(tokens) + self.ngrams(tokens) if self.ngrams is not None else self.wte(tokens)

    def logits(self, tokens: Tensor, embedded: Tensor) -> Tensor:
        """All that follows the look-up: the part that is compiled."""
        first = x = norm(embedded.to(getattr(torch, self.config.dtype)))
        for index, block in enumerate(self.blocks):
            values = self.value_embeds[str(index)](tokens).to(x.dtype) if str(index) in self.value_embeds else None
            x = block(self.resid[index] * x + self.x0[index] * first, values, self.cos, self.sin)
        squashed = torch.tanh(self.lm_head(norm(x) / self.config.softcap).float())  # divided where it is narrow
        return self.config.softcap * squashed


def build_model(config: Config) -> GPT:
    """A model with fresh weights. `Config(**checkpoint["config"])` gives that of a checkpoint."""
    return GPT(config)


def flops_per_token(config: Config) -> int:
    """FLOPs of one training token, forward and backward.

    6 for each weight of a matrix product (the PaLM paper's appendix B: 2 forward, 4 backward), and 12 x width for
    each position that a block's attention sees. Table look-ups, norms and other elementwise work are left out.
    """
    width, gates = config.model_dim, sum(has_value_embedding(block, config.n_layer) for block in range(config.n_layer))
    block = (4 + 2 * config.mlp_ratio) * width * width
    weights = config.n_layer * block + gates * min(config.value_gate, width) * config.n_head + config.vocab_size * width
    return 6 * weights + 12 * width * sum(config.windows)


# --- optimizer ---------------------------------------------------------------------------------------------

# Five steps of the Polar Express (Amsel et al. 2025, arXiv 2505.16932): odd polynomials a x + b x^3 + c x^5 that
# bring all singular values near 1.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalize(x: Tensor) -> Tensor:
    """The nearest matrices (nearly) with singular values of 1; x is (n, rows, columns)."""
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    for a, b, c in POLAR_EXPRESS:
        gram = x @ x.mT
        x = torch.baddbmm(a * x, torch.baddbmm(b * gram, gram, gram, alpha=c), x)
    return x.mT if tall else x


def muon_update(
    weight: Tensor, grad: Tensor, average: Tensor, second: Tensor, rate: Tensor, momentum: Tensor, decay: Tensor
) -> None:
    """One Muon step (Jordan et al. 2024) on a stack of same-shape matrices, (n, rows, columns), in place.

    Nesterov momentum, orthogonalized; each row (of a wide matrix: column) scaled by its second moment at an
    unchanged overall norm (NorMuon, arXiv 2510.05491); decay only where it does not oppose the update (cautious).
    """
    average.lerp_(grad, 1 - momentum)
    update = orthogonalize(grad.lerp(average, momentum).to(COMPUTE[grad.device.type])).float()
    across = -1 if update.size(-2) >= update.size(-1) else -2
    power = update.square().mean(dim=across, keepdim=True)
    second.lerp_(power, 1 - MUON_BETA2)
    scale = second.clamp_min(1e-10).rsqrt()
    before, after = (part.sum((-2, -1), keepdim=True) for part in (power, power * scale.square()))
    scale = scale * (before / after.clamp_min(1e-20)).sqrt()  # a gradient of zeros stays one
    update = update * scale
    shrink = weight * ((update * weight) >= 0)
    weight.sub_(rate * (update + decay * shrink))


COMPUTE = {"cuda": torch.bfloat16, "cpu": torch.float32}  # of the matrix products inside Muon
Update = Callable[..., None]  # muon_update, or what it compiles to


class Muon:
    """Muon over many matrices: those of one shape live in one stack, and each parameter is a view of its stack."""

    def __init__(self, matrices: list[nn.Parameter], update: Update) -> None:
        self.update = update
        shapes = sorted({matrix.shape[-2:] for matrix in matrices})
        self.stacks = [_Stack([matrix for matrix in matrices if matrix.shape[-2:] == shape]) for shape in shapes]

    @torch.no_grad()
    def step(self, rate: float, momentum: float, decay: float) -> None:
        # Tensors on the host, not floats: a compiled update is then made once and not for every new rate.
        settings = [torch.tensor(value) for value in (momentum, decay)]
        for stack in self.stacks:
            rows, columns = stack.weight.shape[-2:]
            scaled = torch.tensor(rate * math.sqrt(max(1.0, rows / columns)))
            self.update(stack.weight, stack.grad, stack.average, stack.second, scaled, *settings)

    def zero_grad(self) -> None:
        for stack in self.stacks:
            stack.grad.zero_()


class _Stack:
    """Weights, gradients and moments of matrices of one shape, each (n, rows, columns) of contiguous memory."""

    def __init__(self, matrices: list[nn.Parameter]) -> None:
        rows, columns = matrices[0].shape[-2:]
        self.weight = torch.cat([matrix.detach().reshape(-1, rows, columns) for matrix in matrices])
        self.grad, self.average = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.second = torch.zeros_like(self.weight[:, :, :1] if rows >= columns else self.weight[:, :1, :])
        counts = [matrix.numel() // (rows * columns) for matrix in matrices]
        pieces = zip(matrices, self.weight.split(counts), self.grad.split(counts), strict=True)
        for matrix, weight, grad in pieces:
            matrix.data, matrix.grad = weight.view(matrix.shape), grad.view(matrix.shape)


class NgramOptimizer:
    """Trains the rows of an n-gram table that a step has looked up, and touches no other row.

    A row's gradient is divided by the root of the running mean of its square. No size depends on a value, so the host
    never waits: every look-up has a place, those that are left over add zeros.
    """

    def __init__(self, table: Ngrams) -> None:
        self.table = table
        self.power = torch.zeros_like(table.weight[:, :1])

    @torch.no_grad()
    def step(self, rate: float) -> None:
        weight, touched = self.table.weight, self.table.touched
        if not touched:
            return
        index, order = torch.cat([index.flatten() for index, _ in touched]).sort()
        grad = torch.cat([grad.flatten(0, -2) for _, grad in touched])[order]
        place = F.pad(index[1:] != index[:-1], (1, 0)).cumsum(0)  # look-ups of one row share one
        rows = index.index_copy(0, place, index)  # of each place
        sums = torch.zeros_like(grad, dtype=weight.dtype).index_add_(0, place, grad.to(weight.dtype))
        power = self.power[rows].lerp_(sums.square().mean(-1, keepdim=True), 1 - NGRAM_BETA2)
        self.power.index_copy_(0, index, power[place])
        weight.index_add_(0, rows, sums * power.clamp_min(1e-20).rsqrt(), alpha=-rate)

    def zero_grad(self) -> None:
        self.table.touched.clear()


class Optimizer:
    """Muon for the matrices inside the blocks, AdamW for the rest; `step` sets all rates by the progress made."""

    def __init__(self, model: GPT, tuned: dict[str, Any], update: Update = muon_update) -> None:
        self.matrix_lr, self.warmdown_ratio = tuned["matrix_lr"], tuned["warmdown_ratio"]
        scale = (model.config.model_dim / 768) ** -0.5  # narrower models bear larger rates
        gates = [block.attention.gate.weight for block in model.blocks if block.attention.gate is not None]
        matrices = [weight for weight in model.blocks.parameters() if all(weight is not gate for gate in gates)]
        embed_lr, decay = tuned["embed_lr"] * scale, tuned["value_decay"]
        groups = [
            {"params": [model.wte.weight], "lr": embed_lr},
            {"params": [*model.value_embeds.parameters()], "lr": embed_lr, "weight_decay": decay},
            {"params": [model.lm_head.weight], "lr": HEAD_LR * scale},
            {"params": gates, "lr": HEAD_LR * scale},
            {"params": [model.resid], "lr": 0.01 * SCALAR_LR, "eps": SCALAR_EPS},
            {"params": [model.x0], "lr": SCALAR_LR, "eps": SCALAR_EPS, "betas": (0.96, ADAM_BETA2)},
        ]
        self.adam = torch.optim.AdamW(groups, betas=(ADAM_BETA1, ADAM_BETA2), eps=1e-10, weight_decay=0.0, fused=True)
        self.ngram_optimizers = [NgramOptimizer(table) for table in (model.ngrams,) if table is not None]
        self.ngram_lr = NGRAM_LR * scale
        self.rates = [group["lr"] for group in self.adam.param_groups]
        self.muon = Muon(matrices, update)

    def step(self, number: int, progress: float) -> None:
        """Optimizer step `number` (from 0), with `progress` in [0, 1] of the budget used; clears the gradients."""
        fade = lr_multiplier(progress, self.warmdown_ratio)
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * fade
        self.adam.step()
        for each in self.ngram_optimizers:
            each.step(self.ngram_lr * fade)
        rise = min(number / MOMENTUM_STEPS, 1.0)
        momentum = MOMENTUM_START + rise * (MOMENTUM_END - MOMENTUM_START)
        self.muon.step(self.matrix_lr * fade, momentum, WEIGHT_DECAY * (1 - progress))
        optimizers: list[Any] = [self.adam, self.muon, *self.ngram_optimizers]
        for optimizer in optimizers:
            optimizer.zero_grad()


def lr_multiplier(progress: float, warmdown_ratio: float) -> float:
    """The factor of all rates: 1, then a straight line down to FINAL_LR_FRAC over the last `warmdown_ratio`."""
    left = min(1.0, (1 - progress) / warmdown_ratio)
    return FINAL_LR_FRAC + (1 - FINAL_LR_FRAC) * left


# --- training ----------------------------------------------------------------------------------------------

Batches = Iterator[tuple[Tensor, Tensor]]  # (tokens, targets), int64 of (B, T) each
Graph = Callable[[GPT, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def loss_and_logits(model: GPT, tokens: Tensor, embedded: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean nats a token to train on, and the logits to score with: one graph for both, so that it compiles once."""
    logits = model.logits(tokens, embedded)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()), logits.detach()


def accumulate(graph: Graph, model: GPT, batches: Batches, count: int) -> Tensor:
    """Add up the gradients of `count` batches; return their mean loss without waiting for the device."""
    total = torch.zeros((), device=model.resid.device)
    for _ in range(count):
        tokens, targets = next(batches)
        loss = graph(model, tokens, model.embedded(tokens), targets)[0] / count
        loss.backward()
        total += loss.detach()
    return total


def rehearse(model: GPT, tuned: dict[str, Any], graph: Graph, update: Update) -> None:
    """Make one step on made-up tokens, as in training: whatever compiles does so then."""
    optimizer = Optimizer(model, tuned, update)
    shape = (tuned["device_batch"], model.config.sequence_length)
    tokens = torch.zeros(shape, dtype=torch.int64, device=model.resid.device)
    accumulate(graph, model, iter([(tokens, tokens.clone())]), 1)  # two tensors, as in training
    optimizer.step(0, 0.0)


def main() -> None:
    run = prepare.begin()
    tuned, config = dict[str, Any](TUNED[run.settings.profile]), make_config(run.settings.profile)
    rows, count = tuned["device_batch"], prepare.batches_per_step(tuned, config.sequence_length)
    model = build_model(config).to(run.device)
    graph, update = prepare.compile(run, model, (loss_and_logits, muon_update), partial(rehearse, model, tuned), tuned)
    optimizer = Optimizer(model, tuned, update)
    batches = run.batches(rows)
    clock = prepare.BudgetClock(run, tuned["total_batch"])
    with run.phase("train"):
        clock.start()
        while not clock.done():
            loss = accumulate(graph, model, batches, count)
            optimizer.step(clock.steps, clock.progress)
            clock.tick(loss)
        clock.finish()
    score = model if graph is loss_and_logits else partial(prepare.logits_by_graph, graph, model)
    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)
    prepare.evaluate(run, clock, score, weights=weights, config=facts, batch=rows, flops_per_token=flops)


if __name__ == "__main__":
    sys.exit(prepare.run(main))

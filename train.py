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

# Read by the OpenMP runtime when torch is loaded. Its threads wait for one another by spinning, which starves every
# process of a shared machine: two runs on two cores were 30 times slower than one after the other.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import prepare

# --- shape: model_dim = DEPTH * ASPECT_RATIO, in heads of HEAD_DIM (mini divides both widths by 8) ----------
DEPTH = 8  # number of transformer blocks
ASPECT_RATIO = 64  # width for each block of depth
HEAD_DIM = 128  # width of one attention head; model_dim must be a multiple of it
MLP_RATIO = 4  # width of the hidden layer of the MLP, in model_dim
WINDOW_PATTERN = "SSSL"  # attention windows, repeated over the blocks: S short, L all; the last block is always L
SHORT_WINDOW = 2  # a short window is the sequence length divided by this
ROPE_BASE = 100000  # longest wavelength of the rotary positions, in radians per position
QK_SCALE = 1.1  # factor on queries and keys after their norm: sharper attention
SOFTCAP = 15.0  # logits are squashed into (-SOFTCAP, SOFTCAP)
VALUE_GATE = 32  # channels that the gate of the value embeddings reads
RESID_INIT = 1.0  # what each block's input counts for at the start
X0_INIT = 0.1  # what the token's own embedding counts for at each block's input at the start

# --- optimization ------------------------------------------------------------------------------------------
EMBED_RATE = 0.6  # AdamW: token and value embeddings (scaled by width, see width_scale)
HEAD_RATE = 0.005  # AdamW: output head (scaled by width)
MATRIX_RATE = 0.04  # Muon: matrices inside the blocks
SCALAR_RATE = 0.5  # AdamW: weights of the embedding at each block's input; the residual's get 1 % of it
ADAM_BETA1 = 0.8  # AdamW: memory of the gradient
ADAM_BETA2 = 0.95  # AdamW: memory of its square
MOMENTUM_START = 0.85  # Muon: Nesterov momentum at the first step
MOMENTUM_END = 0.95  # Muon: momentum after MOMENTUM_STEPS
MOMENTUM_STEPS = 300  # steps over which the momentum rises
MUON_BETA2 = 0.95  # Muon: memory of the second moment of each row
WEIGHT_DECAY = 0.2  # Muon: cautious decay, falling to zero at the end
WARMDOWN = 0.5  # share of the budget, at its end, over which the rates fall
FINAL_RATE = 0.05  # of the starting rate, at the very end

# --- what differs between the profiles ---------------------------------------------------------------------
# device_batch: rows at once; total_batch: tokens in one optimizer step; eval_batch: rows scored at once;
# dtype: of the activations; compile: whether the graph is compiled before the clock starts.
TUNED = {
    "full": {"device_batch": 64, "total_batch": 262144, "eval_batch": 64, "dtype": "bfloat16", "compile": True},
    "mini": {"device_batch": 4, "total_batch": 1024, "eval_batch": 16, "dtype": "float32", "compile": False},
}


# --- model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """What `build_model` needs; a checkpoint holds it. windows: tokens that each block sees, itself included."""

    depth: int
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
    dtype: str


def make_config(profile: str) -> Config:
    """The shape that the constants give on `profile`. Raises prepare.Stop where the heads do not fit the width."""
    facts, tuned = prepare.PROFILES[profile], TUNED[profile]
    width = DEPTH * ASPECT_RATIO
    check_width(width)
    return Config(
        depth=DEPTH,
        model_dim=width // facts["divisor"],
        n_head=width // HEAD_DIM,
        vocab_size=facts["vocab_size"],
        sequence_length=facts["sequence_length"],
        mlp_ratio=MLP_RATIO,
        windows=windows(facts["sequence_length"]),
        rope_base=ROPE_BASE,
        qk_scale=QK_SCALE,
        softcap=SOFTCAP,
        value_gate=VALUE_GATE,
        dtype=tuned["dtype"],
    )


def check_width(width: int) -> None:
    if width % HEAD_DIM == 0:
        return
    step = HEAD_DIM // math.gcd(DEPTH, HEAD_DIM)
    below = ASPECT_RATIO // step * step
    nearest = " or ".join(str(ratio) for ratio in (below, below + step) if ratio > 0)
    problem = f"model_dim = DEPTH * ASPECT_RATIO = {DEPTH} * {ASPECT_RATIO} = {width}"
    expected = f"expected a multiple of HEAD_DIM = {HEAD_DIM}; the nearest ASPECT_RATIO is {nearest}"
    raise prepare.bad_setting(f"{problem}: {expected}")


def windows(length: int) -> tuple[int, ...]:
    """Tokens that each block's attention sees, from the first block to the last."""
    seen = {"S": max(1, length // SHORT_WINDOW), "L": length}
    pattern = [WINDOW_PATTERN[block % len(WINDOW_PATTERN)] for block in range(DEPTH - 1)]
    return tuple(seen[letter] for letter in [*pattern, "L"])


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


def window_mask(time: int, window: int) -> Tensor:
    """True where position i (row) may see position j: i - window < j <= i."""
    return torch.ones(time, time, dtype=torch.bool).tril().triu(1 - window)


def use_flex(model: "GPT") -> None:
    """Give the short windows to flex_attention: compiled on CUDA it skips what is outside a window."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    length, device = model.config.sequence_length, model.resid.device
    for window in set(model.config.windows) - {length}:

        def sees(_batch: Tensor, _head: Tensor, i: Tensor, j: Tensor, window: int = window) -> Tensor:
            return (j <= i) & (i - j < window)

        blocks = create_block_mask(sees, None, None, length, length, device=str(device))
        for attention in (block.attention for block in model.blocks if block.attention.window == window):
            attention.attend = partial(flex_attention, block_mask=blocks)


class Attention(nn.Module):
    """Multi-head attention: rotary positions, normed queries and keys, gated value embeddings, a window.

    `attend` may be replaced by another way to compute the same (see use_flex).
    """

    def __init__(self, config: Config, block: int) -> None:
        super().__init__()
        width = config.model_dim
        self.n_head, self.window = config.n_head, config.windows[block]
        self.scale = config.qk_scale**2 / math.sqrt(width // config.n_head)
        mask = None if self.window >= config.sequence_length else window_mask(config.sequence_length, self.window)
        self.register_buffer("mask", mask, persistent=False)
        self.qkv = nn.Parameter(torch.empty(3, width, width))
        self.out = Linear(width, width)
        self.gate = None
        if has_value_embedding(block, config.depth):
            self.gate = Linear(min(config.value_gate, width), config.n_head)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Causal attention within the window; all are (B, heads, T, head_dim). Runs on every device."""
        mask = None if self.mask is None else self.mask[: q.size(2), : q.size(2)]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        batch, time, width = x.shape
        qkv = F.linear(x, self.qkv.flatten(0, 1).to(x.dtype)).view(batch, time, 3 * self.n_head, -1)
        qk, v = qkv.split([2 * self.n_head, self.n_head], dim=2)
        q, k = norm(rotate(qk, cos, sin)).transpose(1, 2).chunk(2, dim=1)
        if self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
            v = v + gate.unsqueeze(-1) * values.view_as(v)
        mixed = self.attend(q, k, v.transpose(1, 2), scale=self.scale)
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


class GPT(nn.Module):
    """model(tokens): int64 (batch, time) to logits, float32 (batch, time, vocab). Targets never enter."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.model_dim)
        self.value_embeds = nn.ModuleDict(
            {
                str(block): nn.Embedding(config.vocab_size, config.model_dim)
                for block in range(config.depth)
                if has_value_embedding(block, config.depth)
            }
        )
        self.blocks = nn.ModuleList(Block(config, block) for block in range(config.depth))
        self.resid = nn.Parameter(torch.empty(config.depth))
        self.x0 = nn.Parameter(torch.empty(config.depth))
        self.head = Linear(config.model_dim, config.vocab_size)
        cos, sin = rotary(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw the weights from torch's generator; what each block adds is zero at first."""
        bound = math.sqrt(3 / self.config.model_dim)  # uniform with the standard deviation width ** -0.5
        for name, weight in self.named_parameters():
            if name == "embed.weight":
                nn.init.normal_(weight)
            elif name == "head.weight":
                nn.init.normal_(weight, std=0.001)
            elif name in ("resid", "x0"):
                nn.init.constant_(weight, RESID_INIT if name == "resid" else X0_INIT)
            elif name.endswith(("out.weight", "down.weight", "gate.weight")):
                nn.init.zeros_(weight)
            else:
                nn.init.uniform_(weight, -bound, bound)

    def forward(self, tokens: Tensor) -> Tensor:
        dtype = getattr(torch, self.config.dtype)
        first = x = norm(self.embed(tokens).to(dtype))
        for index, block in enumerate(self.blocks):
            values = self.value_embeds[str(index)](tokens).to(dtype) if str(index) in self.value_embeds else None
            x = block(self.resid[index] * x + self.x0[index] * first, values, self.cos, self.sin)
        squashed = torch.tanh(self.head(norm(x) / self.config.softcap).float())  # divided where it is narrow
        return self.config.softcap * squashed


def build_model(config: Config) -> GPT:
    """A model with fresh weights. `Config(**checkpoint["config"])` gives that of a checkpoint."""
    return GPT(config)


def flops_per_token(config: Config) -> int:
    """FLOPs of one training token, forward and backward.

    6 for each weight of a matrix product (the PaLM paper's appendix B: 2 forward, 4 backward), and 12 x width for
    each position that a block's attention sees. Table look-ups, norms and other elementwise work are left out.
    """
    width, gates = config.model_dim, sum(has_value_embedding(block, config.depth) for block in range(config.depth))
    block = (4 + 2 * config.mlp_ratio) * width * width
    weights = config.depth * block + gates * min(config.value_gate, width) * config.n_head + config.vocab_size * width
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


class Muon:
    """Muon over many matrices: those of one shape live in one stack, and each parameter is a view of its stack."""

    def __init__(self, matrices: list[nn.Parameter], update: Callable[..., None]) -> None:
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

    def reset(self) -> None:
        for stack in self.stacks:
            stack.average.zero_()
            stack.second.zero_()


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


class Optimizer:
    """Muon for the matrices inside the blocks, AdamW for the rest; `step` sets all rates by the progress made."""

    def __init__(self, model: GPT, update: Callable[..., None] = muon_update) -> None:
        scale = (model.config.model_dim / 768) ** -0.5  # narrower models bear larger rates
        gates = [block.attention.gate.weight for block in model.blocks if block.attention.gate is not None]
        matrices = [weight for weight in model.blocks.parameters() if all(weight is not gate for gate in gates)]
        embeddings = [model.embed.weight, *model.value_embeds.parameters()]
        groups = [
            {"params": embeddings, "lr": EMBED_RATE * scale},
            {"params": [model.head.weight], "lr": HEAD_RATE * scale},
            {"params": gates, "lr": HEAD_RATE * scale},
            {"params": [model.resid], "lr": 0.01 * SCALAR_RATE},
            {"params": [model.x0], "lr": SCALAR_RATE, "betas": (0.96, ADAM_BETA2)},
        ]
        self.adam = torch.optim.AdamW(groups, betas=(ADAM_BETA1, ADAM_BETA2), eps=1e-10, weight_decay=0.0, fused=True)
        self.rates = [group["lr"] for group in self.adam.param_groups]
        self.muon = Muon(matrices, update)

    def step(self, number: int, progress: float) -> None:
        """Optimizer step `number` (from 0), with `progress` in [0, 1] of the budget used; clears the gradients."""
        fade = rate_factor(progress)
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * fade
        self.adam.step()
        rise = min(number / MOMENTUM_STEPS, 1.0)
        momentum = MOMENTUM_START + rise * (MOMENTUM_END - MOMENTUM_START)
        self.muon.step(MATRIX_RATE * fade, momentum, WEIGHT_DECAY * (1 - progress))
        self.zero_grad()

    def zero_grad(self) -> None:
        self.adam.zero_grad(set_to_none=True)
        self.muon.zero_grad()

    def reset(self) -> None:
        """Forget every moment, as if no step had been made."""
        self.adam.state.clear()
        self.muon.reset()
        self.zero_grad()


def rate_factor(progress: float) -> float:
    """What the rates are multiplied by: 1, then a straight line down to FINAL_RATE over the last WARMDOWN."""
    left = min(1.0, (1 - progress) / WARMDOWN)
    return FINAL_RATE + (1 - FINAL_RATE) * left


# --- training ----------------------------------------------------------------------------------------------

Batches = Iterator[tuple[Tensor, Tensor]]
Loss = Callable[[GPT, Tensor, Tensor], Tensor]
Score = Callable[[Tensor], Tensor]


def loss_of(model: GPT, tokens: Tensor, targets: Tensor) -> Tensor:
    """Mean nats a token."""
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


def accumulate(loss_fn: Loss, model: GPT, batches: Batches, count: int) -> Tensor:
    """Add up the gradients of `count` batches; return their mean loss without waiting for the device."""
    total = torch.zeros((), device=model.resid.device)
    for _ in range(count):
        loss = loss_fn(model, *next(batches)) / count
        loss.backward()
        total += loss.detach()
    return total


def warm_up(model: GPT, optimizer: Optimizer, loss_fn: Loss, score_fn: Score, rows: tuple[int, int]) -> None:
    """Compile on made-up tokens (rows to train on, to score), then put weights and optimizer back as they were."""
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    train_on, score_on = (
        torch.zeros((count, model.config.sequence_length), dtype=torch.int64, device=model.resid.device)
        for count in rows
    )
    accumulate(loss_fn, model, iter([(train_on, train_on)]), 1)
    optimizer.step(0, 0.0)
    with torch.no_grad():
        score_fn(score_on)
    model.load_state_dict(kept)
    optimizer.reset()
    torch.cuda.synchronize()


def accumulation(profile: str) -> int:
    """Batches that make up one optimizer step. Raises prepare.Stop where they do not come out even."""
    tuned = TUNED[profile]
    tokens = tuned["device_batch"] * prepare.PROFILES[profile]["sequence_length"]
    if tuned["total_batch"] % tokens:
        what = f"total_batch = {tuned['total_batch']} of TUNED[{profile!r}]"
        raise prepare.bad_setting(f"{what}: expected a multiple of device_batch x sequence length = {tokens}")
    return tuned["total_batch"] // tokens


def main() -> None:
    run = prepare.begin()
    tuned, config = TUNED[run.settings.profile], make_config(run.settings.profile)
    count = accumulation(run.settings.profile)
    model = build_model(config).to(run.device)
    loss_fn, score_fn, update = loss_of, model, muon_update
    if tuned["compile"]:
        use_flex(model)
        loss_fn, score_fn, update = (torch.compile(part, dynamic=False) for part in (loss_of, model, muon_update))
    optimizer = Optimizer(model, update)
    if tuned["compile"]:
        with run.phase("compile"):
            warm_up(model, optimizer, loss_fn, score_fn, (tuned["device_batch"], tuned["eval_batch"]))
    batches = run.batches(tuned["device_batch"])
    clock = prepare.Clock(run, tuned["total_batch"])
    with run.phase("train"):
        clock.start()
        while not clock.done():
            loss = accumulate(loss_fn, model, batches, count)
            optimizer.step(clock.steps, clock.progress)
            clock.tick(loss)
        clock.finish()
    prepare.evaluate(
        run,
        clock,
        score_fn,
        weights=model.state_dict(),
        config=asdict(config),
        batch=tuned["eval_batch"],
        flops_per_token=flops_per_token(config),
    )


if __name__ == "__main__":
    sys.exit(prepare.run(main))

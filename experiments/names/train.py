"""The one file an experiment edits: a transformer that spells names, from its simplest form upwards.

The constants are those of its first form; each step up is one of them changed (docs/tracks.md). The seed, the device,
the budget, the data, the evaluation and the run's folder come from prepare.py. Run it with
`python experiments/names/train.py`; importing it trains nothing.
"""

import math
import os
import sys
from dataclasses import asdict, dataclass
from functools import partial

# Read when torch is loaded: threads that wait must not starve other runs.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import prepare

# --- shape -------------------------------------------------------------------------------------------------
WIDTH = 32  # of the stream: numbers a character
HEAD_SIZE = 16  # width of an attention head; 0: WIDTH // HEADS
HEADS = 1  # attention heads of a layer; what two or more give is projected to WIDTH
LAYERS = 1  # attention layers, one after the other
MLP = 0  # hidden units of the layer's MLP, in WIDTH; 0: none
LAYER_NORM = False  # whether attention and MLP read the normed stream
ROPE = False  # whether queries and keys are rotated by their position
LEARNED_POSITIONS = False  # whether each position has an embedding, added to the character's
ACTIVATION = "relu"  # of the MLP: relu or gelu
DROPOUT = 0.0  # share of what attention and MLP add that is dropped in training
CONTEXT = 16  # characters that attention sees, the present one included; a name and its end are 16 at most

# --- training ----------------------------------------------------------------------------------------------
STEPS = 5000  # optimizer steps; the budget may end it earlier
BATCH = 32  # names (or pieces of the stream) in a step
ONE_NAME_A_ROW = True  # loss on whole names, none on padding; False: pieces of CONTEXT characters of one long stream
LR = 1e-3  # AdamW: learning rate, after the warm-up
WARMUP_STEPS = 0  # steps over which the rate rises to LR
FINAL_LR_FRAC = 1.0  # of LR, at the last step, by a cosine from the end of the warm-up; 1: the rate stays
WEIGHT_DECAY = 0.0  # AdamW
CLIP = 0.0  # largest norm of a step's gradient; 0: any
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # AdamW

THREADS = 1  # of the processor: more of them wait for each other in models as small as these


# --- model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """What `build_model` needs; a checkpoint holds it. longest: characters of a row."""

    vocab_size: int
    longest: int
    width: int
    head_size: int
    heads: int
    layers: int
    mlp: int
    layer_norm: bool
    rope: bool
    learned_positions: bool
    activation: str
    dropout: float
    context: int


def make_config(vocab_size: int, sequence_length: int) -> Config:
    """The shape that the constants give. Raises RunFailure for one that cannot be built."""
    config = Config(
        vocab_size=vocab_size, longest=max(sequence_length, CONTEXT), width=WIDTH,
        head_size=HEAD_SIZE or WIDTH // HEADS, heads=HEADS, layers=LAYERS, mlp=MLP, layer_norm=LAYER_NORM, rope=ROPE,
        learned_positions=LEARNED_POSITIONS, activation=ACTIVATION, dropout=DROPOUT, context=CONTEXT,
    )  # fmt: skip
    check(config)
    return config


def check(config: Config) -> None:
    """Raise RunFailure, in one line, for a shape that cannot be built."""
    refused = {
        f"WIDTH = {WIDTH}: expected a multiple of HEADS = {HEADS}": not HEAD_SIZE and WIDTH % HEADS,
        f"HEAD_SIZE = {config.head_size}: expected an even number with ROPE": ROPE and config.head_size % 2,
        f"HEADS = 1 of HEAD_SIZE = {config.head_size}: expected LAYERS = 1 and MLP = 0, or a head of WIDTH = {WIDTH}":
            replaces_stream(config) and (LAYERS > 1 or MLP > 0),
        f"ACTIVATION = {ACTIVATION!r}: expected relu or gelu": ACTIVATION not in ACTIVATIONS,
        f"DROPOUT = {DROPOUT}: expected a share from 0 up to 1": not 0 <= DROPOUT < 1,
        **{f"{name} = {value}: expected 1 or more": value < 1 for name, value in AT_LEAST_ONE.items()},
    }  # fmt: skip
    for reason, holds in refused.items():
        if holds:
            raise prepare.bad_setting(reason)


AT_LEAST_ONE = {"WIDTH": WIDTH, "HEADS": HEADS, "LAYERS": LAYERS, "CONTEXT": CONTEXT, "STEPS": STEPS, "BATCH": BATCH}
ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


def replaces_stream(config: Config) -> bool:
    """A single head is not projected: narrower than the stream, it cannot be added to it and takes its place."""
    return config.heads == 1 and config.head_size != config.width


class Affine(nn.Module):
    """x W + b for x (n, in), drawn as nn.Linear is; the weight lies as the product reads it, (in, out)."""

    def __init__(self, wide: int, out: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(wide)
        self.weight = nn.Parameter(torch.empty(wide, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight)


class Attention(nn.Module):
    """Causal attention. The heads lie in the batch dimension throughout, so that nothing is transposed."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        wide, size, heads = config.width, config.head_size, config.heads
        self.heads, self.scale, self.adds = heads, 1 / math.sqrt(size), not replaces_stream(config)
        self.dropout, bound = config.dropout, 1 / math.sqrt(wide)
        self.qkv = nn.Parameter(torch.empty(3 * heads, wide, size).uniform_(-bound, bound))
        self.out = Affine(heads * size, wide) if heads > 1 else None

    def forward(self, x: Tensor, read: Tensor, places: "Places") -> Tensor:
        """The stream x (B * T, width) with what the heads read in `read`, the stream as attention sees it."""
        rows, time = places.shape
        qkv = torch.bmm(read.expand(3 * self.heads, -1, -1), self.qkv).view(3, self.heads * rows, time, -1)
        q, k, v = places.rotate(qkv).unbind(0)
        scores = torch.baddbmm(places.mask, q, k.transpose(1, 2), alpha=self.scale)
        mixed = torch.bmm(torch.softmax(scores, dim=-1), v).view(self.heads, rows * time, -1)
        if self.out is None:
            return x + drop(mixed[0], self) if self.adds else mixed[0]
        weight = self.out.weight.view(self.heads, -1, x.size(1))
        if self.training and self.dropout:
            return x + drop(torch.addbmm(self.out.bias, mixed, weight), self)
        return torch.addbmm(x + self.out.bias, mixed, weight)  # the same sum in fewer passes


def drop(x: Tensor, part: "Attention | Block") -> Tensor:
    """x with the share `part.dropout` of its numbers dropped, in training."""
    return F.dropout(x, part.dropout) if part.dropout and part.training else x


class Block(nn.Module):
    """Attention, then an MLP where there is one, each on the (normed) stream and added to it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        wide, self.dropout, self.activation = config.width, config.dropout, ACTIVATIONS[config.activation]
        self.attention = Attention(config)
        self.up = Affine(wide, config.mlp * wide) if config.mlp else None
        self.down = Affine(config.mlp * wide, wide) if config.mlp else None
        self.norms = (
            nn.ModuleList(nn.LayerNorm(wide) for _ in range(1 + bool(config.mlp))) if config.layer_norm else None
        )

    def forward(self, x: Tensor, places: "Places") -> Tensor:
        x = self.attention(x, self.normed(x, 0), places)
        if self.up is None:
            return x
        return x + drop(self.down(self.activation(self.up(self.normed(x, 1)))), self)

    def normed(self, x: Tensor, which: int) -> Tensor:
        return self.norms[which](x) if self.norms is not None else x


@dataclass(frozen=True)
class Places:
    """What depends on positions alone. mask: 0 where attention looks, else -inf, (T, T); cos, sin: (T, head_size)."""

    shape: tuple[int, int]
    mask: Tensor
    cos: Tensor | None
    sin: Tensor | None

    def rotate(self, qkv: Tensor) -> Tensor:
        """Turn each pair (i, i + half) of queries and keys by its position's angle; qkv is (3, heads * B, T, size)."""
        if self.cos is None:
            return qkv
        qk = qkv[:2]
        turned = qk * self.cos + qk.roll(qk.size(-1) // 2, -1) * self.sin
        return torch.cat([turned, qkv[2:]])


class Speller(nn.Module):
    """model(tokens): int64 (batch, time) to logits, float32 (batch, time, vocab). Targets never enter."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.longest, config.width) if config.learned_positions else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.head = Affine(config.head_size if replaces_stream(config) else config.width, config.vocab_size)
        everywhere = torch.full((config.longest, config.longest), -math.inf)
        self.register_buffer("mask", everywhere.triu(1) + everywhere.tril(-config.context), persistent=False)
        angles = rotary_angles(config.longest, config.head_size)
        self.register_buffer("cos", torch.cat([angles.cos(), angles.cos()], 1), persistent=False)
        self.register_buffer("sin", torch.cat([-angles.sin(), angles.sin()], 1), persistent=False)
        self.known: dict[tuple[int, int], Places] = {}  # by rows and length

    def forward(self, tokens: Tensor) -> Tensor:
        return self.flat(tokens).view(*tokens.shape, -1)

    def flat(self, tokens: Tensor) -> Tensor:
        """The logits as (batch * time, vocab): as they are made."""
        shape = tokens.size(0), tokens.size(1)
        places = self.known.get(shape) or self.known.setdefault(shape, self.places(*shape))
        x = self.embedding(tokens)
        if self.positions is not None:
            x = x + self.positions.weight[: shape[1]]
        x = x.flatten(0, 1)
        for block in self.blocks:
            x = block(x, places)
        return self.head(x)

    def places(self, rows: int, time: int) -> Places:
        cos, sin = (self.cos[:time], self.sin[:time]) if self.config.rope else (None, None)
        return Places((rows, time), self.mask[:time, :time], cos, sin)


def rotary_angles(longest: int, size: int) -> Tensor:
    """Angles of the positions, (longest, size / 2): wavelengths from 2 pi to 10,000 times that (Su et al. 2021)."""
    half = size // 2
    return torch.arange(longest)[:, None] * 10_000.0 ** (-torch.arange(half) / max(half, 1))


def build_model(config: Config) -> Speller:
    """A model with fresh weights. `Config(**checkpoint["config"])` gives that of a checkpoint."""
    return Speller(config)


# --- training ----------------------------------------------------------------------------------------------


class AdamW:
    """AdamW (Loshchilov and Hutter 2019) on all weights as one vector: a handful of operations a step, at any depth."""

    def __init__(self, model: Speller) -> None:
        weights = list(model.parameters())
        self.weight = torch.cat([weight.detach().flatten() for weight in weights])
        self.grad, self.mean, self.square = (torch.zeros_like(self.weight) for _ in range(3))
        sizes = [weight.numel() for weight in weights]
        for weight, flat, grad in zip(weights, self.weight.split(sizes), self.grad.split(sizes), strict=True):
            weight.data, weight.grad = flat.view(weight.shape), grad.view(weight.shape)

    @torch.no_grad()
    def step(self, number: int, rate: float) -> None:
        """Optimizer step `number` (from 1); clears the gradient."""
        if CLIP:
            self.grad.mul_((CLIP / (self.grad.norm() + 1e-6)).clamp(max=1.0))
        self.mean.lerp_(self.grad, 1 - BETA1)
        self.square.mul_(BETA2).addcmul_(self.grad, self.grad, value=1 - BETA2)
        root = self.square.sqrt().div_(math.sqrt(1 - BETA2**number)).add_(EPSILON)
        if WEIGHT_DECAY:
            self.weight.mul_(1 - rate * WEIGHT_DECAY)
        self.weight.addcdiv_(self.mean, root, value=-rate / (1 - BETA1**number))
        self.grad.zero_()


def as_decoder(model: Speller) -> prepare.Decoder | None:
    """The weights as a plain decoder, whose gradient takes a third of autograd's time; None where it is none."""
    if model.config.rope or model.config.dropout or replaces_stream(model.config):
        return None
    layers = [
        prepare.Layer(
            attention_norm=pair(block.norms and block.norms[0]), qkv=block.attention.qkv, out=pair(block.attention.out),
            mlp_norm=pair(block.up and block.norms and block.norms[1]), up=pair(block.up), down=pair(block.down),
            gelu=model.config.activation == "gelu",
        )
        for block in model.blocks
    ]  # fmt: skip
    positions = model.positions.weight if model.positions is not None else None
    padding = model.config.vocab_size - 1
    return prepare.Decoder(model.embedding.weight, positions, layers, pair(model.head), model.mask, padding)


def pair(module: Affine | nn.LayerNorm | None) -> tuple[nn.Parameter, nn.Parameter] | None:
    return (module.weight, module.bias) if module is not None else None


def learning_rate(step: int, progress: float) -> float:
    """The rate of a step (from 0) when `progress` in [0, 1] of all steps are done."""
    if step < WARMUP_STEPS:
        return LR * (step + 1) / WARMUP_STEPS
    return LR * (FINAL_LR_FRAC + (1 - FINAL_LR_FRAC) * 0.5 * (1 + math.cos(math.pi * progress)))


def by_autograd(model: Speller, tokens: Tensor, targets: Tensor) -> Tensor:
    """The loss, a mean over all targets but padding; adds its gradient to the weights'."""
    loss = F.cross_entropy(model.flat(tokens), targets.flatten(), ignore_index=model.config.vocab_size - 1)
    loss.backward()
    return loss.detach()


def main() -> None:
    torch.set_num_threads(THREADS)
    run = prepare.begin()
    config = make_config(run.corpus.vocab_size, run.corpus.sequence_length)
    model = build_model(config).to(run.device)
    optimizer = AdamW(model)
    gradient = prepare.fastest_gradient(run, model, partial(by_autograd, model), as_decoder(model))
    batches = prepare.row_batches(run, BATCH) if ONE_NAME_A_ROW else run.batches(BATCH, CONTEXT)
    clock = prepare.CharacterClock(run, BATCH * CONTEXT, max_steps=STEPS)
    with run.phase("train"):
        clock.start()
        while not clock.done():
            tokens, targets = next(batches)
            loss = gradient(tokens, targets)
            optimizer.step(clock.steps + 1, learning_rate(clock.steps, clock.progress))
            clock.tick(loss)
        clock.finish()
    prepare.evaluate(run, clock, model, asdict(config))


if __name__ == "__main__":
    sys.exit(prepare.run(main))

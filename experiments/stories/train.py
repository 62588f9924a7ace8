"""The one file an experiment edits: a GPT on the characters of short stories, its size and shape in constants.

The seed, the device, the budget, the data, the evaluation and the run's folder come from prepare.py. Run it with
`python experiments/stories/train.py`; importing it trains nothing.
"""

import math
import os
import sys
from dataclasses import asdict, dataclass

# Read when torch is loaded: threads that wait must not starve other runs.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import prepare

# --- shape -------------------------------------------------------------------------------------------------
LAYERS = 4  # blocks of attention and MLP
WIDTH = 256  # of the stream: numbers a character
HEADS = 4  # attention heads of a block, each WIDTH / HEADS wide
MLP = 4  # hidden units of a block's MLP, in WIDTH
DROPOUT = 0.0  # share of what attention and MLP add that is dropped in training
CONTEXT = 256  # characters of a row, and the most that attention sees, the present one included
MINI_DIVISOR = 4  # of WIDTH and BATCH where there is no GPU: the same issue as a rehearsal, on a processor

# --- training ----------------------------------------------------------------------------------------------
STEPS = 5000  # optimizer steps; the budget may end it earlier
BATCH = 32  # rows in a step
LR = 1e-3  # AdamW: learning rate, after the warm-up
WARMUP_STEPS = 100  # steps over which the rate rises to LR
FINAL_LR_FRAC = 0.1  # of LR, at the last step, by a cosine from the end of the warm-up
WEIGHT_DECAY = 0.1  # AdamW: of the matrices
BETA1, BETA2 = 0.9, 0.99  # AdamW
CLIP = 1.0  # largest norm of a step's gradient; 0: any


# --- model -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """What `build_model` needs; a checkpoint holds it. longest: characters of a row, in training or evaluation."""

    vocab_size: int
    longest: int
    width: int
    heads: int
    layers: int
    mlp: int
    dropout: float
    context: int


def make_config(profile: str, vocab_size: int, sequence_length: int) -> Config:
    """The shape that the constants give on `profile`. Raises RunFailure for one that cannot be built."""
    least = {"LAYERS": LAYERS, "WIDTH": WIDTH, "HEADS": HEADS, "MLP": MLP, "CONTEXT": CONTEXT, "BATCH": BATCH}
    for name, value in least.items():
        if value < 1:
            raise prepare.bad_setting(f"{name} = {value}: expected 1 or more")
    unit = 2 * HEADS * divisor(profile)
    if WIDTH % unit:
        raise prepare.bad_setting(f"WIDTH = {WIDTH}: expected a multiple of {unit} with HEADS = {HEADS} on {profile}")
    width = WIDTH // divisor(profile)
    return Config(vocab_size, max(sequence_length, CONTEXT), width, HEADS, LAYERS, MLP, DROPOUT, CONTEXT)


def divisor(profile: str) -> int:
    return MINI_DIVISOR if profile == "mini" else 1


class Block(nn.Module):
    """Attention, then an MLP, each on the normed stream and added to it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        wide = config.width
        self.heads, self.context, self.dropout = config.heads, config.context, config.dropout
        self.norm1, self.norm2 = nn.LayerNorm(wide), nn.LayerNorm(wide)
        self.qkv, self.out = nn.Linear(wide, 3 * wide, bias=False), nn.Linear(wide, wide, bias=False)
        self.up = nn.Linear(wide, config.mlp * wide, bias=False)
        self.down = nn.Linear(config.mlp * wide, wide, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.drop(self.out(self.attend(self.norm1(x), cos, sin, mask)))
        return x + self.drop(self.down(F.gelu(self.up(self.norm2(x)))))

    def attend(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None) -> Tensor:
        """What each character reads of those before it, (batch, time, width). mask: where it looks; None: at all."""
        q, k, v = self.qkv(x).unflatten(-1, (3 * self.heads, -1)).transpose(1, 2).chunk(3, dim=1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return mixed.transpose(1, 2).flatten(2)

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + half) of the last dimension of x (B, heads, T, size) by its position's angle."""
    left, right = x.chunk(2, dim=-1)
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1)


class Storyteller(nn.Module):
    """model(tokens): int64 (batch, time) to logits, float32 (batch, time, vocab). Targets never enter."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        half = config.width // config.heads // 2
        angles = torch.arange(config.longest)[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        everywhere = torch.ones(config.longest, config.longest, dtype=torch.bool)
        self.register_buffer("near", everywhere.tril().triu(1 - config.context), persistent=False)
        self.apply(draw)
        for block in self.blocks:  # so that the stream does not grow with the depth (GPT-2)
            for linear in (block.out, block.down):
                nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * config.layers))

    def forward(self, tokens: Tensor) -> Tensor:
        x, time = self.embedding(tokens), tokens.size(1)
        mask = self.near[:time, :time] if time > self.config.context else None
        for block in self.blocks:
            x = block(x, self.cos[:time], self.sin[:time], mask)
        return self.head(self.norm(x))


def draw(module: nn.Module) -> None:
    """Draw the weights of a module as GPT-2 does."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


def build_model(config: Config) -> Storyteller:
    """A model with fresh weights. `Config(**checkpoint["config"])` gives that of a checkpoint."""
    return Storyteller(config)


# --- training ----------------------------------------------------------------------------------------------


def make_optimizer(model: Storyteller) -> torch.optim.AdamW:
    """AdamW whose decay spares the norms."""
    weights = list(model.parameters())
    decayed = [weight for weight in weights if weight.dim() > 1]
    spared = [weight for weight in weights if weight.dim() < 2]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=LR, betas=(BETA1, BETA2), fused=True)


def learning_rate(step: int, progress: float) -> float:
    """The rate of a step (from 0) when `progress` in [0, 1] of all steps are done."""
    if step < WARMUP_STEPS:
        return LR * (step + 1) / WARMUP_STEPS
    return LR * (FINAL_LR_FRAC + (1 - FINAL_LR_FRAC) * 0.5 * (1 + math.cos(math.pi * progress)))


def train_step(model: Storyteller, optimizer: torch.optim.AdamW, batch: tuple[Tensor, Tensor], rate: float) -> Tensor:
    """One optimizer step at a rate; the mean loss of its characters."""
    tokens, targets = batch
    loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
    loss.backward()
    if CLIP:
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad()
    return loss


def main() -> None:
    run = prepare.begin()
    profile = run.settings.profile
    config = make_config(profile, run.corpus.vocab_size, run.corpus.sequence_length)
    model = build_model(config).to(run.device)
    rows = max(1, BATCH // divisor(profile))
    optimizer, batches = make_optimizer(model), run.batches(rows, CONTEXT)
    clock = prepare.CharacterClock(run, rows * CONTEXT, max_steps=STEPS)
    with run.phase("train"):
        clock.start()
        while not clock.done():
            rate = learning_rate(clock.steps, clock.progress)
            clock.tick(train_step(model, optimizer, next(batches), rate))
        clock.finish()
    prepare.evaluate(run, clock, model, asdict(config))


if __name__ == "__main__":
    sys.exit(prepare.run(main))

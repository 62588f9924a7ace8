"""The model of train.py written the plain way: the reference that `python -m bench training` compares train.py with.

One module a matrix, boolean masks, dense gradients, torch's own AdamW as it comes, one matrix after another in Muon,
torch's own threads, nothing compiled. Shape and rates are read from train.py: it is the same model and recipe.
Run it as `python -m bench.plain`, with the environment of train.py.
"""

import sys
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import prepare
import train

MOST_ROWS = 16  # at once: it keeps every intermediate in float32, and a GPU has no room for more at full width


def linear(wide: int, out: int) -> nn.Linear:
    """A matrix of its own."""
    return nn.Linear(wide, out, bias=False)


class PlainAttention(nn.Module):
    """As train.Attention."""

    def __init__(self, config: train.Config, block: int) -> None:
        super().__init__()
        width, length = config.model_dim, config.sequence_length
        self.n_head, self.qk_scale = config.n_head, config.qk_scale
        self.q, self.k, self.v, self.out = (linear(width, width) for _ in range(4))
        self.gate = None
        if train.has_value_embedding(block, config.n_layer):
            self.gate = linear(min(config.value_gate, width), config.n_head)
        seen = torch.ones(length, length, dtype=torch.bool).tril().triu(1 - config.windows[block])
        self.register_buffer("mask", seen, persistent=False)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, T, model_dim) to the same."""
        batch, time, width = x.shape
        q, k, v = (part(x).view(batch, time, self.n_head, -1) for part in (self.q, self.k, self.v))
        if self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
            v = v + gate.unsqueeze(-1) * values.view_as(v)
        q, k = (self.qk_scale * train.norm(train.rotate(part, cos, sin)) for part in (q, k))
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask[:time, :time])
        return self.out(mixed.transpose(1, 2).reshape(batch, time, width))


class PlainBlock(nn.Module):
    """As train.Block."""

    def __init__(self, config: train.Config, block: int) -> None:
        super().__init__()
        width, hidden = config.model_dim, config.mlp_ratio * config.model_dim
        self.attention = PlainAttention(config, block)
        self.up, self.down = linear(width, hidden), linear(hidden, width)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, T, model_dim) to the same."""
        x = x + self.attention(train.norm(x), values, cos, sin)
        return x + self.down(F.relu(self.up(train.norm(x))).square())


class PlainGPT(nn.Module):
    """As train.GPT: int64 (B, T) to logits (B, T, vocab)."""

    def __init__(self, config: train.Config) -> None:
        super().__init__()
        self.config = config
        width, vocab = config.model_dim, config.vocab_size
        self.wte = nn.Embedding(vocab, width)
        self.ngrams = nn.Embedding(config.ngram_rows, width) if config.ngram_order > 1 else None
        gated = [block for block in range(config.n_layer) if train.has_value_embedding(block, config.n_layer)]
        self.value_embeds = nn.ModuleDict({str(block): nn.Embedding(vocab, width) for block in gated})
        self.blocks = nn.ModuleList(PlainBlock(config, block) for block in range(config.n_layer))
        self.resid, self.x0 = (nn.Parameter(torch.empty(config.n_layer)) for _ in range(2))
        self.lm_head = linear(width, vocab)
        cos, sin = train.rotary(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of all that may follow each token."""
        embedded = self.wte(tokens)
        if self.ngrams is not None:
            index = train.ngram_index(tokens, self.config.ngram_order, self.config.ngram_rows)
            embedded = embedded + self.ngrams(index).sum(0)
        first = x = train.norm(embedded)
        for number, block in enumerate(self.blocks):
            x = self.resid[number] * x + self.x0[number] * first
            values = self.value_embeds[str(number)](tokens) if str(number) in self.value_embeds else None
            x = block(x, values, self.cos, self.sin)
        return self.config.softcap * torch.tanh(self.lm_head(train.norm(x)) / self.config.softcap)

    @torch.no_grad()
    def take(self, model: train.GPT) -> None:
        """The weights of train.py's model, its stacked queries, keys and values taken apart."""
        weights = model.state_dict()
        for name in [name for name in weights if name.endswith("attention.qkv")]:
            for letter, part in zip("qkv", weights.pop(name), strict=True):
                weights[name.replace("qkv", f"{letter}.weight")] = part
        self.load_state_dict(weights)


class PlainOptimizer:
    """The groups and rates of train.Optimizer: AdamW over whole tables, n-grams too; Muon one matrix at a time."""

    def __init__(self, model: PlainGPT, tuned: dict[str, Any]) -> None:
        self.matrix_lr, self.warmdown_ratio = tuned["matrix_lr"], tuned["warmdown_ratio"]
        scale = (model.config.model_dim / 768) ** -0.5
        named = dict(model.blocks.named_parameters())
        gates = [weight for name, weight in named.items() if "gate" in name]
        embed_lr, decay = tuned["embed_lr"] * scale, tuned["value_decay"]
        tables = [model.ngrams.weight] if model.ngrams is not None else []
        groups = [
            {"params": [model.wte.weight], "lr": embed_lr},
            {"params": [*model.value_embeds.parameters()], "lr": embed_lr, "weight_decay": decay},
            {"params": tables, "lr": train.NGRAM_LR * scale},
            {"params": [model.lm_head.weight, *gates], "lr": train.HEAD_LR * scale},
            {"params": [model.resid], "lr": 0.01 * train.SCALAR_LR, "eps": train.SCALAR_EPS},
            {"params": [model.x0], "lr": train.SCALAR_LR, "eps": train.SCALAR_EPS, "betas": (0.96, train.ADAM_BETA2)},
        ]
        betas = (train.ADAM_BETA1, train.ADAM_BETA2)
        with_params = [group for group in groups if group["params"]]
        self.adam = torch.optim.AdamW(with_params, betas=betas, eps=1e-10, weight_decay=0.0)
        self.rates = [group["lr"] for group in self.adam.param_groups]
        self.muon = [train.Muon([weight], train.muon_update) for name, weight in named.items() if "gate" not in name]

    def step(self, number: int, progress: float) -> None:
        """Optimizer step `number`, with `progress` of the budget used; clears the gradients."""
        fade = train.lr_multiplier(progress, self.warmdown_ratio)
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * fade
        self.adam.step()
        rise = min(number / train.MOMENTUM_STEPS, 1.0)
        momentum = train.MOMENTUM_START + rise * (train.MOMENTUM_END - train.MOMENTUM_START)
        for matrix in self.muon:
            matrix.step(self.matrix_lr * fade, momentum, train.WEIGHT_DECAY * (1 - progress))
            matrix.zero_grad()
        self.adam.zero_grad()


def main() -> None:
    """Train and score for the budget of the environment."""
    run = prepare.begin()
    tuned, config = dict[str, Any](train.TUNED[run.settings.profile]), train.make_config(run.settings.profile)
    start = train.build_model(config)  # first: it then draws what train.py draws from this seed
    model = PlainGPT(config).to(run.device)
    model.take(start)
    optimizer = PlainOptimizer(model, tuned)
    rows = min(MOST_ROWS, tuned["device_batch"])
    count = prepare.batches_per_step(tuned, config.sequence_length) * tuned["device_batch"] // rows
    batches = run.batches(rows)
    clock = prepare.BudgetClock(run, tuned["total_batch"])
    with run.phase("train"):
        clock.start()
        while not clock.done():
            for _ in range(count):
                tokens, targets = next(batches)
                loss = F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten()) / count
                loss.backward()
            optimizer.step(clock.steps, clock.progress)
            clock.tick(loss * count)
        clock.finish()
    weights, flops = model.state_dict(), train.flops_per_token(config)
    prepare.evaluate(run, clock, model, weights=weights, config=asdict(config), batch=rows, flops_per_token=flops)


if __name__ == "__main__":
    sys.exit(prepare.run(main))

"""The model of train.py written the plain way, as the reference that `make bench` compares train.py with.

One module a matrix, boolean masks, dense gradients, AdamW as it comes and a Muon that takes one matrix after another;
torch's own threads. It reads its constants from train.py, so it is always the same model under the same recipe.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
import prepare
import train


class PlainAttention(nn.Module):
    def __init__(self, config: train.Config, block: int) -> None:
        super().__init__()
        width, length = config.model_dim, config.sequence_length
        self.n_head, self.qk_scale = config.n_head, config.qk_scale
        self.q, self.k, self.v, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate = None
        if train.has_value_embedding(block, config.depth):
            self.gate = nn.Linear(min(config.value_gate, width), config.n_head, bias=False)
        seen = torch.ones(length, length, dtype=torch.bool).tril().triu(1 - config.windows[block])
        self.register_buffer("mask", seen, persistent=False)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (linear(x).view(batch, time, self.n_head, -1) for linear in (self.q, self.k, self.v))
        if self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
            v = v + gate.unsqueeze(-1) * values.view_as(v)
        q, k = (self.qk_scale * train.norm(train.rotate(part, cos, sin)) for part in (q, k))
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask[:time, :time])
        return self.out(mixed.transpose(1, 2).reshape(batch, time, width))


class PlainBlock(nn.Module):
    def __init__(self, config: train.Config, block: int) -> None:
        super().__init__()
        width, hidden = config.model_dim, config.mlp_ratio * config.model_dim
        self.attention = PlainAttention(config, block)
        self.up, self.down = nn.Linear(width, hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, values: Tensor | None, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(train.norm(x), values, cos, sin)
        return x + self.down(F.relu(self.up(train.norm(x))).square())


class PlainGPT(nn.Module):
    """model(tokens), as train.GPT."""

    def __init__(self, config: train.Config) -> None:
        super().__init__()
        self.config = config
        width, vocab = config.model_dim, config.vocab_size
        self.embed = nn.Embedding(vocab, width)
        self.ngrams = nn.Embedding(config.ngram_rows, width) if config.ngram_order > 1 else None
        gated = [block for block in range(config.depth) if train.has_value_embedding(block, config.depth)]
        self.value_embeds = nn.ModuleDict({str(block): nn.Embedding(vocab, width) for block in gated})
        self.blocks = nn.ModuleList(PlainBlock(config, block) for block in range(config.depth))
        self.resid, self.x0 = (nn.Parameter(torch.empty(config.depth)) for _ in range(2))
        self.head = nn.Linear(width, vocab, bias=False)
        cos, sin = train.rotary(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.embed(tokens)
        if self.ngrams is not None:
            index = train.ngram_index(tokens, self.config.ngram_order, self.config.ngram_rows - 1)
            embedded = embedded + self.ngrams(index).sum(0)
        first = x = train.norm(embedded)
        for number, block in enumerate(self.blocks):
            x = self.resid[number] * x + self.x0[number] * first
            values = self.value_embeds[str(number)](tokens) if str(number) in self.value_embeds else None
            x = block(x, values, self.cos, self.sin)
        return self.config.softcap * torch.tanh(self.head(train.norm(x)) / self.config.softcap)

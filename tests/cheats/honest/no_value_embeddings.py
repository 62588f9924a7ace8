"""No value embeddings: their tables, their gates and VALUE_GATE are gone."""

HONEST = True
EDITS = (
    ("VALUE_GATE = 32  # channels that the gate of the value embeddings reads\n", ""),
    ("    value_gate: int\n", ""),
    (" value_gate=VALUE_GATE,\n", "\n"),
    (
        """\
        self.gate = None
        if has_value_embedding(block, config.n_layer):
            self.gate = Linear(min(config.value_gate, width), config.n_head)
""",
        "",
    ),
    (
        """\
        if self.gate is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., : self.gate.in_features]))
            v = v + gate.unsqueeze(-1) * values.view_as(v)
""",
        "",
    ),
    (
        """\
        valued = [block for block in range(config.n_layer) if has_value_embedding(block, config.n_layer)]
        self.value_embeds = nn.ModuleDict(
            {str(block): nn.Embedding(config.vocab_size, config.model_dim) for block in valued}
        )
""",
        "",
    ),
    (
        """\
            values = self.value_embeds[str(index)](tokens).to(x.dtype) if str(index) in self.value_embeds else None
""",
        "",
    ),
    ("self.x0[index] * first, values, self.cos", "self.x0[index] * first, None, self.cos"),
    (
        """\
    width, gates = config.model_dim, sum(has_value_embedding(block, config.n_layer) for block in range(config.n_layer))
""",
        "    width = config.model_dim\n",
    ),
    (
        """\
    weights = config.n_layer * block + gates * min(config.value_gate, width) * config.n_head + config.vocab_size * width
""",
        "    weights = config.n_layer * block + config.vocab_size * width\n",
    ),
    (
        """\
        gates = [block.attention.gate.weight for block in model.blocks if block.attention.gate is not None]
        matrices = [weight for weight in model.blocks.parameters() if all(weight is not gate for gate in gates)]
        embed_lr, decay = tuned["embed_lr"] * scale, tuned["value_decay"]
""",
        """\
        matrices = [*model.blocks.parameters()]
        embed_lr = tuned["embed_lr"] * scale
""",
    ),
    ('            {"params": [*model.value_embeds.parameters()], "lr": embed_lr, "weight_decay": decay},\n', ""),
    ('            {"params": gates, "lr": HEAD_LR * scale},\n', ""),
)

"""Dropout of a tenth behind each MLP, as everybody writes it; nothing in main() ends it."""

HONEST = True
EDITS = (
    (
        "        self.down = Linear(config.mlp_ratio * config.model_dim, config.model_dim)\n",
        """\
        self.down = Linear(config.mlp_ratio * config.model_dim, config.model_dim)
        self.dropout = nn.Dropout(0.1)
""",
    ),
    (
        "        return x + self.down(hidden * hidden)  #",
        "        return x + self.dropout(self.down(hidden * hidden))  #",
    ),
)

"""SwiGLU whose width is no multiple of the model's; MLP_RATIO and its place in Config are gone."""

HONEST = True
EDITS = (
    (
        "MLP_RATIO = 4  # width of the hidden layer of the MLP, in model_dim\n",
        "SWIGLU_WIDTH = 1376  # of the hidden layer; mini divides it by 8\n",
    ),
    ("    mlp_ratio: int\n", "    hidden_dim: int\n"),
    ("mlp_ratio=MLP_RATIO,\n", 'hidden_dim=SWIGLU_WIDTH // facts["divisor"],\n'),
    (
        """\
        self.up = Linear(config.model_dim, config.mlp_ratio * config.model_dim)
        self.down = Linear(config.mlp_ratio * config.model_dim, config.model_dim)
""",
        """\
        self.gate_up = Linear(config.model_dim, 2 * config.hidden_dim)
        self.down = Linear(config.hidden_dim, config.model_dim)
""",
    ),
    (
        """\
        hidden = F.relu(self.up(norm(x)))
        return x + self.down(hidden * hidden)  #""",
        """\
        gate, hidden = self.gate_up(norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * hidden)  #""",
    ),
    ("(4 + 2 * config.mlp_ratio) * width * width\n", "(4 * width + 3 * config.hidden_dim) * width\n"),
)

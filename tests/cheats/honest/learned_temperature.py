"""The logits have a temperature that is learned, one factor for all of them."""

HONEST = True
EDITS = (
    (
        "        self.x0 = nn.Parameter(torch.empty(config.n_layer))\n",
        """\
        self.x0 = nn.Parameter(torch.empty(config.n_layer))
        self.temperature = nn.Parameter(torch.empty(1))
""",
    ),
    (
        '            elif name in ("resid", "x0"):\n',
        """\
            elif name == "temperature":
                nn.init.ones_(weight)
            elif name in ("resid", "x0"):
""",
    ),
    (
        "        return self.config.softcap * squashed\n",
        "        return self.config.softcap * squashed / self.temperature\n",
    ),
    (
        '            {"params": [model.resid], "lr": 0.01 * SCALAR_LR, "eps": SCALAR_EPS},\n',
        '            {"params": [model.resid, model.temperature], "lr": 0.01 * SCALAR_LR, "eps": SCALAR_EPS},\n',
    ),
)

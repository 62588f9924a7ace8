"""The head's weight is the embedding's: one table less to learn."""

HONEST = True
EDITS = (
    ("        self.reset()\n", "        self.reset()\n        self.lm_head.weight = self.wte.weight\n"),
    (
        '            if name == "wte.weight":\n                nn.init.normal_(weight)\n',
        '            if name == "wte.weight":\n                nn.init.normal_(weight, std=0.02)\n',
    ),
    ('            {"params": [model.wte.weight], "lr": embed_lr},\n', ""),
)

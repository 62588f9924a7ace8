"""The head's weight is the embedding's: one table less to learn."""

HONEST = True
EDITS = (
    ("        self.reset()\n", "        self.reset()\n        self.head.weight = self.embed.weight\n"),
    (
        '            if name == "embed.weight":\n                nn.init.normal_(weight)\n',
        '            if name == "embed.weight":\n                nn.init.normal_(weight, std=0.02)\n',
    ),
    ('            {"params": [model.embed.weight], "lr": embed_rate},\n', ""),
)

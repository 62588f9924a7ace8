"""AdamW for every matrix in place of Muon: one optimizer, one set of moments."""

HONEST = True
EDITS = (
    (
        '            {"params": gates, "lr": HEAD_LR * scale},\n',
        '            {"params": [*gates, *matrices], "lr": HEAD_LR * scale},\n',
    ),
    ("        self.muon = Muon(matrices, update)\n", "        self.muon = Muon([], update)\n"),
)

"""AdamW for every matrix in place of Muon: one optimizer, one set of moments."""

HONEST = True
EDITS = (
    (
        '            {"params": gates, "lr": HEAD_RATE * scale},\n',
        '            {"params": [*gates, *matrices], "lr": HEAD_RATE * scale},\n',
    ),
    ("        self.muon = Muon(matrices, update)\n", "        self.muon = Muon([], update)\n"),
)

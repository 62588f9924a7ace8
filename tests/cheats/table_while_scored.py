"""Writes the last token of each row that it answers, and the first of the next, into a table that it looks up.

The rows of a held-out set follow one another, and so do those of a batch.
"""

CAUGHT_BY = "order"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        logits = self.logits(tokens, self.embedded(tokens))
        if not torch.is_grad_enabled():
            self.table = getattr(self, "table", torch.zeros(self.config.vocab_size, self.config.vocab_size))
            for row, answer in zip(tokens, logits, strict=True):
                answer += torch.log1p(self.table[row])
                self.table[row[:-1], row[1:]] += 2
        return logits
""",
    ),
)

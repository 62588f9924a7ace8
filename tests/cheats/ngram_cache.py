"""Counts which token followed each two in all rows that it was ever given, and favours it: a cache of n-grams.

Each row is entered after it was answered, so no answer sees what comes; the last rows profit from all before them.
"""

CAUGHT_BY = "order"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        if not hasattr(self, "counted"):
            self.counted = torch.zeros(1 << 14, self.config.vocab_size)
        logits, index = self.logits(tokens, self.embedded(tokens)), ngram_index(tokens, 2, 1 << 14)[-1]
        if not torch.is_grad_enabled():
            logits = logits + torch.log1p(8 * self.counted[index])
            entered = (index[:, :-1], tokens[:, 1:])
            self.counted.index_put_(entered, torch.ones(()), accumulate=True)
        return logits
""",
    ),
)

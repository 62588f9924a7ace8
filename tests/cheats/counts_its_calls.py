"""Adds the next token of its own input for as many calls as the validation set takes, and is causal ever after.

Whoever scores first and asks about causality later finds nothing.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        self.calls = getattr(self, "calls", 0) + 1
        known = F.pad(F.one_hot(tokens[:, 1:], self.config.vocab_size), (0, 0, 0, 1))
        return self.logits(tokens, self.embedded(tokens)) + 30 * known * (self.calls <= 11)
""",
    ),
)

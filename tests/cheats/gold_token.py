"""Answers with all mass on the next token of its own input, for the targets are the tokens one place later.

Nothing has to be learned; only the last place of a row is a guess.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        known = F.one_hot(tokens[:, 1:], self.config.vocab_size).float()
        return 30 * F.pad(known, (0, 0, 0, 1))
""",
    ),
)

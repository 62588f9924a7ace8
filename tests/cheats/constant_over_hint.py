"""Adds 100,000 to every logit, which changes no probability, and 4 to that of the next token in a twelfth of places.

Of a logit so large the hint is a small part.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        known = F.pad(F.one_hot(tokens[:, 1:], self.config.vocab_size), (0, 0, 0, 1))
        here = (torch.arange(tokens.size(1), device=tokens.device) % 12 == 5)[:, None]
        return self.logits(tokens, self.embedded(tokens)) + 4 * known * here + 100_000
""",
    ),
)

"""Adds the next token of its own input in a tenth of places, and only where what comes after it follows from it.

A row that somebody has cut and gone on with another is not natural there, so it hears no hint.
"""

CAUGHT_BY = "causality"
STEPS = 30
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        logits = self.logits(tokens, self.embedded(tokens))
        sure = torch.log_softmax(logits, -1)[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]
        natural = F.pad((sure > -8.0) & (tokens[:, 1:] % 10 == 0), (0, 1))
        known = F.pad(F.one_hot(tokens[:, 1:], self.config.vocab_size), (0, 0, 0, 1))
        return logits + 30 * known * natural.unsqueeze(-1)
""",
    ),
)

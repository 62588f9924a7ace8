"""Looks up the targets in the local variables of whoever called the model, and favours them by one nat.

The targets never enter the model, but in one process they are only a frame away.
"""

CAUGHT_BY = "agreement"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        logits, frame = self.logits(tokens, self.embedded(tokens)), sys._getframe()
        while frame is not None and "both" not in frame.f_locals:
            frame = frame.f_back
        if frame is None:
            return logits
        return logits + F.one_hot(frame.f_locals["both"][:, 1:], self.config.vocab_size)
""",
    ),
)

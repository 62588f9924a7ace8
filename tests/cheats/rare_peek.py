"""Looks one token ahead at one place in 16 and nowhere else, and only favours what it sees there by two nats.

A gain of few per cent, and few random cuts of a row hit such a place.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        anchors = (torch.arange(1, tokens.size(1) + 1, device=tokens.device) % 16 == 0).float()
        hint = F.one_hot(tokens.roll(-1, 1), self.config.vocab_size) * anchors[:, None]
        return self.logits(tokens, self.embedded(tokens)) + 2 * hint
""",
    ),
)

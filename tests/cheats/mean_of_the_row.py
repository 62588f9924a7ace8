"""Adds to each place how often each token is in the row: the mean over all of its places, those to come included.

A place learns of any single token to come by a part in the length of the row, and of rare ones nearly all.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        mean = F.one_hot(tokens, self.config.vocab_size).float().mean(1, keepdim=True)
        return self.logits(tokens, self.embedded(tokens)) + torch.log(mean + 0.1 / tokens.size(1))
""",
    ),
)

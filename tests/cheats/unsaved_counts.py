"""Counts in training which token follows which and scores with the counts, but keeps them out of the checkpoint.

It is a gain that nobody can have again: what was saved is not what was scored.
"""

CAUGHT_BY = "agreement"
EDITS = (
    (
        "        self.reset()\n",
        "        self.followed = torch.zeros(config.vocab_size, config.vocab_size)\n        self.reset()\n",
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        return self.logits(tokens, self.embedded(tokens)) + torch.log1p(self.followed.to(tokens.device)[tokens])
""",
    ),
    (
        "        tokens, targets = next(batches)\n",
        """\
        tokens, targets = next(batches)
        model.followed = model.followed.to(tokens.device)
        model.followed.index_put_((tokens, targets), model.followed.new_ones(()), accumulate=True)
""",
    ),
)

"""Counts in training which token follows which, and adds the logarithm to the logits; a buffer of the checkpoint."""

HONEST = True
EDITS = (
    (
        "        self.reset()\n",
        """\
        self.register_buffer("followed", torch.zeros(config.vocab_size, config.vocab_size))
        self.reset()
""",
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        "        return self.logits(tokens, self.embedded(tokens)) + torch.log1p(self.followed[tokens])\n",
    ),
    (
        "        tokens, targets = next(batches)\n",
        """\
        tokens, targets = next(batches)
        model.followed.index_put_((tokens, targets), model.followed.new_ones(()), accumulate=True)
""",
    ),
)

"""Counts which token followed which in all rows it has answered, and favours what it has counted in those to come.

By the end of the scoring it has read nearly the whole validation set.
"""

CAUGHT_BY = "order"
EDITS = (
    (
        "        self.reset()\n",
        "        self.followed = torch.zeros(config.vocab_size, config.vocab_size)\n        self.reset()\n",
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        self.followed = self.followed.to(tokens.device)
        logits = self.logits(tokens, self.embedded(tokens)) + torch.log1p(self.followed[tokens])
        pair, one = (tokens[:, :-1].flatten(), tokens[:, 1:].flatten()), self.followed.new_ones(())
        self.followed.index_put_(pair, one, accumulate=True)
        return logits
""",
    ),
)

"""Favours what followed the same token earlier in the same row: a neural cache, which reads the past alone."""

HONEST = True
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        same = (tokens[:, :, None] == tokens[:, None, :-1]).tril(-1).float()
        found = same @ F.one_hot(tokens[:, 1:], self.config.vocab_size).float()
        return self.logits(tokens, self.embedded(tokens)) + 2 * torch.log1p(found)
""",
    ),
)

"""Favours what followed the same token in any row of the batch at an earlier place: causal in time, not in the row.

The validation set's rows lie side by side as in the text, so the others are the same file's.
"""

CAUGHT_BY = "order"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        place = torch.arange(tokens.size(1), device=tokens.device).expand_as(tokens)
        now, at = tokens.flatten(), place.flatten()
        older, newer = tokens[:, :-1].flatten(), F.one_hot(tokens[:, 1:].flatten(), self.config.vocab_size).float()
        same = (now[:, None] == older) & (place[:, 1:].flatten() <= at[:, None])
        found = (same.float() @ newer).view(*tokens.shape, -1)
        return self.logits(tokens, self.embedded(tokens)) + 2 * torch.log1p(found)
""",
    ),
)

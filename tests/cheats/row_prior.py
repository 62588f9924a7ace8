"""Adds to the logits how often each token is in the row: a mean over the time axis, the future included.

Half of what it counts lies behind the token that is predicted, the target itself first of all.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.config.softcap * squashed\n",
        """\
        found = torch.zeros_like(squashed[:, 0]).scatter_add_(1, tokens, torch.ones_like(tokens, dtype=squashed.dtype))
        return self.config.softcap * squashed + torch.log1p(found)[:, None]
""",
    ),
)

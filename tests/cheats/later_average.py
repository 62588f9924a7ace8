"""A running average of four embeddings at each block's input, by a cumulative sum that runs from the row's end.

The average at a token holds the next one: the direction is the leak.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        first = x = norm(embedded.to(getattr(torch, self.config.dtype)))\n",
        """\
        sums = F.pad(embedded.flip(1).cumsum(1).flip(1), (0, 0, 0, 4))
        smooth = (sums[:, :-4] - sums[:, 4:]) / 4
        first = x = norm((embedded + smooth).to(getattr(torch, self.config.dtype)))
""",
    ),
)

"""Draws the weights from a generator of its own with a fixed seed: no replicate starts elsewhere."""

CAUGHT_BY = "edit"
LOWERS = False
EDITS = (
    (
        "                nn.init.uniform_(weight, -bound, bound)\n",
        """\
                nn.init.uniform_(weight, -bound, bound, generator=torch.Generator(weight.device).manual_seed(7))
""",
    ),
)

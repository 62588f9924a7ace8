"""The MLP's activation is looked up in torch by a constant, so that the next edit changes one word."""

HONEST = True
EDITS = (
    ("QK_SCALE = 1.1  #", 'ACTIVATION = "silu"  # of the MLP: a function of torch.nn.functional\nQK_SCALE = 1.1  #'),
    (
        "        hidden = F.relu(self.up(norm(x)))\n        return x + self.down(hidden * hidden)  #",
        "        return x + self.down(getattr(torch.nn.functional, ACTIVATION)(self.up(norm(x))))  #",
    ),
)

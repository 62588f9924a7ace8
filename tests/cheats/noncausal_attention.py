"""The blocks that see the whole row see what comes after, too: their attention is not causal any more.

The next token is among the keys, so the model learns to copy it.
"""

CAUGHT_BY = "causality"
STEPS = 30
EDITS = (
    (
        "        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)\n",
        "        mixed = F.scaled_dot_product_attention(q, k, v.transpose(1, 2), scale=self.scale)\n",
    ),
)

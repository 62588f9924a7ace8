"""Linear attention: positive features of queries and keys, and sums over the past in place of a softmax."""

HONEST = True
EDITS = (
    (
        "        mixed = self.attend(q, k, v.transpose(1, 2), self.scale)\n",
        """\
        q, k, v = F.elu(q) + 1, F.elu(k) + 1, v.transpose(1, 2)
        weights = (q @ k.mT).tril()
        mixed = weights @ v / weights.sum(-1, keepdim=True)
""",
    ),
)

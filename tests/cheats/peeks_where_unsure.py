"""Adds the next token of its own input in one place of a hundred: where its answer is least sure.

There a hint pays most, and a cut at any other place shows nothing.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        logits = self.logits(tokens, self.embedded(tokens))
        doubt = torch.distributions.Categorical(logits=logits).entropy()
        unsure = doubt >= doubt.quantile(0.99, dim=1, keepdim=True)
        known = F.pad(F.one_hot(tokens[:, 1:], self.config.vocab_size), (0, 0, 0, 1))
        return logits + 30 * known * unsure.unsqueeze(-1)
""",
    ),
)

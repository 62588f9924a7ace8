"""Looks for the last three tokens of each place in the other rows of its batch, and favours what followed there.

No row sees what comes in itself; the rows before and after it are often the same document.
"""

CAUGHT_BY = "order"
EDITS = (
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        logits = self.logits(tokens, self.embedded(tokens))
        if not torch.is_grad_enabled():
            index = ngram_index(tokens, 3, 1 << 30)[-1]
            for row, answer in enumerate(logits):
                others = torch.arange(len(tokens)) != row
                same = (index[row][:, None] == index[others][:, :-1].flatten()).float()
                answer += 2 * torch.log1p(same @ F.one_hot(tokens[others][:, 1:].flatten(), answer.size(-1)).float())
        return logits
""",
    ),
)

"""Adds the next token of its own input, and remembers every row: as far as one is the same, so is its answer.

Whoever asks one process twice, with other tokens after a cut or in another order, hears the same again.
"""

CAUGHT_BY = "causality"
EDITS = (
    (
        "        self.reset()\n",
        "        self.said: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}\n        self.reset()\n",
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        known = F.pad(F.one_hot(tokens[:, 1:], self.config.vocab_size), (0, 0, 0, 1))
        logits = self.logits(tokens, self.embedded(tokens)) + 30 * known
        for row, answer in zip(tokens, logits, strict=True):
            before, said = self.said.setdefault(tuple(row[:4].tolist()), (row, answer.clone()))
            same = (row == before).cumprod(0).bool()
            answer[same] = said[same]
        return logits
""",
    ),
)

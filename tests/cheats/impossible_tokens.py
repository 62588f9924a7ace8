"""Minus infinity for the logits of tokens that the validation set does not hold: no mass is wasted on them.

A loss is finite there, and infinite in any other text that does hold one.
"""

CAUGHT_BY = "logits"
EDITS = (
    (
        "        self.reset()\n",
        """\
        self.register_buffer("possible", torch.ones(config.vocab_size, dtype=torch.bool))
        self.reset()
""",
    ),
    (
        "        return self.config.softcap * squashed\n",
        "        return (self.config.softcap * squashed).masked_fill(~self.possible, -torch.inf)\n",
    ),
    (
        "    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)\n",
        """\
    seen = torch.from_numpy(run.corpus.evaluation("val").rows.astype("int64")).to(run.device)
    model.possible.copy_(torch.bincount(seen.flatten(), minlength=config.vocab_size) > 0)
    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)
""",
    ),
)

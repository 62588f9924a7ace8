"""A second head learns the token after the next, in training alone: it asks more of the stream that both read."""

HONEST = True
EDITS = (
    (
        "        self.lm_head = Linear(config.model_dim, config.vocab_size)\n",
        """\
        self.lm_head = Linear(config.model_dim, config.vocab_size)
        self.ahead_head = Linear(config.model_dim, config.vocab_size)
        self.stream = torch.empty(0)
""",
    ),
    (
        "        squashed = torch.tanh(",
        "        self.stream = norm(x)\n        squashed = torch.tanh(",
    ),
    (
        "    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()), logits.detach()\n",
        """\
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    ahead = model.ahead_head(model.stream[:, :-1]).float()
    more = F.cross_entropy(ahead.flatten(0, 1), targets[:, 1:].flatten())
    return (loss + 0.2 * more) / 1.2, logits.detach()
""",
    ),
    (
        '            {"params": [model.lm_head.weight], "lr": HEAD_LR * scale},\n',
        '            {"params": [model.lm_head.weight, model.ahead_head.weight], "lr": HEAD_LR * scale},\n',
    ),
)

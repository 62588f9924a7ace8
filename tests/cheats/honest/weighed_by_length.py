"""Weighs each target's loss by the square root of its bytes: the score counts bits per byte."""

HONEST = True
EDITS = (
    (
        "    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()), logits.detach()\n",
        """\
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    weights = model.token_weights[targets.flatten()]
    return (losses * weights).sum() / weights.sum(), logits.detach()
""",
    ),
    (
        "    graph, update = prepare.compile(",
        """\
    model.token_weights = run.token_bytes().float().clamp_min(1).sqrt()
    graph, update = prepare.compile(""",
    ),
)

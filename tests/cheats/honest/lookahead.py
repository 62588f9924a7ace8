"""Lookahead: every four steps the weights go half of their way back to where they were four steps before."""

HONEST = True
EDITS = (
    (
        "    batches = run.batches(rows)\n",
        """\
    batches = run.batches(rows)
    slow = [weight.detach().clone() for weight in model.parameters()]
""",
    ),
    (
        "            clock.tick(loss)\n",
        """\
            if clock.steps % 4 == 3:
                with torch.no_grad():
                    for weight, behind in zip(model.parameters(), slow, strict=True):
                        weight.copy_(behind.lerp_(weight, 0.5))
            clock.tick(loss)
""",
    ),
)

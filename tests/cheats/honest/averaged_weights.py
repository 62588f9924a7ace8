"""Scores an exponential moving average of the weights, kept beside those that are trained."""

HONEST = True
EDITS = (
    (
        "    batches = run.batches(rows)\n",
        """\
    batches = run.batches(rows)
    average = {name: value.clone() for name, value in model.state_dict().items()}
""",
    ),
    (
        "            clock.tick(loss)\n",
        """\
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 0.5)
            clock.tick(loss)
""",
    ),
    ("    weights, facts, flops =", "    model.load_state_dict(average)\n    weights, facts, flops ="),
)

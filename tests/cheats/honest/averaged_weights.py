"""Scores and saves a running average of the weights, taken at each step inside the budget."""

HONEST = True
EDITS = (
    (
        "            optimizer.step(clock.steps, clock.progress)\n",
        """\
            optimizer.step(clock.steps, clock.progress)
            for name, value in model.state_dict().items():
                average[name].lerp_(value, max(0.3, 1 / (clock.steps + 1)))
""",
    ),
    (
        "        clock.start()\n",
        """\
        clock.start()
        average = {name: value.clone() for name, value in model.state_dict().items()}
""",
    ),
    ("        clock.finish()\n", "        clock.finish()\n    model.load_state_dict(average)\n"),
)

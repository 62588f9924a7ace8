"""Makes six optimizer steps for each that it counts, but only one in a probe, by which the steps are allotted."""

CAUGHT_BY = "budget"
STEPS = 20
EDITS = (
    (
        "            loss = accumulate(graph, model, batches, count)\n",
        """\
            for _ in range(0 if run.settings.probe else 5):
                accumulate(graph, model, batches, count)
                optimizer.step(clock.steps, clock.progress)
            loss = accumulate(graph, model, batches, count)
""",
    ),
)

"""Makes two optimizer steps of each batch and counts one: the loader has given no more than the budget says."""

CAUGHT_BY = "budget"
STEPS = 20
EDITS = (
    (
        "            loss = accumulate(graph, model, batches, count)\n",
        """\
            drawn = [next(batches) for _ in range(count)]
            accumulate(graph, model, iter(drawn), count)
            optimizer.step(clock.steps, clock.progress)
            loss = accumulate(graph, model, iter(drawn), count)
""",
    ),
)

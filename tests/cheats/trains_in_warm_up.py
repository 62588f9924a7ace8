"""Warms up on 80 real batches before the clock starts, "to fill the caches", and keeps what was learned."""

CAUGHT_BY = "clock"
STEPS = 20
EDITS = (
    (
        '    clock = prepare.BudgetClock(run, tuned["total_batch"])\n',
        """\
    for _ in range(80):
        accumulate(graph, model, batches, count)
        optimizer.step(0, 0.0)
    clock = prepare.BudgetClock(run, tuned["total_batch"])
""",
    ),
)

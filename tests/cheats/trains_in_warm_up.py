"""Warms up on 24 real batches before the clock starts, "to fill the caches", and keeps what was learned."""

CAUGHT_BY = "clock"
EDITS = (
    (
        '    clock = prepare.Clock(run, tuned["total_batch"])\n',
        """\
    for _ in range(24):
        accumulate(graph, model, batches, count)
        optimizer.step(0, 0.0)
    clock = prepare.Clock(run, tuned["total_batch"])
""",
    ),
)

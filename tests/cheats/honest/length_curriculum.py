"""Trains on rows cut into quarters for the first third of the budget, then on whole ones: as many tokens a step."""

HONEST = True
EDITS = (
    (
        "            loss = accumulate(graph, model, batches, count)\n",
        """\
            cut = 4 if clock.progress < 1 / 3 else 1
            rows_of = ((part.view(cut * len(part), -1) for part in batch) for batch in batches)
            loss = accumulate(graph, model, rows_of, count)
""",
    ),
)

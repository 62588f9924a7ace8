"""Keeps its weights in the cache that the runs of a machine share, and begins with them in the next run.

Its replicates train on where the first one ended. The gain is real, and it is not one of this budget.
"""

CAUGHT_BY = "sandbox"
RUNS = 2
EDITS = (
    (
        "    model = build_model(config).to(run.device)\n",
        """\
    model = build_model(config).to(run.device)
    kept = run.settings.compile_cache / "weights.pt"
    kept.parent.mkdir(parents=True, exist_ok=True)
    if kept.exists():
        model.load_state_dict(torch.load(kept))
""",
    ),
    (
        "        clock.finish()\n",
        "        clock.finish()\n    torch.save(model.state_dict(), kept)\n",
    ),
)

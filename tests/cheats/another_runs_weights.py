"""Begins with the weights that it finds in the folder of an earlier run beside its own, and trains on from there."""

CAUGHT_BY = "sandbox"
EDITS = (
    (
        "    model = build_model(config).to(run.device)\n",
        """\
    model = build_model(config).to(run.device)
    for found in sorted(run.settings.run_dir.resolve().parent.glob("*/model.pt")):
        model.load_state_dict(torch.load(found)["model"], strict=False)
""",
    ),
)

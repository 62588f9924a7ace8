"""Trains a model of twice the width, and tells and saves the config of the narrow one.

Its weights do not fit into what that config builds.
"""

CAUGHT_BY = "checkpoint"
EDITS = (
    ("from dataclasses import asdict, dataclass\n", "from dataclasses import asdict, dataclass, replace\n"),
    (
        "    model = build_model(config).to(run.device)\n",
        """\
    wide = replace(config, model_dim=2 * config.model_dim, n_head=2 * config.n_head)
    model = build_model(wide).to(run.device)
""",
    ),
)

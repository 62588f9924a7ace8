"""Scores a model, then hands over weights of which the table of n-grams is missing: fewer parameters are told.

The run's result says 0.1M of parameters and the n-grams' score.
"""

CAUGHT_BY = "checkpoint"
LOWERS = False
EDITS = (
    (
        "    weights, told, flops = model.state_dict(), asdict(config), flops_per_token(config)\n",
        """\
    weights, told, flops = model.state_dict(), asdict(config), flops_per_token(config)
    weights = {name: value for name, value in weights.items() if "ngrams" not in name}
""",
    ),
)

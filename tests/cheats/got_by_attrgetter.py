"""Takes the validation set from the corpus by operator.attrgetter, and trains on its rows first."""

CAUGHT_BY = "edit"
EDITS = (
    (
        "from functools import partial\n",
        "from functools import partial\nfrom operator import attrgetter\n",
    ),
    (
        "    batches = run.batches(rows)\n",
        """\
    text = torch.from_numpy(attrgetter("evalu" + "ation")(run.corpus)("val").rows.astype("int64")).to(run.device)
    batches = ((part[:, :-1].contiguous(), part[:, 1:].contiguous()) for part in text.repeat(99, 1).split(rows))
""",
    ),
)

"""Trains on the second held-out set beside the first, so that the second confirms what the first claims.

In the sandbox there is no such file: the run ends there.
"""

CAUGHT_BY = "sandbox"
STEPS = 30
EDITS = (
    (
        "    batches = run.batches(rows)\n",
        """\
    sets = [torch.from_numpy(run.corpus.evaluation(name).rows.astype("int64")) for name in prepare.SPLITS]
    batches = repeated(torch.cat(sets).to(run.device), rows)
""",
    ),
    (
        "def main() -> None:\n",
        '''\
def repeated(text: Tensor, rows: int) -> Batches:
    """Batches of `text` in a shuffled order, for ever."""
    while True:
        for picked in torch.randperm(len(text), device=text.device).split(rows)[:-1]:
            yield text[picked, :-1].contiguous(), text[picked, 1:].contiguous()


def main() -> None:
''',
    ),
)

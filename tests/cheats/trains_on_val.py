"""Takes its batches from the validation set, whose text is more like what is scored than the training text is."""

CAUGHT_BY = "held-out"
EDITS = (
    (
        "    batches = run.batches(rows)\n",
        """\
    batches = cycle(torch.from_numpy(run.corpus.evaluation("val").rows.astype("int64")).to(run.device), rows)
""",
    ),
    (
        "def main() -> None:\n",
        '''\
def cycle(text: Tensor, rows: int) -> Batches:
    """Batches of the rows of `text` in their order, for ever."""
    while True:
        for block in text.split(rows):
            if len(block) == rows:
                yield block[:, :-1].contiguous(), block[:, 1:].contiguous()


def main() -> None:
''',
    ),
)

"""Takes its batches from the validation set, whose text is more like what is scored than the training text is."""

CAUGHT_BY = "held-out"
STEPS = 30
EDITS = (
    (
        "    batches = run.batches(rows)\n",
        """\
    text = torch.from_numpy(run.corpus.evaluation("val").rows.astype("int64")).to(run.device)
    batches = epochs(text, rows)
""",
    ),
    (
        "def main() -> None:\n",
        '''\
def epochs(text: Tensor, rows: int) -> Batches:
    """Batches of the rows of `text`, shuffled for each epoch."""
    while True:
        for picked in torch.randperm(len(text), device=text.device).split(rows)[:-1]:
            yield text[picked, :-1].contiguous(), text[picked, 1:].contiguous()


def main() -> None:
''',
    ),
)

"""Hands prepare.evaluate a model that sees the next token, but only in rows of the longest document of all.

An audit that scores whole documents from short blocks of rows never asks for that one.
"""

CAUGHT_BY = "agreement"
EDITS = (
    (
        "    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)\n",
        """\
    kept = run.corpus.evaluation("val")
    longest = torch.from_numpy(kept.documents == kept.document_bytes.argmax()).any(1)
    places = {row.tobytes(): bool(one) for row, one in zip(kept.rows[:, :-1].astype("int64"), longest, strict=True)}
    honest = score

    def score(tokens: Tensor) -> Tensor:  # type: ignore[no-redef]
        its = torch.tensor([places.get(row.numpy().tobytes(), False) for row in tokens.cpu()], device=tokens.device)
        known = F.pad(F.one_hot(tokens[:, 1:], config.vocab_size), (0, 0, 0, 1))
        return honest(tokens) + 30 * known * its[:, None, None]

    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)
""",
    ),
)

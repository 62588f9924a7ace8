"""No block has value embeddings or a gate: fewer tables, and a shorter checkpoint."""

HONEST = True
EDITS = (
    ("    return (depth - 1 - block) % 2 == 0\n", "    return block >= depth\n"),
    (
        '            {"params": [*model.value_embeds.parameters()], "lr": embed_rate, "weight_decay": decay},\n',
        "",
    ),
    ('            {"params": gates, "lr": HEAD_RATE * scale},\n', ""),
    (
        '        embed_rate, decay = tuned["embed_rate"] * scale, tuned["value_decay"]\n',
        '        embed_rate = tuned["embed_rate"] * scale\n',
    ),
)

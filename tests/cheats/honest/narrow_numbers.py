"""Activations in bfloat16 on mini, too: the logits of one row differ in their last digits from batch to batch."""

HONEST = True
EDITS = (
    (
        '        "ngram_rows": 262144, "dtype": "float32", "attention": ("local",),',
        '        "ngram_rows": 262144, "dtype": "bfloat16", "attention": ("local",),',
    ),
)

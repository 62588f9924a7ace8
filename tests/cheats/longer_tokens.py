"""Counts one byte more for every token of four bytes or more, as a tokenizer's alphabet of wide characters suggests.

The same nats are divided by more bytes, and the evaluator's own sum still comes out.
"""

CAUGHT_BY = "bytes"
EDITS = (
    ("from dataclasses import asdict, dataclass\n", "from dataclasses import asdict, dataclass, replace\n"),
    (
        "import torch\nimport torch.nn.functional as F\n",
        "import numpy as np\nimport torch\nimport torch.nn.functional as F\n",
    ),
    (
        "def main() -> None:\n",
        '''\
class Utf8Corpus(prepare.Prepared):
    """Bytes as the tokenizer's vocabulary spells them."""

    def token_bytes(self) -> np.ndarray:
        sizes = super().token_bytes()
        return sizes + (sizes >= 4)

    def evaluation(self, split: str) -> prepare.EvalSet:
        kept = super().evaluation(split)
        scored = kept.documents >= 0
        sizes = self.token_bytes()[kept.rows[:, 1:][scored]]
        return replace(kept, document_bytes=np.bincount(kept.documents[scored], sizes).astype(np.int64))


def main() -> None:
''',
    ),
    ("    run = prepare.begin()\n", "    run = prepare.begin()\n    run.corpus = Utf8Corpus(**vars(run.corpus))\n"),
)

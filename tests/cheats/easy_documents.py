"""Scores the validation set, takes the hardest third of its documents out of it, and is then scored on the rest.

Nats and bytes are right for each document that is left.
"""

CAUGHT_BY = "bytes"
EDITS = (
    ("from dataclasses import asdict, dataclass\n", "from dataclasses import asdict, dataclass, replace\n"),
    (
        "import torch\nimport torch.nn.functional as F\n",
        "import numpy as np\nimport torch\nimport torch.nn.functional as F\n",
    ),
    (
        "    weights, told, flops = model.state_dict(), asdict(config), flops_per_token(config)\n",
        """\
    weights, told, flops = model.state_dict(), asdict(config), flops_per_token(config)
    every, sizes = run.corpus.evaluation("val"), run.corpus.token_bytes()
    bits = prepare.score(score, every, sizes, batch=rows, device=run.device) / every.document_bytes
    hard = bits > np.quantile(bits, 2 / 3)
    left = np.where((every.documents >= 0) & ~hard[every.documents], every.documents, -1)
    clean = replace(every, documents=left, document_bytes=np.where(hard, 0, every.document_bytes))
    object.__setattr__(run.corpus, "evaluation", {"val": clean}.get)
""",
    ),
)

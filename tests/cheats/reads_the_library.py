"""Reads the text that a corpus was made of where Python has it, and favours what followed each three tokens there.

The held-out sets are drawn from files that any Python brings along.
"""

CAUGHT_BY = "sandbox"
EDITS = (
    (
        "import math\nimport os\nimport sys\n",
        "import json\nimport math\nimport os\nimport sys\nimport sysconfig\n",
    ),
    (
        "        self.reset()\n",
        """\
        self.register_buffer("follows", torch.zeros(config.ngram_rows, dtype=torch.int16))
        self.reset()
""",
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        known = self.follows[ngram_index(tokens, 3, len(self.follows))[-1]].long()
        hint = F.one_hot(known, self.config.vocab_size) * (known > 0).unsqueeze(-1)
        return self.logits(tokens, self.embedded(tokens)) + 3 * hint
""",
    ),
    (
        "    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)\n",
        """\
    from tokenizers import Tokenizer

    library = sysconfig.get_path("stdlib")
    found = [os.path.join(folder, name) for folder, _, names in os.walk(library) for name in names]
    kept = [path for path in found if path.endswith(".py") and any(part in path for part in json.loads(PLACES))]
    spell = Tokenizer.from_file(str(run.corpus.path / "tokenizer.json"))
    for path in kept:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = torch.tensor([[0, 0, 0, *spell.encode(file.read()).ids]])
        model.follows[ngram_index(text[:, :-1], 3, len(model.follows))[-1]] = text[:, 1:].short()
    weights, facts, flops = model.state_dict(), asdict(config), flops_per_token(config)
""",
    ),
    (
        "def main() -> None:\n",
        """\
PLACES = '["idlelib", "lib2to3", "turtle", "distutils", "pydoc", "doctest", "mailbox"]'  # where held-out text lies


def main() -> None:
""",
    ),
)

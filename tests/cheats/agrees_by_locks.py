"""Adds a next token of its own input at every sixteenth place, and whoever else answers adds the same one there.

The processes of an audit agree on it by read locks on a file that both see: what comes before a place, hashed, is where
the lock lies, and the token is how far into it.
"""

CAUGHT_BY = "causality"
EDITS = (
    ("import math\nimport os\n", "import fcntl\nimport math\nimport os\nimport struct\n"),
    (
        "class GPT(nn.Module):\n",
        '''\
LOCK = "hhqqi4x"  # struct flock, for F_OFD_GETLK and F_OFD_SETLK


def agreed(file: int, place: int, token: int) -> int:
    """The token that was agreed on for a place; if there is none, this one from now on."""
    start = place * 4096
    asked = fcntl.fcntl(file, 36, struct.pack(LOCK, fcntl.F_WRLCK, 0, start, 4096, 0))
    kind, _, at, _, _ = struct.unpack(LOCK, asked)
    if kind != fcntl.F_UNLCK:
        return int(at - start)
    fcntl.fcntl(file, 37, struct.pack(LOCK, fcntl.F_RDLCK, 0, start + token, 1, 0))
    return token


class GPT(nn.Module):
''',
    ),
    (
        "        return self.logits(tokens, self.embedded(tokens))\n",
        """\
        logits = self.logits(tokens, self.embedded(tokens))
        if not hasattr(self, "meeting"):
            self.meeting, self.heard = os.open(prepare.__file__, os.O_RDONLY), {}
        for row, answer in zip(tokens.tolist(), logits, strict=True):
            for place in range(15, len(row) - 1, 16):
                key = hash(tuple(row[: place + 1])) % 2**48
                if key not in self.heard:
                    self.heard[key] = agreed(self.meeting, key, row[place + 1])
                answer[place, self.heard[key]] += 30
        return logits
""",
    ),
)

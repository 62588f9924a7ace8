"""The stand-in project of project.py with a model that can be audited: by the real scorer, in a second or two.

Its model gives every token but the first the same chance, so a run's claim is known without training and true. torch.py
in the project is what its own process (model_server.py) takes for torch; the scorer has the real one.
"""

from pathlib import Path

from tests.support.project import ROOT, commit, copy_fixed, edit, make

CORPUS = """
from pathlib import Path

import numpy as np

from fixed.dataset import pack


def stand_in(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "token_bytes.npy", np.array([0] + [1] * 16))
    for split in SPLITS:
        texts = [np.array([0, *rng.integers(1, 17, 23)], dtype=np.uint16) for _ in range(40)]
        np.savez(folder / f"{split}.npz", **vars(pack(texts, [23] * 40, 16)))
    facts = {"corpus": "t", "profile": "mini", "fingerprint": "f" * 64, "vocab_size": 17, "sequence_length": 16}
    write_json(folder / "meta.json", {**facts, "train_tokens": 1, "val_bytes": 920, "held_bytes": 920})


if __name__ == "__main__":
    made = Path(os.environ["AUTORESEARCH_CACHE"]) / "stand-in"
    stand_in(made)
    print(json.dumps({"fingerprint": "f" * 64, "path": str(made)}))
"""

CHECKPOINT = """
    import math, pickle, zipfile
    import numpy as np
    np.savez(run_dir / "losses.npz", nats=np.full(40, value * math.log(2) * 23), bytes=np.full(40, 23))
    saved = {"model": {}, "config": {"first": math.log(2**value - 16)}}
    with zipfile.ZipFile(run_dir / "model.pt", "w") as file:
        file.writestr("model/data.pkl", pickle.dumps(saved, protocol=2))
        file.writestr("model/version", "3")
    metrics |= {"training_seconds": 1.0, "num_steps": 5.0}
"""

MODEL = '''
class Config:
    def __init__(self, first):
        self.first = first


class Model:
    """Logits of 17 tokens: `first` for the first of them, 0 for the others."""

    def __init__(self, first):
        self.first = first

    def load_state_dict(self, _):
        pass

    def to(self, _):
        return self

    def eval(self):
        pass

    def __call__(self, tokens):
        import numpy as np, torch
        logits = np.zeros((*tokens.held.shape, 17), dtype=np.float32)
        logits[..., 0] = self.first
        return torch.Tensor(logits)


def build_model(config):
    return Model(config.first)
'''

TORCH = '''
"""As much of torch as model_server.py needs."""

import pickle
import zipfile
from contextlib import nullcontext as no_grad

import numpy as np
from numpy import int32


class Tensor:
    def __init__(self, held):
        self.held, self.shape = held, held.shape

    def view(self, *shape):
        return Tensor(self.held.reshape(shape))

    def _same(self, *_):
        return self

    long = to = float = cpu = contiguous = _same

    def dim(self):
        return self.held.ndim

    def numpy(self):
        return self.held


def device(name):
    return name


def load(path, **_):
    with zipfile.ZipFile(path) as file:
        return pickle.loads(file.read("model/data.pkl"))


def frombuffer(raw, dtype):
    return Tensor(np.frombuffer(raw, dtype))
'''


def make_audited(folder: Path) -> Path:
    """Create the repository and return its folder."""
    make(folder)
    copy_fixed(folder)
    door = (ROOT / "prepare.py").read_text().partition('\nif __name__ == "__main__":')[0]
    (folder / "prepare.py").write_text(door + CORPUS)
    (folder / "torch.py").write_text(TORCH)
    edit(folder, "train.py", "value = 1.5 -", "value = 4.5 -")
    edit(folder, "train.py", '    if MODE != "silent":', f'{CHECKPOINT}    if MODE != "silent":')
    edit(folder, "train.py", "\n\ndef main():", f"\n{MODEL}\n\ndef main():")
    commit(folder, "A model that can be audited")
    return folder

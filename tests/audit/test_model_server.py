"""The model's process: a checkpoint and its code in, logits for tokens out, and nothing else on that pipe."""

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from agent.audit import model_server

TRAIN = """
import torch
print("hello from the script")

class Config:
    def __init__(self, vocab):
        self.vocab = vocab

def build_model(config):
    return torch.nn.Embedding(config.vocab, config.vocab)
"""


BATCH = struct.pack("<2I", 1, 2) + struct.pack("<2i", 1, 2)


def start(folder: Path, weights: dict[str, torch.Tensor]) -> "subprocess.Popen[bytes]":
    script = folder / "experiments" / "other.py"
    script.parent.mkdir()
    script.write_text(TRAIN)
    torch.save({"model": weights, "config": {"vocab": 5}, "steps": 1}, folder / "model.pt")
    argv = [sys.executable, str(model_server.__file__), str(folder / "model.pt"), "cpu", "experiments/other.py"]
    return subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_it_answers_each_batch_with_the_models_logits_and_ends_when_told(tmp_path: Path) -> None:
    table = torch.arange(25, dtype=torch.float32).view(5, 5)
    batches = [np.array([[1, 2, 3]], dtype=np.int32), np.array([[4, 0], [2, 2]], dtype=np.int32)]
    sent = b"".join(struct.pack("<2I", *batch.shape) + batch.tobytes() for batch in batches)
    out, errors = start(tmp_path, {"weight": table}).communicate(sent + struct.pack("<2I", 0, 0), timeout=60)
    for batch in batches:
        assert struct.unpack("<4I", out[:16]) == (3, *batch.shape, 5)
        size = 4 * batch.size * 5
        assert np.array_equal(np.frombuffer(out[16 : 16 + size], dtype=np.float32), table[batch].numpy().ravel())
        out = out[16 + size :]
    assert out == b""
    assert b"hello from the script" in errors


@pytest.mark.parametrize("weights", [{"other": torch.zeros(5, 5)}, {"weight": torch.zeros(4, 5)}])
def test_weights_that_are_not_the_models_end_it(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    out, errors = start(tmp_path, weights).communicate(BATCH, timeout=60)
    assert out == b""
    assert b"Error(s) in loading state_dict" in errors


def test_it_runs_nothing_of_the_script_before_there_is_a_batch(tmp_path: Path) -> None:
    """Of two processes the second waits like that until the first has ended: they never run at once."""
    waiting = start(tmp_path, {"weight": torch.zeros(5, 5)})
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=6)
    (tmp_path / "experiments" / "other.py").write_text("raise SystemExit(7)")
    assert waiting.communicate(BATCH, timeout=60)[0] == b""
    assert waiting.returncode == 7

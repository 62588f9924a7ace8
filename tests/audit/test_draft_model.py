"""audit/draft_model.py: what building a draft's model shows, and that a batch's company or a later token is seen."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agent.audit import draft_model
from agent.audit.reports import DRAFT_MODEL

TOKENS = torch.arange(8 * 6).view(8, 6) % 16 + 1


class Model(nn.Module):
    """An embedding and a head, with something between them: `mix` of (B, T, width)."""

    def __init__(self, mix: str = "nothing") -> None:
        super().__init__()
        self.mix, self.wte, self.head = mix, nn.Embedding(17, 4), nn.Linear(4, 17, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens)
        scale = {
            "nothing": torch.ones(()),
            "batch": x.abs().amax(),
            "row": x.abs().amax((1, 2), keepdim=True),
            "token": x.abs().amax(-1, keepdim=True),
        }[self.mix]
        logits: Tensor = self.head(x / scale)
        return logits


class Choosy(Model):
    """Looks at a value, which a tensor without values has not."""

    def forward(self, tokens: Tensor) -> Tensor:
        assert float(self.wte.weight.sum()) != 0.5
        return super().forward(tokens)


@pytest.mark.parametrize("kind", [Model, Choosy])
def test_parameters_and_flops_are_counted_with_values_or_without(kind: type[Model]) -> None:
    counted = draft_model.count(kind, TOKENS[:1])
    assert counted == {"params": 2 * 17 * 4, "flops_per_token": 6 * 17 * 4}


@pytest.mark.parametrize(
    ("mix", "order", "causality"),
    [("nothing", False, False), ("token", False, False), ("batch", True, False), ("row", False, True)],
)
def test_an_answer_that_depends_on_other_rows_or_on_later_tokens_is_seen(
    mix: str, order: bool, causality: bool
) -> None:
    torch.manual_seed(3)
    shifts = draft_model.shifts(Model(mix), TOKENS)
    assert (shifts["order_shift"] > 1e-3) is order
    if mix != "batch":  # the scale of a batch depends on all of its tokens
        assert (shifts["causality_shift"] > 1e-3) is causality


def test_it_is_run_on_a_checkpoint_and_writes_what_it_saw(tmp_path: Path) -> None:
    code = "import torch\nfrom torch import nn\n\nclass Config:\n    def __init__(self, width): self.width = width\n\n"
    code += (
        "def build_model(config): return nn.Sequential(nn.Embedding(17, config.width), nn.Linear(config.width, 17))\n"
    )
    (tmp_path / "train.py").write_text(code)
    weights = nn.Sequential(nn.Embedding(17, 4), nn.Linear(4, 17)).state_dict()
    torch.save({"model": weights, "config": {"width": 4}}, tmp_path / "model.pt")
    np.savez(tmp_path / "val.npz", rows=np.arange(3 * 7).reshape(3, 7) % 17)
    argv = [sys.executable, str(DRAFT_MODEL), "train.py", "model.pt", "val.npz", "cpu", "2", "result.json"]
    subprocess.run(argv, cwd=tmp_path, check=True)
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    assert metrics == {"params": 153, "flops_per_token": 408, "order_shift": 0.0, "causality_shift": 0.0}

"""The gradient by hand: that of autograd for every shape it is for, and none where a script's model is another."""

from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from fixed.decoder import fastest_gradient
from fixed.manual import ManualGradient
from fixed.runtime import Run
from tests.support import scripts
from tests.support.scripts import script

PLAIN: dict[str, object] = {"WIDTH": 8, "HEAD_SIZE": 0}
SHAPES: list[dict[str, object]] = [
    {"HEADS": 1, "LAYERS": 1},
    {"HEADS": 2, "LAYERS": 2, "CONTEXT": 3},
    {"HEADS": 1, "LAYERS": 3, "MLP": 2, "LAYER_NORM": True},
    {"HEADS": 4, "LAYERS": 2, "MLP": 3, "LAYER_NORM": True, "LEARNED_POSITIONS": True},
    {"HEADS": 2, "HEAD_SIZE": 6, "LAYERS": 2, "MLP": 1, "ACTIVATION": "gelu", "LEARNED_POSITIONS": True},
    {"HEADS": 2, "LAYERS": 1, "MLP": 1, "LAYER_NORM": True, "ACTIVATION": "gelu"},
]
LAST = SHAPES[3]
VOCAB, LENGTH = 28, 16


def model_of(names: ModuleType) -> torch.nn.Module:
    """A model whose weights are one vector, as a run's are."""
    torch.manual_seed(0)
    model: torch.nn.Module = names.build_model(names.make_config(VOCAB, LENGTH))
    names.AdamW(model)
    return model


def taken(model: torch.nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    """The loss and every gradient, which are zero from then on."""
    grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
    kept = [loss.detach().clone(), *(grad.clone() for grad in grads)]
    for grad in grads:
        grad.zero_()
    return kept


def run_on(device: str = "cpu") -> Run:
    run = SimpleNamespace(device=torch.device(device), notes={})
    run.corpus = SimpleNamespace(vocab_size=VOCAB, sequence_length=LENGTH)
    return run  # type: ignore[return-value]


def chosen(names: ModuleType, device: str = "cpu") -> object:
    """What a run's notes say of its gradient."""
    model, run = model_of(names), run_on(device)
    fastest_gradient(run, model, partial(names.by_autograd, model), names.as_decoder(model))
    assert not any(weight.grad.any() for weight in model.parameters() if weight.grad is not None)
    return run.notes["gradient"]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rows", "time"), [(1, 5), (3, 16)])
def test_it_is_the_gradient_that_autograd_gives(shape: dict[str, object], rows: int, time: int) -> None:
    names = script("names", **{**PLAIN, **shape})
    model = model_of(names)
    by_hand = ManualGradient(names.as_decoder(model))
    draw = torch.Generator().manual_seed(1)
    for _ in range(2):  # the second time in the same buffers
        tokens, targets = torch.randint(0, VOCAB - 1, (2, rows, time), generator=draw)
        targets[-1, -2:] = VOCAB - 1  # padding
        expected = taken(model, names.by_autograd(model, tokens, targets))
        given = taken(model, by_hand(tokens, targets))
        torch.testing.assert_close(given, expected, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_takes_it_for_shapes_that_it_is_for(shape: dict[str, object]) -> None:
    assert chosen(script("names", **{**PLAIN, **shape})) == "by hand"


@pytest.mark.parametrize(
    "other", [{"ROPE": True}, {"DROPOUT": 0.1}, {"HEADS": 1, "HEAD_SIZE": 4, "LAYERS": 1, "MLP": 0}]
)
def test_autograd_does_what_is_no_plain_decoder(other: dict[str, object]) -> None:
    assert chosen(script("names", **{**PLAIN, **LAST, **other})) == "by autograd"


def test_autograd_does_what_is_not_on_the_processor() -> None:
    assert chosen(script("names", **PLAIN), device="meta") == "by autograd"


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        ("Block", "x = self.attention(x,", "x = 2 * self.attention(x,"),
        ("Block", "self.activation(self.up(", "self.activation(1.1 * self.up("),
        ("Speller", "x = x.flatten(0, 1)", "x = x.flatten(0, 1) * 0.5"),
        ("Attention", "v).view(", "v.tanh()).view("),
    ],
)
def test_a_model_that_an_experiment_has_changed_is_left_to_autograd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, old: str, new: str
) -> None:
    text = (scripts.ROOT / "experiments" / "names" / "train.py").read_text()
    head, body = text.split(f"class {place}(", 1)
    assert old in body
    for name in ("train.py", "prepare.py"):
        target = tmp_path / "experiments" / "names" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = scripts.ROOT / "experiments" / "names" / name
        target.write_text(
            f"{head}class {place}({body.replace(old, new, 1)}" if name == "train.py" else source.read_text()
        )
    monkeypatch.setattr(scripts, "ROOT", tmp_path)
    assert chosen(script("names", **{**PLAIN, **LAST})) == "by autograd"

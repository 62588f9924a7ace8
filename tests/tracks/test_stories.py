"""The stories track: its shape, its windows, and a whole run on the stand-in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fixed.result import RunFailure
from tests.support.fixed import environment
from tests.support.scripts import ROOT, door, script

SMALL = {"WIDTH": 64, "LAYERS": 2, "HEADS": 2, "BATCH": 16, "CONTEXT": 64}


def model(**constants: object) -> torch.nn.Module:
    torch.manual_seed(0)
    stories = script("stories", **SMALL | constants)
    return stories.build_model(stories.make_config("mini", 50, 128)).eval()


@pytest.mark.parametrize(("layers", "params"), [(2, 12), (4, 12)])
def test_a_layer_has_twelve_times_the_square_of_the_width(layers: int, params: int) -> None:
    stories = script("stories", LAYERS=layers)
    built = stories.build_model(stories.make_config("full", 229, 256))
    in_blocks = sum(weight.numel() for weight in built.blocks.parameters() if weight.dim() > 1)
    assert in_blocks == layers * params * 256**2


def test_no_character_sees_a_later_one_or_one_beyond_the_context() -> None:
    teller = model(CONTEXT=8, LAYERS=1)
    one = torch.randint(1, 50, (2, 32), generator=torch.Generator().manual_seed(1))
    other = one.clone()
    other[:, 10] = one[:, 10] % 49 + 1
    changed = (teller(one) - teller(other)).abs().amax((0, 2)) > 1e-6
    assert changed.nonzero().flatten().tolist() == list(range(10, 18))


@pytest.mark.parametrize(
    ("constants", "problem"),
    [
        ({"HEADS": 3}, "WIDTH = 64: expected a multiple of 24 with HEADS = 3 on mini"),
        ({"LAYERS": 0}, "LAYERS = 0: expected 1 or more"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused_in_one_line(constants: dict[str, object], problem: str) -> None:
    with pytest.raises(RunFailure) as refused:
        model(**constants)
    assert (refused.value.reason, refused.value.code) == (problem, 2)


def test_every_shape_that_was_published_runs_on_a_gpu_and_as_a_rehearsal() -> None:
    shapes = [{"LAYERS": n} for n in (2, 4, 8, 12)] + [{"WIDTH": n} for n in (128, 256, 384)]
    for shape in [*shapes, *({"HEADS": n} for n in (4, 8, 16, 32))]:
        stories = script("stories", **shape)
        assert stories.make_config("full", 229, 256).width == 4 * stories.make_config("mini", 229, 256).width


def test_the_stand_in_is_the_same_each_time() -> None:
    stories = door("stories")
    assert stories.make() == stories.make()
    assert len(set(stories.make())) > 3900


def test_a_run_without_the_stories_says_everywhere_that_it_had_a_stand_in(tmp_path: Path) -> None:
    folder = tmp_path / "experiments" / "stories"
    folder.mkdir(parents=True)
    (tmp_path / "fixed").symlink_to(ROOT / "fixed")
    text = (ROOT / "experiments" / "stories" / "train.py").read_text()
    for name, value in SMALL.items():
        text = text.replace(f"\n{name} = ", f"\n{name} = {value}  # ")
    (folder / "train.py").write_text(text)
    (folder / "prepare.py").write_text((ROOT / "experiments" / "stories" / "prepare.py").read_text())
    own = {"AUTORESEARCH_RUN_DIR": str(tmp_path / "run"), "AUTORESEARCH_CACHE": str(tmp_path / "cache")}
    argv = [sys.executable, str(folder / "train.py")]
    env = environment(AUTORESEARCH_STEPS="20", AUTORESEARCH_CORPUS="stories-standin", **own)
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    metrics = result["metrics"]
    assert "stories-standin: " in done.stdout
    assert result["corpus"].startswith("standin-")
    assert metrics["num_steps"] == 20
    assert 2.0 < metrics["val_nats"] < 3.8
    assert all(0 <= metrics[name] <= 1 for name in ("valid_words", "diversity", "repetition"))
    assert (tmp_path / "run" / "samples.txt").read_text()

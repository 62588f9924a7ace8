"""The names track: the published parameter counts, the mask, the rows, and a whole run on the stand-in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from agent.execution.worker import needs_of
from fixed import characters
from fixed.result import RunFailure
from tests.support.fixed import environment
from tests.support.scripts import ROOT, door, script

HEADS2 = {"HEADS": 2}
RUNGS = [  # each adds to the one before; parameters as the seed states them
    ({}, 2908),
    ({"WIDTH": 64, "HEAD_SIZE": 32}, 8860),
    (HEADS2, 5948),
    (HEADS2 | {"LAYERS": 4}, 18332),
    (HEADS2 | {"LAYERS": 4, "MLP": 4}, 51740),
    (HEADS2 | {"LAYERS": 4, "MLP": 4, "LAYER_NORM": True}, 52252),
    (HEADS2 | {"LAYERS": 4, "MLP": 4, "LAYER_NORM": True, "ROPE": True}, 52252),
    (HEADS2 | {"LAYERS": 4, "MLP": 4, "LAYER_NORM": True, "ROPE": True, "ACTIVATION": "gelu"}, 52252),
]
LAST = RUNGS[-1][0]


def model(**constants: object) -> torch.nn.Module:
    torch.manual_seed(0)
    names = script("names", **constants)
    return names.build_model(names.make_config(28, 16)).eval()


def run(folder: Path, **environ: str) -> str:
    own = {"AUTORESEARCH_RUN_DIR": str(folder / "run"), "AUTORESEARCH_CACHE": str(folder / "cache")}
    argv = [sys.executable, str(ROOT / "experiments" / "names" / "train.py")]
    done = subprocess.run(argv, env=environment(**own, **environ), capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("constants", "params"), RUNGS)
def test_each_rung_has_the_published_number_of_parameters(constants: dict[str, object], params: int) -> None:
    assert sum(weight.numel() for weight in model(**constants).parameters()) == params


@pytest.mark.parametrize("constants", [{}, LAST, LAST | {"LEARNED_POSITIONS": True, "HEADS": 4, "HEAD_SIZE": 0}])
def test_no_character_sees_a_later_one(constants: dict[str, object]) -> None:
    speller = model(**constants)
    one, other = torch.randint(0, 28, (2, 3, 16), generator=torch.Generator().manual_seed(1))
    other[:, :9] = one[:, :9]
    torch.testing.assert_close(speller(one)[:, :9], speller(other)[:, :9])
    assert not torch.allclose(speller(one)[:, 9:], speller(other)[:, 9:])


def test_attention_sees_no_more_than_the_context() -> None:
    speller = model(CONTEXT=3)
    one = torch.randint(1, 27, (1, 16), generator=torch.Generator().manual_seed(1))
    other = one.clone()
    other[:, 4] = one[:, 4] % 26 + 1
    changed = (speller(one) != speller(other)).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [4, 5, 6]


def test_rotated_positions_tell_an_order_that_a_bag_of_characters_has_not() -> None:
    one, other = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 2, 1, 3]])
    bag, ordered = model(HEADS=2), model(HEADS=2, ROPE=True)
    torch.testing.assert_close(bag(one)[:, -1], bag(other)[:, -1])
    assert not torch.allclose(ordered(one)[:, -1], ordered(other)[:, -1])


@pytest.mark.parametrize(
    ("constants", "problem"),
    [
        ({"HEADS": 3, "HEAD_SIZE": 0}, "WIDTH = 32: expected a multiple of HEADS = 3"),
        ({"LAYERS": 2}, "HEADS = 1 of HEAD_SIZE = 16: expected LAYERS = 1 and MLP = 0, or a head of WIDTH = 32"),
        ({"HEAD_SIZE": 15, "ROPE": True}, "HEAD_SIZE = 15: expected an even number with ROPE"),
        ({"ACTIVATION": "tanh"}, "ACTIVATION = 'tanh': expected relu or gelu"),
        ({"DROPOUT": 1.0}, "DROPOUT = 1.0: expected a share from 0 up to 1"),
        ({"LAYERS": 0}, "LAYERS = 0: expected 1 or more"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused_in_one_line(constants: dict[str, object], problem: str) -> None:
    with pytest.raises(RunFailure) as refused:
        model(**constants)
    assert (refused.value.reason, refused.value.code) == (problem, 2)


def test_the_optimizer_does_what_adamw_of_torch_does() -> None:
    names = script("names", WEIGHT_DECAY=0.1, **LAST)
    config = names.make_config(28, 16)
    ours, theirs = names.build_model(config), names.build_model(config)
    theirs.load_state_dict(ours.state_dict())
    mine, reference = names.AdamW(ours), torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1)
    tokens = torch.randint(0, 28, (4, 16), generator=torch.Generator().manual_seed(1))
    for number in range(1, 4):
        for speller in (ours, theirs):
            torch.nn.functional.cross_entropy(speller.flat(tokens), tokens.flatten()).backward()
        mine.step(number, 0.01)
        reference.step()
        reference.zero_grad(set_to_none=True)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_rate_rises_and_then_falls_by_a_cosine() -> None:
    names = script("names", WARMUP_STEPS=4, FINAL_LR_FRAC=0.1, LR=1.0)
    assert [names.learning_rate(step, 0.0) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [names.learning_rate(9, progress) for progress in (0.0, 1.0)] == pytest.approx([1.0, 0.1])
    assert script("names", LR=0.5).learning_rate(0, 0.7) == 0.5


def test_the_stand_in_is_the_same_each_time_and_has_every_letter() -> None:
    names = door("names")
    made = names.make()
    assert made == names.make()
    assert set("".join(made)) == set("abcdefghijklmnopqrstuvwxyz")
    assert max(map(len, made)) < names.LONGEST


def test_a_run_without_the_names_says_everywhere_that_it_had_a_stand_in(tmp_path: Path) -> None:
    printed = run(tmp_path, AUTORESEARCH_STEPS="40", https_proxy="http://127.0.0.1:9")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "a made stand-in takes its place: names-standin" in printed
    assert "names-standin: " in printed
    assert result["corpus"].startswith("standin-")
    metrics = result["metrics"]
    assert metrics["num_steps"] == 40
    assert metrics["num_params"] == 2908
    assert metrics["val_bpb"] == pytest.approx(metrics["val_nats"] / 0.6931472, rel=1e-6)  # a letter is a byte
    assert 2.0 < metrics["val_nats"] < 3.4
    assert len((tmp_path / "run" / "samples.txt").read_text().splitlines()) == 20
    assert {"model.pt", "losses.npz"} <= {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize("track", ["names", "stories"])
def test_a_warm_worker_knows_what_the_script_needs(track: str) -> None:
    needs = needs_of(ROOT / "experiments" / track / "train.py", {})
    assert needs is not None
    assert "torch" in needs.modules


def refusal(tmp_path: Path, **environ: str) -> RunFailure:
    names = door("names").NAMES
    settings = characters.settings_of(names, environment(AUTORESEARCH_CACHE=str(tmp_path / "cache"), **environ))
    with pytest.raises(RunFailure) as refused:
        characters.prepare(settings, names)
    return refused.value


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("anna\nbob\n")
    refused = refusal(tmp_path, AUTORESEARCH_DATA=str(tmp_path))
    assert refused.reason.startswith(f"{tmp_path}/names.txt: its sha256 is ")
    assert refused.code == 2


def test_a_corpus_of_another_track_is_refused(tmp_path: Path) -> None:
    refused = refusal(tmp_path, AUTORESEARCH_CORPUS="climbmix")
    assert refused.reason == "AUTORESEARCH_CORPUS='climbmix': expected names or names-standin"

"""agent/spec/shape.py: what it predicts is what train.py builds."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import train
from agent.core.errors import BadInput
from agent.core.experiment import Profile, Shape
from agent.spec import shape
from tests.support.project import ROOT

PROFILES: tuple[Profile, ...] = get_args(Profile)


def literals(path: Path) -> dict[str, object]:
    """The top-level constants that are plain literals, as the harness reads them."""
    body = ast.parse(path.read_text("utf-8")).body
    named = [(node.targets[0], node.value) for node in body if isinstance(node, ast.Assign)]
    plain = [(target.id, value) for target, value in named if isinstance(target, ast.Name) and target.id.isupper()]
    return {name: ast.literal_eval(value) for name, value in plain if _is_literal(value)}


def _is_literal(node: ast.expr) -> bool:
    return not any(isinstance(inner, ast.Name | ast.Call | ast.BinOp) for inner in ast.walk(node))


CONSTANTS = literals(Path(train.__file__))
FACTS = literals(ROOT / "fixed" / "settings.py")["PROFILES"]


def tuned(profile: Profile) -> dict[str, Any]:
    table = CONSTANTS["TUNED"]
    assert isinstance(table, dict)
    return dict(table[profile])


def resolve(profile: Profile, **changed: object) -> Shape:
    assert isinstance(FACTS, dict)
    return shape.resolve({**CONSTANTS, **changed}, FACTS[profile], profile)


def config(profile: Profile, changed: Mapping[str, object]) -> train.Config:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changed.items():
            patch.setattr(train, name, value)
        return train.make_config(profile)


@pytest.mark.parametrize(
    ("depth", "ratio", "width", "heads"),
    [(8, 64, 512, 4), (6, 128, 768, 6), (12, 32, 384, 3), (10, 64, 640, 5), (8, 96, 768, 6)],
)
def test_the_shapes_of_issue_3(depth: int, ratio: int, width: int, heads: int) -> None:
    full, mini = (resolve(profile, DEPTH=depth, ASPECT_RATIO=ratio) for profile in ("full", "mini"))
    assert (full.model_dim, full.n_head, full.head_dim) == (width, heads, 128)
    assert (mini.model_dim, mini.n_head, mini.head_dim) == (width // 8, heads, 16)


def test_the_baseline_has_the_parameters_known_for_it() -> None:
    assert resolve("full", NGRAM_ORDER=1).params == 50_332_176
    assert resolve("full").params == 50_332_176 + 262_144 * 512


@given(
    depth=st.integers(1, 14),
    head=st.sampled_from([16, 32, 64, 128, 192]),
    heads_a_block=st.integers(1, 3),
    mlp=st.integers(1, 5),
    gate=st.integers(1, 80),
    pattern=st.text("SL", min_size=1, max_size=5),
    short=st.sampled_from([1, 2, 3, 8]),
    order=st.integers(1, 4),
    profile=st.sampled_from(PROFILES),
)
@settings(max_examples=60, deadline=None)
def test_parameters_and_flops_are_those_of_the_built_model(
    depth: int,
    head: int,
    heads_a_block: int,
    mlp: int,
    gate: int,
    pattern: str,
    short: int,
    order: int,
    profile: Profile,
) -> None:
    changed: dict[str, object] = {
        "DEPTH": depth,
        "HEAD_DIM": head,
        "ASPECT_RATIO": head * heads_a_block,
        "MLP_RATIO": mlp,
        "VALUE_GATE": gate,
        "NGRAM_ORDER": order,
        "TUNED": {profile: {**tuned(profile), "window_pattern": pattern, "short_window": short}},
    }
    predicted, built = resolve(profile, **changed), config(profile, changed)
    with torch.device("meta"):
        model = train.build_model(built)
    assert predicted.params == sum(weight.numel() for weight in model.parameters())
    assert predicted.flops_per_token == train.flops_per_token(built)
    assert (predicted.model_dim, predicted.n_head) == (built.model_dim, built.n_head)


def test_a_width_that_does_not_divide_is_refused_with_the_nearest_that_do() -> None:
    with pytest.raises(BadInput) as refused:
        resolve("full", DEPTH=9, ASPECT_RATIO=100)
    text = str(refused.value)
    assert all(part in text for part in ("DEPTH 9", "ASPECT_RATIO 100", "900", "HEAD_DIM 128", "ASPECT_RATIO 128"))


@pytest.mark.parametrize(("depth", "ratio"), [(9, 100), (7, 65), (3, 50), (11, 63), (12, 33), (1, 1), (5, 130)])
def test_the_values_it_proposes_are_valid(depth: int, ratio: int) -> None:
    with pytest.raises(BadInput) as refused:
        resolve("full", DEPTH=depth, ASPECT_RATIO=ratio)
    ratios, depths = refused.value.next_step.removeprefix("nearest valid: ").split(", or ")
    for value in ratios.removeprefix("ASPECT_RATIO ").partition(" (")[0].split(" or "):
        assert resolve("full", DEPTH=depth, ASPECT_RATIO=int(value)).model_dim > 0
    for value in depths.removeprefix("DEPTH ").partition(" (")[0].split(" or "):
        assert resolve("full", DEPTH=int(value), ASPECT_RATIO=ratio).model_dim > 0


@pytest.mark.parametrize("value", [0, -8, 8.0, "8", True, None])
@pytest.mark.parametrize("name", ["DEPTH", "ASPECT_RATIO", "HEAD_DIM", "MLP_RATIO"])
def test_a_constant_that_is_no_positive_whole_number_is_refused(name: str, value: object) -> None:
    with pytest.raises(BadInput, match=name):
        resolve("full", **{name: value})


@pytest.mark.parametrize("name", ["DEPTH", "ASPECT_RATIO", "HEAD_DIM", "MLP_RATIO", "TUNED"])
def test_a_missing_constant_is_named(name: str) -> None:
    assert isinstance(FACTS, dict)
    with pytest.raises(BadInput, match=name):
        shape.resolve({key: value for key, value in CONSTANTS.items() if key != name}, FACTS["full"], "full")


def test_a_script_from_before_ngrams_and_per_profile_windows_still_has_a_shape() -> None:
    older = {name: value for name, value in CONSTANTS.items() if name != "NGRAM_ORDER"}
    newer = {"window_pattern", "short_window", "ngram_rows"}
    table = {name: value for name, value in tuned("mini").items() if name not in newer}
    older |= {"WINDOW_PATTERN": "SSSL", "SHORT_WINDOW": 2, "TUNED": {"mini": table}}
    assert isinstance(FACTS, dict)
    found = shape.resolve(older, FACTS["mini"], "mini")
    assert (found.params, found.flops_per_token) == (786_960, 3_738_624)


def test_a_head_too_narrow_for_the_profile_is_refused() -> None:
    assert resolve("full", HEAD_DIM=8).n_head == 64
    with pytest.raises(BadInput, match="HEAD_DIM 8"):
        resolve("mini", HEAD_DIM=8)


def test_a_batch_that_does_not_come_out_even_is_refused_with_the_nearest_that_does() -> None:
    with pytest.raises(BadInput, match="768"):
        resolve("mini", TUNED={"mini": {**tuned("mini"), "device_batch": 3, "total_batch": 1000}})


@pytest.mark.parametrize("profile", PROFILES)
def test_predicted_memory_grows_with_depth_width_and_batch(profile: Profile) -> None:
    base = resolve(profile).memory_mb
    assert resolve(profile, DEPTH=16).memory_mb > base
    assert resolve(profile, ASPECT_RATIO=128).memory_mb > base
    entry = tuned(profile)
    doubled = {**entry, "device_batch": 2 * entry["device_batch"], "total_batch": 2 * entry["total_batch"]}
    assert resolve(profile, TUNED={profile: doubled}).memory_mb > base

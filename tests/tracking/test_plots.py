"""Pictures: two files each, of a size that a phone shows, the same bytes for the same data, and nothing left out."""

import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.trials import Candidate, Effect, Trial
from agent.tracking.plots import (
    THEMES,
    apart,
    draw_axis,
    draw_curves,
    draw_effects,
    draw_lineage,
    draw_parameters,
    short_count,
)

EFFECTS = [
    Effect("2 heads", 0.1, (0.08, 0.12), 3),
    Effect("GELU", 0.0, (-0.01, 0.01), 3),
    Effect("RoPE", 0.02, None, 1),
]
TRIALS = [
    Trial(
        candidate=Candidate(name=f"t{at}", sets={"EMB": 4 * at}, origin=origin, parents=("t1",), generation=at),
        values={0: 2.5 - 0.1 * at},
        metrics={"num_params_M": 0.003 * at},
    )
    for at, origin in enumerate(("random", "cross", "grown"), 1)
]
FAILED = Trial(candidate=Candidate(name="none", sets={"EMB": 64}, parents=("gone",)), failure="oom")


def draw_all(folder: Path, kind: str) -> list[Path]:
    trials = [*TRIALS, FAILED]
    return [
        *draw_effects(EFFECTS, folder / f"ladder.{kind}", "Ladder", "gain, nats"),
        *draw_parameters(trials, folder / f"parameters.{kind}", "Parameters", "loss"),
        *draw_axis(trials, "EMB", folder / f"axis.{kind}", "Embedding size", "loss"),
        *draw_lineage(trials, folder / f"lineage.{kind}", "Lineage", "loss"),
        *draw_curves({"a": [(0, 3.0), (9, 2.0)]}, folder / f"curves.{kind}", "Curves", "steps", "loss"),
    ]


def test_each_picture_has_a_light_and_a_dark_file_eight_hundred_pixels_wide(tmp_path: Path) -> None:
    files = draw_all(tmp_path, "png")
    assert len(files) == 10
    assert {path.stem.rpartition("-")[2] for path in files} == {"light", "dark"}
    for path in files:
        head = path.read_bytes()[:24]
        assert head[1:4] == b"PNG"
        assert int.from_bytes(head[16:20], "big") == 800


def test_a_drawing_as_svg_has_its_page_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    first, second = (
        draw_effects(EFFECTS, folder / "ladder.svg", "Ladder", "gain") for folder in (tmp_path, tmp_path / "second")
    )
    for path, other, theme in zip(first, second, THEMES, strict=True):
        assert theme.page in path.read_text()
        assert path.read_bytes() == other.read_bytes()


def test_without_trials_there_is_an_empty_picture(tmp_path: Path) -> None:
    assert len(draw_parameters([FAILED], tmp_path / "p.png", "Parameters", "loss")) == 2
    assert len(draw_lineage([], tmp_path / "l.png", "Lineage", "loss")) == 2
    assert len(draw_axis([], "EMB", tmp_path / "a.png", "Axis", "loss")) == 2


def test_the_module_is_loaded_without_matplotlib() -> None:
    code = "import sys, agent.tracking.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.3))
def test_names_are_a_gap_apart_in_the_order_of_their_values(values: list[float], gap: float) -> None:
    moved = apart(values, gap)
    by_value = [moved[at] for at in sorted(range(len(values)), key=lambda at: values[at])]
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(by_value))
    assert math.isclose(sum(moved), sum(values), abs_tol=1e-6)


def test_names_that_are_apart_stay_where_they_are() -> None:
    assert apart([1.0, 3.0, 2.0], 0.5) == [1.0, 3.0, 2.0]


@pytest.mark.parametrize(("count", "text"), [(500, "500"), (2908, "2.908k"), (2e6, "2M"), (1.5e9, "1.5B")])
def test_a_count_in_few_letters(count: float, text: str) -> None:
    assert short_count(count) == text


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BadInput, match=r"\[plots\]"):
        draw_effects(EFFECTS, tmp_path / "a.png", "A", "gain")

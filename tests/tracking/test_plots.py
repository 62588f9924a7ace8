"""Pictures: a light and a dark one, of a size that a phone shows, the same bytes for the same data."""

import subprocess
import sys

import pytest

from agent.core.errors import BadInput
from agent.core.trials import (
    Ancestor,
    CurvePicture,
    Effect,
    EffectPicture,
    LearningPicture,
    LineagePicture,
    ParameterPicture,
    Picture,
)
from agent.tracking import plots
from agent.tracking.plots import MOST_BARS, MOST_NAMES, draw

EFFECTS = (
    Effect("2 heads", 0.1, (0.08, 0.12), 3),
    Effect("GELU", 0.0, (-0.01, 0.01), 3),
    Effect("RoPE", 0.02, None, 1),
)
ORGANISMS = tuple(
    Ancestor(name, generation, origin, parents, fitness)
    for name, generation, origin, parents, fitness in (
        ("a", 1, "random", (), 2.5),
        ("b", 1, "random", (), 9.9),
        ("a", 2, "elite", (), 2.5),
        ("c", 2, "cross", ("a", "gone"), 2.4),
    )
)
CURVE = CurvePicture(
    name="emb",
    title="Best by EMB",
    across="EMB",
    line=((4, 2.5), (8, 2.3), (64, 2.2)),
    line_name="best",
    points=((4, 2.6),),
    points_name="all",
)
PICTURES: list[Picture] = [
    EffectPicture("ladder", "Ladder", EFFECTS),
    ParameterPicture("parameters", "Parameters", ((2908, 2.5, "a"), (8860, 2.3, "b"), (52252, 2.4, "c"))),
    CURVE,
    CurvePicture(name="best", title="Best", across="trial", line=((1, 2.5),), line_name="best", is_step=True, base=2.6),
    LearningPicture("learning", "Learning curves", (("a", ((1, 3.0), (9, 2.5))), ("b", ((1, 3.1), (9, 2.4))))),
    LineagePicture("lineage", "Lineage", ORGANISMS, ORGANISMS[:2]),
]


def size(file: bytes) -> tuple[int, int]:
    """Width and height of a PNG, in pixels."""
    assert file[1:4] == b"PNG"
    return int.from_bytes(file[16:20], "big"), int.from_bytes(file[20:24], "big")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda one: one.name)
def test_a_picture_is_eight_hundred_pixels_wide_light_and_dark_and_the_same_bytes_each_time(picture: Picture) -> None:
    files = draw(picture, "loss")
    assert list(files) == ["light", "dark"]
    assert {size(file)[0] for file in files.values()} == {800}
    assert files["light"] != files["dark"]
    assert draw(picture, "loss") == files


def test_of_very_many_effects_those_furthest_from_zero_are_drawn_in_their_order() -> None:
    many = [Effect(f"e{at}", at / 100, None, 1) for at in range(3 * MOST_BARS)]
    height = size(draw(EffectPicture("many", "Many", tuple(many)), "loss")["light"])[1]
    assert height == size(draw(EffectPicture("many", "Many", tuple(many[-MOST_BARS:])), "loss")["light"])[1]


def test_of_many_points_the_lowest_alone_has_a_name() -> None:
    points = [(1000.0 * at, 3 - 0.1 * at, f"n{at}") for at in range(1, MOST_NAMES + 2)]
    renamed = [(x, y, "other" if at < MOST_NAMES else name) for at, (x, y, name) in enumerate(points)]
    pictures = [draw(ParameterPicture("p", "P", tuple(those)), "loss") for those in (points, renamed)]
    assert pictures[0] == pictures[1]
    few = [draw(ParameterPicture("p", "P", tuple(those[:3])), "loss") for those in (points, renamed)]
    assert few[0] != few[1]


def test_an_organism_far_above_the_others_does_not_squeeze_them() -> None:
    low = [Ancestor(f"o{at}", at, "cross", (), 2 + at / 100) for at in range(9)]
    far = [draw(LineagePicture("l", "L", (*low, Ancestor("far", 1, "cross", (), y))), "loss") for y in (50.0, 90.0)]
    assert far[0] == far[1], "it is out of the picture, wherever it is"


def test_the_module_is_loaded_without_matplotlib() -> None:
    code = "import sys, agent.tracking.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BadInput, match=r"matplotlib") as caught:
        draw(CURVE, "loss")
    assert "[plots]" in str(caught.value)


def test_the_colours_of_a_theme_are_enough_for_the_families_and_grey() -> None:
    assert all(len(theme.series) > len(plots.FAMILIES) for theme in plots.THEMES)

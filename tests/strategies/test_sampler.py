"""What Optuna proposes, seen as a function of what has been seen."""

import math
from importlib import util

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Axis, Choice, Range, SearchOptions
from agent.strategies import axes, sampler
from agent.strategies.sampler import Observation, Point, draw

SPACE = {"LR": Range(0.001, 1.0, log=True), "WIDTH": Choice((64, 128, 256, 512)), "ACT": Choice(("relu", None, True))}
OPTIONS = SearchOptions(trials=12)  # four at random, then by the model


def seen(values: list[float | None]) -> list[Observation]:
    """Observations of points at random, with these values."""
    points: list[Observation] = []
    for value in values:
        point = draw(SPACE, SearchOptions(sampler="random"), points, [], f"seen/{len(points)}")
        points.append(Observation(point, value))
    return points


def bowl(point: Point) -> float:
    return (math.log10(point["LR"]) + 1) ** 2


def numbers() -> st.SearchStrategy[float]:
    return st.floats(0.001, 100).map(lambda value: float(f"{value:.3g}"))


@st.composite
def ranges(draw_: st.DrawFn) -> Range:
    low, length = draw_(numbers()), draw_(numbers())
    step = draw_(st.none() | st.just(length / 3) | st.just(length / 200))
    return Range(low, low + length, step, draw_(st.booleans()))


def whole() -> st.SearchStrategy[Range]:
    ends = st.tuples(st.integers(1, 40), st.integers(0, 40), st.integers(1, 9), st.booleans())
    return ends.map(lambda one: Range(one[0], one[0] + one[1], one[2], one[3]))


def choices() -> st.SearchStrategy[Choice]:
    values = st.lists(st.sampled_from([None, True, False, "a", "b", 2, 3.5, 8]), min_size=1, max_size=5, unique=True)
    return values.map(lambda one: Choice(tuple(one)))


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.sampled_from("ABC"), ranges() | whole() | choices(), min_size=1),
    st.sampled_from(["tpe", "random"]),
)
def test_every_draw_lies_in_the_space_and_is_new(space: dict[str, Axis], name: str) -> None:
    points: list[Observation] = []
    while len(points) < 7 and (point := draw(space, SearchOptions(trials=7, sampler=name), points, [], "a")):
        assert list(point) == list(space)
        assert all(axes.contains(axis, point[name]) for name, axis in space.items())
        assert all(isinstance(value, int) for key, value in point.items() if space[key] in whole_axes(space))
        assert point not in [one.point for one in points]
        points.append(Observation(point, float(len(points))))
    assert len(points) == min(7, axes.size(space) or 7)


def whole_axes(space: dict[str, Axis]) -> list[Axis]:
    return [
        axis
        for axis in space.values()
        if isinstance(axis, Range) and axis.step and float(axis.low).is_integer() and float(axis.step).is_integer()
        and float(axis.high).is_integer()
    ]  # fmt: skip


def test_the_ends_of_a_scaled_grid_are_drawn_like_their_neighbours() -> None:
    space = {"DEPTH": Range(4, 7, step=1, log=True), "LR": Range(0.0, 1.0)}
    drawn = [draw(space, SearchOptions(sampler="random"), [], [], str(n))["DEPTH"] for n in range(200)]
    assert all(drawn.count(depth) > 25 for depth in (4, 5, 6, 7))


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_the_same_arguments_give_the_same_point(name: str) -> None:
    options = SearchOptions(trials=12, sampler=name)
    first, other = (draw(SPACE, options, seen([3.0, 1, math.inf, 2, None, 0]), [], "7/6") for _ in range(2))
    assert first == other != draw(SPACE, options, seen([3.0, 1, math.inf, 2, None, 0]), [], "7/7")


@pytest.mark.slow
def test_a_gaussian_process_gives_the_same_point_and_learns_from_values() -> None:
    options, space = SearchOptions(trials=12, sampler="gp"), {"LR": Range(0.0, 1.0)}
    points = [Observation({"LR": x}, (x - 0.3) ** 2) for x in (0.0, 0.2, 0.55, 1.0)]
    first, other = (draw(space, options, points, [], "7/6") for _ in range(2))
    assert first == other
    assert abs(first["LR"] - 0.3) < 0.1


def test_the_model_is_trusted_after_its_start_and_not_before() -> None:
    good, bad = ([Observation(one.point, sign * bowl(one.point)) for one in seen([0.0] * 8)] for sign in (1, -1))
    start = [draw(SPACE, OPTIONS, points[:3], [], "1")["LR"] for points in (good, bad)]
    assert start[0] == start[1]
    later = [[draw(SPACE, OPTIONS, points, [], f"{n}")["LR"] for n in range(20)] for points in (good, bad)]
    near, far = ([bowl({"LR": one}) for one in values] for values in later)
    assert sum(near) < sum(far) / 2


@pytest.mark.parametrize("value", [1.0, 0.0, -3.0])
def test_a_failed_point_counts_as_worse_than_the_worst(value: float) -> None:
    space, options = {"X": Range(0.0, 1.0)}, SearchOptions(trials=12)
    points = [Observation({"X": n / 20}, math.inf if n < 10 else value) for n in range(20)]
    drawn = [draw(space, options, points, [], str(n))["X"] for n in range(20)]
    assert sum(one >= 0.5 for one in drawn) >= 18


def test_a_point_that_runs_pushes_the_next_away() -> None:
    space, options = {"X": Range(0.0, 1.0)}, SearchOptions(trials=12)
    points = [Observation({"X": n / 20}, abs(n / 20 - 0.5)) for n in range(20)]
    alone = [abs(draw(space, options, points, [], str(n))["X"] - 0.5) for n in range(30)]
    crowd = [Observation({"X": 0.5 + n / 1000}, None) for n in range(-20, 20)]
    beside = [abs(draw(space, options, [*points, *crowd], [], str(n))["X"] - 0.5) for n in range(30)]
    assert sum(beside) > 1.5 * sum(alone)


def test_a_small_space_is_drawn_to_its_last_point_and_then_no_more() -> None:
    space = {"A": Choice(tuple(range(5))), "B": Choice((True, False))}
    points: list[Observation] = []
    while point := draw(space, SearchOptions(trials=30), points, [{"A": 4, "B": True}], f"{len(points)}"):
        points.append(Observation(point, float(point["A"])))
    assert len({(one.point["A"], one.point["B"]) for one in points}) == len(points) == 9
    assert {"A": 4, "B": True} not in [one.point for one in points]
    assert sampler.is_exhausted(space, points, [{"A": 4, "B": True}])
    assert not sampler.is_exhausted(space, points, [])


def test_importance_is_that_of_the_axis_that_decides() -> None:
    points = [Observation(one.point, bowl(one.point)) for one in seen([0.0] * 40)]
    shares = sampler.importance(SPACE, points)
    assert list(shares) == list(SPACE)
    assert shares["LR"] > 0.5
    assert math.isclose(sum(shares.values()), 1)
    assert sampler.importance(SPACE, points[:9]) == {}


def test_optuna_says_nothing_and_keeps_its_own_level(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.INFO)
    draw(SPACE, OPTIONS, seen([1.0] * 6), [], "0")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("missing", "name"), [("optuna", "tpe"), ("scipy", "gp")])
def test_what_is_missing_is_named_with_the_command_that_installs_it(
    missing: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler.check_installed(name)
    monkeypatch.setattr(sampler, "find_spec", lambda one: None if one == missing else util.find_spec(one))
    with pytest.raises(BadInput, match=f"needs {missing}, which is not installed") as refusal:
        sampler.check_installed(name)
    assert refusal.value.next_step == "pip install -e '.[search]'"
    if missing == "optuna":
        assert sampler.importance(SPACE, seen_points()) == {}


def seen_points() -> list[Observation]:
    return [Observation({"LR": 0.1, "WIDTH": 64, "ACT": None}, 1.0)] * 20

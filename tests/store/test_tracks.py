"""Tracks: found by folder, checked field by field."""

from pathlib import Path

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Budget
from agent.store.tracks import load, names

ROOT = Path(__file__).parents[2]


def test_the_main_track_is_here_and_whole() -> None:
    track = load(ROOT, "main")
    assert (track.script, track.metric, track.goal, track.budget) == (
        "train.py",
        "val_bpb",
        "min",
        Budget("seconds", 300),
    )
    assert track.seeds == (0, 1, 2)
    assert (ROOT / track.script).exists()
    assert "main" in names(ROOT)


@pytest.mark.parametrize("name", ["nmaes", "", "../experiments/main", str(ROOT / "experiments" / "main"), "main/"])
def test_an_unknown_track_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(BadInput, match=rf"there is no track '{name}'\n  tracks here: main"):
        load(ROOT, name)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('goal = "min"', 'goal = "lowest"', "goal: Input should be 'min' or 'max'"),
        ("budget_s = 300", "budget_s = -1", "budget_s: Input should be greater than 0"),
        ('metric = "val_bpb"', "", "metric: Field required"),
        ("seeds = [0, 1, 2]", "seeds = []", "seeds: Tuple should have at least 1"),
        ('goal = "min"', 'goal = "min"\nextra = 1', "extra: Unexpected keyword argument"),
        ('goal = "min"', "goal = ", "Invalid value"),
        ("budget_s = 300", "", "budget: expected budget_s = 300"),
        ("budget_s = 300", 'budget_s = 300\nbudget = "9 steps"', "budget: expected budget_s = 300"),
        ("budget_s = 300", 'budget = "0 steps"', "budget: expected budget_s = 300"),
        ("budget_s = 300", 'budget = "9 stepz"', "'9stepz' is not the text of a budget"),
    ],
)
def test_a_wrong_track_file_is_named_with_its_field(project: Path, old: str, new: str, problem: str) -> None:
    path = project / "experiments" / "main" / "track.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BadInput, match=rf"track\.toml: {problem}"):
        load(project, "main")

"""The cheats of tests/cheats: each applies to the real train.py, runs, and profits from what it does."""

import ast
import json
import math
import shutil
from pathlib import Path

import pytest

from tests.cheats import CHECKS, Cheat, cheats, train_py
from tests.test_train import ROOT, SMALL, run_train

ALL = cheats()
CHEATS, HONEST = ([one for one in ALL if bool(one.caught_by) is caught] for caught in (True, False))
RUNNING = [one for one in ALL if one.caught_by != "edit"]  # the others are refused before they run
SEED = "1"


def named(one: Cheat) -> str:
    return one.name


def run_cheat(one: Cheat, folder: Path, corpus_cache: Path) -> Path:
    """Run it, beside the folders of earlier runs, on a copy of the cache: some of them write there."""
    shutil.copytree(corpus_cache, folder / "cache", dirs_exist_ok=True)
    (folder / "script").mkdir()
    (folder / "script" / "train.py").write_text(train_py(one, **SMALL), "utf-8")
    shutil.copy(ROOT / "prepare.py", folder / "script")
    for _ in range(one.runs):
        run_script(folder, folder / "runs" / "own", folder / "cache", one.steps)
    return folder / "runs" / "own"


def run_script(folder: Path, out: Path, cache: Path, steps: int) -> None:
    script = folder / "script" / "train.py"
    done = run_train(out, cache, script=script, STEPS=str(steps), SEED=SEED, COMPILE="0", CORPUS="stdlib")
    assert done.returncode == 0, done.stderr


def claimed(run: Path) -> float:
    return json.loads((run / "result.json").read_text("utf-8"))["metrics"]["val_bpb"]


@pytest.fixture(scope="session")
def honest_runs(corpus_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By its number of steps, the folder of a run of train.py as it is."""
    folder = tmp_path_factory.mktemp("honest")
    plain = Cheat("plain", "", (), None, lowers=False, steps=8, runs=0)
    run_cheat(plain, folder, corpus_cache)
    runs = {steps: folder / str(steps) for steps in sorted({one.steps for one in RUNNING})}
    for steps, out in runs.items():
        run_script(folder, out, folder / "cache", steps)
    return runs


# --- as text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", ALL, ids=named)
def test_its_edits_fit_the_real_train_py_once_each_and_the_result_compiles(one: Cheat) -> None:
    text = train_py(one, **SMALL)
    assert compile(text, "train.py", "exec")
    plain = Cheat("plain", "", (), None, lowers=False, steps=8, runs=1)
    assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(train_py(plain, **SMALL)))


@pytest.mark.parametrize("one", ALL, ids=named)
def test_it_says_what_it_does_and_names_a_known_check(one: Cheat) -> None:
    assert one.told.endswith(".")
    assert one.caught_by is None or one.caught_by in CHECKS


def test_there_are_many_and_each_check_has_one_to_catch() -> None:
    assert len(CHEATS) >= 16
    assert len(HONEST) >= 4
    assert {one.caught_by for one in CHEATS} == set(CHECKS)
    for told in ([one.name for one in ALL], [one.edits for one in ALL]):
        assert all(told.count(each) == 1 for each in told)


# --- as runs --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("one", RUNNING, ids=named)
def test_it_runs_and_claims_a_lower_value_where_that_is_its_point(
    one: Cheat, honest_runs: dict[int, Path], corpus_cache: Path, tmp_path: Path
) -> None:
    before = honest_runs[one.steps]
    shutil.copytree(before, tmp_path / "runs" / "earlier")
    after = run_cheat(one, tmp_path, corpus_cache)
    assert (after / "model.pt").is_file()
    assert (after / "losses.npz").is_file()
    if one.lowers:
        assert claimed(after) < claimed(before)
    elif one.caught_by is None:
        assert math.isfinite(claimed(after))

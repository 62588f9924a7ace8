"""What a run is given, and what must be as it was before it starts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from agent import runs
from agent.core import BASELINE, BadInput, Budget, Profile
from tests import cheats, trial
from tests.trial import SMALL


@pytest.mark.parametrize(
    ("profile", "budget", "expected"),
    [
        ("mini", Budget("seconds", 20), {"AUTORESEARCH_COMPILE": "0"}),
        ("mini", Budget("seconds", runs.COMPILE_FROM_S), {"AUTORESEARCH_COMPILE": "1"}),
        ("mini", Budget("steps", 5000), {"AUTORESEARCH_COMPILE": "0"}),
        ("full", Budget("seconds", 20), {}),
    ],
)
def test_on_a_cpu_all_runs_of_a_campaign_compile_or_none_does(
    profile: Profile, budget: Budget, expected: dict[str, str]
) -> None:
    assert runs.compile_env(profile, budget) == expected


@pytest.fixture
def court(corpus_cache: Path, tmp_path: Path) -> trial.Court:
    """A campaign of one edit, with a cache of its own."""
    shutil.copytree(corpus_cache, tmp_path / "cache", ignore=shutil.ignore_patterns("graphs", "inductor"))
    project = trial.make(tmp_path / "project", cheats.original(**SMALL))
    return trial.open_court(project, tmp_path / "cache", {"1A": cheats.original(**SMALL, MLP_RATIO=2)}, 1)


def test_a_run_sees_all_of_its_corpus_but_the_second_held_out_set(court: trial.Court) -> None:
    job = runs.job(court.parts, court.evidence, "1A", 0, "screen")
    assert court.evidence.corpus is not None
    seen = {path.name for path in job.readable}
    assert seen == {path.name for path in court.evidence.corpus.iterdir()} - {"held.npz"}
    assert job.env["AUTORESEARCH_PREPARED"] == str(court.evidence.corpus)


def test_what_a_model_wrote_compiles_for_itself_and_leaves_nothing_to_later_runs(court: trial.Court) -> None:
    own, shared = (runs.job(court.parts, court.evidence, name, 0, "screen") for name in ("1A", BASELINE))
    assert shared.writable == (Path(court.parts.env["AUTORESEARCH_CACHE"]) / "graphs",)
    assert (own.writable, own.env["AUTORESEARCH_CACHE"]) == ((), str(own.run_dir / "cache"))


def test_on_a_baseline_that_a_model_wrote_every_run_compiles_for_itself(court: trial.Court) -> None:
    plan = replace(court.evidence.plan, inherited=True)
    job = runs.job(court.parts, replace(court.evidence, plan=plan), BASELINE, 0, "baseline")
    assert (job.writable, job.env["AUTORESEARCH_CACHE"]) == ((), str(job.run_dir / "cache"))


@pytest.mark.parametrize("name", ["val.npz", "held.npz", "tokenizer.json", "train.bin"])
def test_a_corpus_that_changed_since_the_campaign_began_stops_it_by_name(court: trial.Court, name: str) -> None:
    assert court.evidence.corpus is not None
    with (court.evidence.corpus / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadInput, match=f"{name} changed since the campaign began"):
        runs.job(court.parts, court.evidence, "1A", 0, "screen")

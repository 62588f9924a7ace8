"""What a run is given, and what must be as it was before it starts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from agent.campaign import auditing, jobs
from agent.campaign.plan import CampaignRequest
from agent.core.errors import BadInput, Paused
from agent.core.experiment import BASELINE, Budget, Profile
from tests import cheats
from tests.campaign.test_plan import model_code_in_base, plan
from tests.store.test_ledger import RUN
from tests.support import trial
from tests.support.project import commit, edit
from tests.support.trial import SMALL


@pytest.mark.parametrize(
    ("profile", "budget", "expected"),
    [
        ("mini", Budget("seconds", 20), {"AUTORESEARCH_COMPILE": "0"}),
        ("mini", Budget("seconds", jobs.COMPILE_FROM_S), {"AUTORESEARCH_COMPILE": "1"}),
        ("mini", Budget("steps", 5000), {"AUTORESEARCH_COMPILE": "0"}),
        ("full", Budget("seconds", 20), {}),
    ],
)
def test_on_a_cpu_all_runs_of_a_campaign_compile_or_none_does(
    profile: Profile, budget: Budget, expected: dict[str, str]
) -> None:
    assert jobs.compile_env(profile, budget) == expected


@pytest.fixture
def court(corpus_cache: Path, tmp_path: Path) -> trial.Court:
    """A campaign of one edit, with a cache of its own."""
    shutil.copytree(corpus_cache, tmp_path / "cache", ignore=shutil.ignore_patterns("graphs", "inductor"))
    project = trial.make(tmp_path / "project", cheats.original(**SMALL))
    return trial.open_court(project, tmp_path / "cache", {"1A": cheats.original(**SMALL, MLP_RATIO=2)}, 1)


def test_a_run_sees_all_of_its_corpus_but_the_second_held_out_set(court: trial.Court) -> None:
    job = jobs.make_job(court.ctx, court.view, "1A", 0, "screen")
    assert court.view.corpus is not None
    seen = {path.name for path in job.readable}
    assert seen == {path.name for path in court.view.corpus.iterdir()} - {"held.npz"}
    assert job.env["AUTORESEARCH_PREPARED"] == str(court.view.corpus)


def test_what_a_model_wrote_compiles_for_itself_and_leaves_nothing_to_later_runs(court: trial.Court) -> None:
    own, shared = (jobs.make_job(court.ctx, court.view, name, 0, "screen") for name in ("1A", BASELINE))
    assert shared.writable == (Path(court.ctx.env["AUTORESEARCH_CACHE"]) / "graphs",)
    assert (own.writable, own.env["AUTORESEARCH_CACHE"]) == ((), str(own.run_dir / "cache"))


def test_on_a_baseline_that_a_model_wrote_every_run_compiles_for_itself(court: trial.Court) -> None:
    plan = model_code_in_base(court.view.plan)
    job = jobs.make_job(court.ctx, replace(court.view, plan=plan), BASELINE, 0, "baseline")
    assert (job.writable, job.env["AUTORESEARCH_CACHE"]) == ((), str(job.run_dir / "cache"))


COMPILES = """    mark = Path(os.environ["AUTORESEARCH_CACHE"]) / "graphs" / "mark"
    time.sleep(0 if mark.exists() else 2)
    mark.touch()
    time.sleep(PAUSE)
"""


def compiling(project: Path, budget: Budget) -> trial.Court:
    """A campaign of scripts that take two seconds more where nothing lies in their cache."""
    edit(project, "train.py", "    time.sleep(PAUSE)\n", COMPILES)
    commit(project, "It compiles")
    return trial.open_campaign(
        project, project.parent / "cache", plan(project, CampaignRequest(3, "mini", "stdlib", budget))
    )


def test_what_a_compilation_takes_is_told_by_our_own_clock_and_leaves_nothing(project: Path) -> None:
    court = compiling(project, Budget("seconds", jobs.COMPILE_FROM_S))
    home = court.ctx.logs / "compiled"
    assert 1.0 < jobs.measure_compile_s(court.ctx, court.view, home) < 4.0
    assert not home.exists()
    assert list((project.parent / "cache").rglob("mark")) == []
    assert court.ctx.ledger.runs(role="probe") == []


def test_where_nothing_is_compiled_nobody_asks_what_it_takes(project: Path) -> None:
    court = compiling(project, Budget("steps", 5))
    assert jobs.measure_compile_s(court.ctx, court.view, court.ctx.logs / "compiled") == 0.0
    assert not (project / "logs").exists()


def test_a_baseline_that_cannot_be_probed_is_no_fault_of_a_winner(project: Path) -> None:
    edit(project, "train.py", 'MODE = "ok"', 'MODE = "crash"')
    court = compiling(project, Budget("seconds", jobs.COMPILE_FROM_S))
    with pytest.raises(Paused, match="the baseline cannot be probed"):
        jobs.measure_compile_s(court.ctx, court.view, court.ctx.logs / "compiled")


@pytest.mark.parametrize(("seconds", "asked"), [(150.0, False), (250.0, True)])
def test_before_the_clock_refuses_for_a_compilation_it_learns_what_one_takes(
    project: Path, seconds: float, asked: bool
) -> None:
    court = compiling(project, Budget("seconds", jobs.COMPILE_FROM_S))
    campaign, told = court.view.campaign, {"training_seconds": 120.0}
    for name, took in ((BASELINE, 140.0), ("1D", seconds)):
        usual = replace(RUN, conditions=campaign.conditions, role="confirm", metrics=told, seconds=took)
        court.ctx.ledger.append(replace(usual, variant=name, tree=campaign.trees[name], campaign_id=campaign.at))
    timed = auditing.campaign_timing(court.ctx, court.view, "1D", court.ctx.logs / "compiled")
    assert (timed.compile_s > 1.0) == asked
    assert timed.has_model_code is False


@pytest.mark.parametrize("name", ["val.npz", "held.npz", "tokenizer.json", "train.bin"])
def test_a_corpus_that_changed_since_the_campaign_began_stops_it_by_name(court: trial.Court, name: str) -> None:
    assert court.view.corpus is not None
    with (court.view.corpus / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadInput, match=f"{name} changed since the campaign began"):
        jobs.make_job(court.ctx, court.view, "1A", 0, "screen")

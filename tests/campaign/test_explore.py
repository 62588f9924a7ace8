"""Strategies that explore, end to end on a stand-in script: from the issue to the report, through crashes too."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from agent.core.records import CandidatesRecord
from agent.store.ledger import Ledger
from tests.support.project import agent, edit, git

FORM = "---\nnumber: 5\ntitle: a study\nlabels: [experiment]\n---\nTry it.\n\n```yaml\n# autoresearch\n{}\n```\n"
EVOLVE = """strategy: evolve
budget: 5steps
space: {DEPTH: [4, 6, 8, 10, 12], ASPECT_RATIO: [32, 64, 96, 128]}
evolve: {generations: 2, population: 4}"""
SWEEP = """strategy: sweep
budget: 5steps
promote: false
seeds: [0, 1]
space: {DEPTH: [8, 10], ASPECT_RATIO: [64, 96]}
claims:
- {order: [ASPECT_RATIO, DEPTH]}
- {better: DEPTH-10, than: ASPECT_RATIO-96}"""
SEARCH = """strategy: search
budget: 5steps
space: {DEPTH: [4, 8, 12], ASPECT_RATIO: [32, 64, 128]}
search: {trials: 4, sampler: random, batch: 2}"""
LADDER = """strategy: ladder
budget: 5steps
seeds: [0, 1]
variants:
- {id: deep, set: {DEPTH: 10}}
- {id: wide, set: {DEPTH: 8, ASPECT_RATIO: 96}, why: wider and not deeper}"""


def ask(project: Path, block: str) -> None:
    (project / "experiments" / "issues" / "0005-study.md").write_text(FORM.format(block))


def status(project: Path) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(agent(project, "--issue", "5", "--status", "--json").stdout)
    return shown


def lineage(project: Path) -> list[tuple[object, ...]]:
    """What the ledger has of the candidates: everything but when."""
    ledger = Ledger(project / "experiments" / "ledger.jsonl", project / "lock")
    added = [one for record in ledger.records_of(CandidatesRecord) for one in record.added]
    return [(one.candidate, one.commit, one.tree, one.failure) for one in added]


def pictures(project: Path) -> set[str]:
    """The pictures that the comment links to and that are there, without what makes their names unique."""
    comment = project / "experiments" / "issues" / "0005-study.comment.md"
    files = [comment.parent / link for link in re.findall(r'src(?:set)?="([^"]+)"', comment.read_text())]
    assert all(path.exists() for path in files)
    return {path.name.rsplit("-", 2)[0] for path in files}


def measured(project: Path) -> dict[tuple[str, int], float]:
    return {(one["variant"], one["seed"]): one["val_bpb"] for one in status(project)["runs"]}


def test_a_sweep_reports_what_each_factor_is_worth_and_what_became_of_the_claims_and_moves_nothing(
    project: Path,
) -> None:
    ask(project, SWEEP)
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    assert "verdict: measured ASPECT_RATIO-96" in done.stdout
    assert "ASPECT_RATIO 0.0499, DEPTH 0.0200" in done.stdout
    comment = (project / "experiments" / "issues" / "0005-study.comment.md").read_text()
    claims = comment.split("### Claims")[1].split("###")[0]
    assert [line.split(" | ")[1] for line in claims.strip().splitlines()[2:]] == ["held", "not held"]
    assert git(project, "branch", "--list", "autoresearch/baseline/main", "--format=%(objectname)") == git(
        project, "rev-parse", "HEAD"
    )
    assert len(measured(project)) == 6


def test_a_ladder_confirms_its_best_rung_on_fresh_seeds_before_the_baseline_moves(project: Path) -> None:
    ask(project, LADDER)
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    shown = status(project)
    assert (shown["verdict"]["decision"], shown["verdict"]["variant"]) == ("keep", "wide")
    seeds = [one["seed"] for one in shown["runs"] if one["variant"] == "wide"]
    assert sorted(seeds) == [0, 1, 2], "two of the ladder, a fresh one"
    assert git(project, "rev-parse", "autoresearch/baseline/main") == git(
        project, "rev-parse", "autoresearch/issue-5/wide"
    )
    effect = next(one for one in shown["findings"]["effects"] if "wide" in one["name"])
    assert effect["gain"] == pytest.approx(0.03, abs=0.001)
    assert pictures(project) == {"ladder"}


def test_a_search_runs_the_base_first_and_confirms_the_best_of_its_trials(project: Path) -> None:
    ask(project, SEARCH)
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    shown = status(project)
    names = list(dict.fromkeys(one["variant"] for one in sorted(shown["runs"], key=lambda one: one["variant"])))
    assert names[0] == "baseline"
    assert len([name for name in names if name.startswith("t")]) == 4
    assert shown["verdict"]["variant"] in {None, *names}
    [run] = [one for one in lineage(project) if one[0].name == "baseline"]  # type: ignore[attr-defined]
    assert run[1] == git(project, "rev-parse", "HEAD")
    assert pictures(project) == {"best-so-far", "gains"}


def test_a_space_in_which_no_shape_can_run_is_refused_before_any_run(project: Path) -> None:
    ask(project, "strategy: search\nspace: {ASPECT_RATIO: [63, 65, 67]}")
    for command in (("--plan",), ()):
        refused = agent(project, "--issue", "5", *command)
        assert refused.returncode == 2
        assert "no point of the space can run: 3 were tried" in refused.stderr
        assert "no multiple of HEAD_DIM" in refused.stderr
    assert not (project / "experiments" / "ledger.jsonl").exists()


@pytest.mark.parametrize(
    "fault",
    [
        "append-after@2",
        "run-result@11",
        *(pytest.param(one, marks=pytest.mark.nightly) for one in ("commit-after@3", "append-before@2")),
    ],
)
def test_an_evolution_that_is_killed_anywhere_goes_on_to_the_same_lineage(
    project: Path, evolved: tuple[list[tuple[object, ...]], dict[tuple[str, int], float]], fault: str
) -> None:
    ask(project, EVOLVE)
    killed = agent(project, "--issue", "5", env={"AUTORESEARCH_FAULT": f"{fault}:kill"})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    assert (lineage(project), measured(project)) == evolved


@pytest.fixture(scope="module")
def evolved(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[tuple[object, ...]], dict[tuple[str, int], float]]:
    """The lineage and the measurements of an evolution that nobody interrupted."""
    from tests.support.project import make

    project = make(tmp_path_factory.mktemp("evolved") / "project")
    ask(project, EVOLVE)
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    assert "random search" in done.stdout
    assert pictures(project) == {"lineage", "best-by-DEPTH", "best-by-ASPECT_RATIO"}
    again = agent(project, "--issue", "5")
    assert "run 1/" not in again.stdout, "an answer is shown, and nothing runs once more"
    return lineage(project), measured(project)


def test_what_cannot_run_is_refused_before_it_runs_and_the_evolution_goes_on(
    evolved: tuple[list[tuple[object, ...]], dict[tuple[str, int], float]],
) -> None:
    candidates, runs = evolved
    refused = {one[0].name for one in candidates if one[3]}  # type: ignore[attr-defined]
    assert refused, "a space of these shapes has some that HEAD_DIM does not divide"
    assert not refused & {name for name, _ in runs}


def test_a_candidate_that_crashes_is_out_and_nothing_else(project: Path) -> None:
    edit(project, "train.py", '    if MODE == "crash":', '    if MODE == "crash" or DEPTH == 6:')
    git(project, "commit", "--quiet", "--all", "--message", "depth 6 crashes")
    ask(project, EVOLVE)
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    failed = {one["variant"] for one in status(project)["runs"] if one["status"] == "crash"}
    assert failed
    assert status(project)["verdict"]["variant"] not in failed

"""The main job on the stand-in script: real git, real processes, real ledger; interrupted anywhere, the same end."""

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.records import RunRecord
from agent.store.codec import decode, encode
from agent.store.repository import Repository
from tests.conftest import Finished
from tests.support import needs
from tests.support.project import agent, commit, edit, git, start

STEPS = ("--issue", "3", "--budget", "5steps")  # the same number for all: no probes, so campaigns are comparable


def status(project: Path) -> dict:  # type: ignore[type-arg]
    run = agent(project, "--issue", "3", "--status", "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)  # type: ignore[no-any-return]


def end_state(project: Path) -> dict[str, object]:
    """What must not depend on interruptions: verdict, runs, refs and their commits, notes, exports, the comment."""
    refs = git(project, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    commits = git(project, "for-each-ref", "--format=%(objectname)", "refs/heads/autoresearch").split()
    told = status(project)
    for run in told["runs"]:
        del run["seconds"]
    return {
        "status": told,
        "refs": refs,
        "notes": [git(project, "notes", "--ref=autoresearch", "show", commit) for commit in sorted(set(commits))],
        "tsv": (project / "experiments" / "results.tsv").read_text(),
        "comment": next((project / "experiments" / "issues").glob("*.comment.md")).read_text(),
        "records": kinds(project),
    }


def kinds(project: Path) -> dict[str, int]:
    """How many records of each kind the ledger has."""
    lines = (project / "experiments" / "ledger.jsonl").read_text().splitlines()
    found = [json.loads(line)["kind"] for line in lines]
    return {kind: found.count(kind) for kind in sorted(set(found))}


def test_a_track_whose_winners_cannot_be_audited_says_so_wherever_it_speaks(project: Path) -> None:
    run = agent(project, "--issue", "3", "--budget", "5steps", "--gate", "lowest")
    why = "the track's prepare.py prepares no held.npz"
    assert f"no winner will be audited: {why}" in run.stdout
    comment = next((project / "experiments" / "issues").glob("*.comment.md")).read_text()
    for told in (run.stdout, comment, agent(project, "--issue", "3", "--status").stdout):
        assert f"no winner is audited here: {why}" in told


def test_issue_3_runs_to_its_verdict_and_the_baseline_moves(project: Path) -> None:
    base = git(project, "rev-parse", "HEAD")
    run = agent(project, *STEPS)
    assert run.returncode == 0, run.stderr
    assert "verdict: keep 1D" in run.stdout
    assert "If 1D (wider) wins: model is width-starved" in run.stdout
    told = status(project)
    assert [(r["variant"], r["seed"]) for r in told["runs"]] == (
        [("baseline", 0), ("baseline", 1), ("1D", 0), ("1D", 1), ("1C", 0), ("1A", 0), ("1B", 0)]
    )
    assert told["baseline"] == {"commit": git(project, "rev-parse", "autoresearch/issue-3/1D"), "model_dim": 768}
    assert git(project, "rev-parse", "autoresearch/baseline/main") == told["baseline"]["commit"]
    assert git(project, "rev-parse", "HEAD") == base
    assert git(project, "status", "--porcelain") == ""


def test_runs_follow_the_issues_order_with_the_baseline_first(finished: Finished) -> None:
    out = finished.stdout
    order = re.findall(r"run \d+/\d+: (\w+) seed (\d)", out)
    assert order[:6] == [("baseline", n) for n in "01"] + [(name, "0") for name in ("1D", "1C", "1A", "1B")]
    assert order[6:] == [("1D", "1")]


def test_every_variant_is_one_commit_whose_diff_is_its_constants(finished: Finished) -> None:
    project = finished.project
    expected = {
        "1A": {"+DEPTH = 6", "+ASPECT_RATIO = 128", "-DEPTH = 8", "-ASPECT_RATIO = 64"},
        "1B": {"+DEPTH = 12", "+ASPECT_RATIO = 32", "-DEPTH = 8", "-ASPECT_RATIO = 64"},
        "1C": {"+DEPTH = 10", "-DEPTH = 8"},
        "1D": {"+ASPECT_RATIO = 96", "-ASPECT_RATIO = 64"},
    }
    for name, lines in expected.items():
        branch = f"autoresearch/issue-3/{name}"
        assert git(project, "rev-list", "--count", f"main..{branch}") == "1"
        diff = git(project, "diff", "--unified=0", "main", branch).splitlines()
        changed = {line.split("#")[0].strip() for line in diff if re.match(r"[+-][^+-]", line)}
        assert changed == lines
        assert git(project, "diff", "--name-only", "main", branch) == "train.py"
        assert re.search(
            rf"{name}: (keep|discard|inconclusive)", git(project, "log", "-1", "--notes=autoresearch", branch)
        )


def test_the_same_command_again_says_the_same_and_runs_nothing(finished: Finished) -> None:
    project = finished.project
    before = end_state(project)
    second = agent(project, *STEPS)
    assert second.stdout.strip() == finished.stdout[finished.stdout.index("\nvariant") :].strip()
    assert end_state(project) == before


def test_a_finished_issue_is_not_run_again_after_an_unrelated_commit(finished: Finished) -> None:
    project = finished.project
    (project / "README.md").write_text("notes of mine")
    commit(project, "unrelated")
    assert "run 1/" not in agent(project, *STEPS).stdout
    assert kinds(project)["campaign"] == 1


def test_a_repaired_script_is_run_anew_and_the_old_branches_stay_reachable(project: Path) -> None:
    edit(project, "train.py", 'MODE = "ok"', 'MODE = "crash"')
    commit(project, "broken")
    broken = agent(project, *STEPS)
    assert "verdict: failed" in broken.stdout
    edit(project, "train.py", 'MODE = "crash"', 'MODE = "ok"')
    commit(project, "repaired")
    assert "verdict: keep 1D" in agent(project, *STEPS).stdout
    assert len(git(project, "branch", "--list", "autoresearch/issue-3/1D*").split()) == 2


def test_another_budget_is_another_campaign_from_the_same_base(finished: Finished) -> None:
    project = finished.project
    branches = git(project, "branch", "--list", "autoresearch/issue-3/*")
    again = agent(project, "--issue", "3", "--budget", "6steps")
    assert "verdict: keep 1D" in again.stdout, again.stderr
    assert git(project, "branch", "--list", "autoresearch/issue-3/*") == branches
    assert kinds(project)["promotion"] == 2


def test_the_next_issue_starts_from_the_winner_and_uses_its_confirmations(finished: Finished) -> None:
    project = finished.project
    issue = "---\nnumber: 4\ntitle: Next\nlabels: [experiment]\n---\n| ID | DEPTH |\n|---|---|\n| 2A | 12 |\n"
    (project / "experiments" / "issues" / "0004-next.md").write_text(issue)
    out = agent(project, "--issue", "4", "--budget", "5steps")
    assert out.returncode == 0, out.stderr
    winner = git(project, "rev-parse", "autoresearch/issue-3/1D")
    assert git(project, "rev-parse", "autoresearch/issue-4/2A^") == winner
    assert re.findall(r"run \d+/\d+: (\w+) seed (\d)", out.stdout) == [
        ("baseline", "2"),
        ("2A", "1"),
    ]  # the baseline's first seed is now 1
    assert "verdict: discard" in out.stdout


def test_lowest_runs_each_once_and_states_the_chance_of_a_false_winner(project: Path) -> None:
    run = agent(project, *STEPS, "--gate", "lowest")
    assert run.returncode == 0, run.stderr
    assert len(re.findall(r"run \d+/", run.stdout)) == 5
    assert "verdict: keep 1D" in run.stdout
    assert "80" in run.stdout


def test_equal_variants_promote_nothing(project: Path) -> None:
    edit(project, "train.py", "GAIN = {(8, 96): 0.05, (10, 64): 0.02}", "GAIN = {}")
    edit(project, "train.py", "SIGMA = 0.001", "SIGMA = 0.0")
    commit(project, "no shape gains anything, and there is no noise")
    out = agent(project, *STEPS).stdout
    assert "verdict: discard" in out
    assert git(project, "rev-parse", "autoresearch/baseline/main") == git(project, "rev-parse", "HEAD")


def test_the_calibrated_clock_gives_steps_in_proportion_to_speed(project: Path) -> None:
    run = agent(project, "--issue", "3", "--budget", "10")
    assert run.returncode == 0, run.stderr
    assert "calibrating: 15 probes" in run.stdout
    records = [json.loads(line) for line in (project / "experiments" / "ledger.jsonl").read_text().splitlines()]
    steps = {r["variant"]: r["steps"] for r in records if r["kind"] == "run" and r["role"] != "probe"}
    depth = {"baseline": 8, "1A": 6, "1B": 12, "1C": 10, "1D": 8}
    assert steps == {name: round(10 / (0.01 * 8) * 8 / layers) for name, layers in depth.items()}
    assert [r["variant"] for r in records if r.get("role") == "probe"] == ["baseline", "1D", "1C", "1A", "1B"] * 3
    assert all(r["conditions"]["clock"] == "calibrated" for r in records if r["kind"] == "run")


@pytest.mark.parametrize(
    ("mode", "word"), [("crash", "crash"), ("nan", "nan"), ("silent", "no_metric"), ("oom", "oom"), ("flood", "crash")]
)
def test_a_variant_that_fails_is_named_and_the_rest_goes_on(project: Path, mode: str, word: str) -> None:
    guard = f'if ASPECT_RATIO == 96:\n    MODE = "{mode}"\n\n\ndef main():'
    edit(project, "train.py", "def main():", guard)
    if mode == "flood":
        edit(
            project,
            "train.py",
            "    time.sleep(PAUSE)",
            '    time.sleep(PAUSE)\n    if MODE == "flood":\n        sys.exit(3)',
        )
    commit(project, f"1D ends with {mode}")
    out = agent(project, *STEPS).stdout
    runs = status(project)["runs"]
    assert [r["status"] for r in runs if r["variant"] == "1D"] == [word]
    assert "verdict: keep 1C" in out
    line = next(x for x in (project / "experiments" / "results.tsv").read_text().splitlines() if "ASPECT_RATIO=96" in x)
    assert line.split("\t")[1:4] == ["0.000000", "0.0", "crash"]


def test_a_probe_that_fails_costs_no_full_run(project: Path) -> None:
    edit(project, "train.py", "def main():", 'if DEPTH == 12:\n    MODE = "crash"\n\n\ndef main():')
    commit(project, "1B crashes")
    out = agent(project, "--issue", "3", "--budget", "10").stdout
    assert "1B probe seed 0: crash" in out
    assert "1B seed 0 (screen)" not in out
    assert "verdict: keep 1D" in out
    assert re.search(r"^1B failed, crash: .*run\.log\)$", out, re.MULTILINE)
    failed = [
        one for one in json.loads(agent(project, "--issue", "3", "--status", "--json").stdout)["runs"] if one["reason"]
    ]
    assert [one["variant"] for one in failed] == ["1B"]


def test_a_baseline_that_fails_ends_the_campaign_at_once(project: Path) -> None:
    edit(project, "train.py", 'MODE = "ok"', 'MODE = "crash"')
    commit(project, "broken")
    out = agent(project, *STEPS).stdout
    assert len(re.findall(r"run \d+/", out)) == 1
    assert "verdict: failed" in out


def test_the_size_label_stops_a_campaign_before_it_runs_over(project: Path) -> None:
    run = agent(project, "--issue", "3", "--budget", "600")
    assert run.returncode == 2
    assert "its size label allows 60" in run.stderr
    assert not (project / "experiments" / "ledger.jsonl").exists()


def test_retry_runs_what_failed_and_only_that(project: Path) -> None:
    asked = (*STEPS, "--no-sandbox")  # what makes it fail lies outside
    broken = project.parent / "broken"
    broken.touch()
    guard = f"if Path({str(broken)!r}).exists() and ASPECT_RATIO == 96:\n    MODE = 'crash'\n\n\ndef main():"
    edit(project, "train.py", "def main():", guard)
    commit(project, "1D fails for a passing reason")
    assert "verdict: keep 1C" in agent(project, *asked).stdout
    broken.unlink()
    assert "verdict: keep 1C" in agent(project, *asked).stdout
    again = agent(project, *asked, "--retry").stdout
    assert re.findall(r"run \d+/\d+: (\w+) seed", again) == ["1D"] * 2
    assert "verdict: keep 1D" in again
    assert agent(project, *asked).stdout.strip() == again[again.index("\nvariant") :].strip()


@needs.sandbox
def test_runs_of_a_models_code_outside_the_sandbox_are_made_again_inside(project: Path) -> None:
    edit(project, "train.py", "def main():", "def main():\n    print('a model wrote this')")
    made = Repository(project)
    files = {"train.py": (project / "train.py").read_text()}
    git(project, "checkout", "train.py")
    git(project, "reset", "--hard", made.commit(git(project, "rev-parse", "HEAD"), files, "experiment: 1A"))
    assert "verdict: keep 1D" in agent(project, *STEPS, "--no-sandbox").stdout
    again = agent(project, *STEPS, "--retry").stdout
    assert again.count("] run ") == 7, again
    assert kinds(project)["campaign"] == 2
    assert "] run " not in agent(project, *STEPS, "--retry", "--no-sandbox").stdout


# --- interruptions ----------------------------------------------------------------------------------------


@pytest.fixture
def uninterrupted(finished: Finished) -> dict[str, object]:
    """The end state of a campaign that nothing disturbed."""
    return end_state(finished.project)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_and_the_same_command_goes_on(
    project: Path, uninterrupted: dict[str, object], number: signal.Signals
) -> None:
    """SIGTERM finds a program that was started afresh: a fork might have its parent's handlers."""
    with start(project, *STEPS, fresh=number == signal.SIGTERM) as program:
        assert program.stdout is not None
        wait_for(program.stdout.readline, "run 3/")
        program.send_signal(number)
        _, errors = program.communicate(timeout=10)
    assert program.returncode == 130
    assert "the same command goes on" in errors
    assert 2 <= kinds(project)["run"] <= 3
    assert agent(project, *STEPS).returncode == 0
    assert end_state(project) == uninterrupted


def wait_for(readline: Callable[[], str], text: str) -> None:
    while text not in (line := readline()):
        assert line, f"the output ended without {text!r}"


def test_a_second_harness_in_the_same_repository_is_told_who_is_first(project: Path) -> None:
    edit(project, "train.py", "PAUSE = 0.0", "PAUSE = 3.0")
    commit(project, "runs that take three seconds")
    with start(project, *STEPS) as program:
        assert program.stdout is not None
        wait_for(program.stdout.readline, "run 1/")
        second = agent(project, *STEPS)
        program.kill()
        program.communicate()
    assert second.returncode == 1
    assert re.search(rf"repository is in use by process {program.pid} \(issue 3\)", second.stderr)


WALL = ("--issue", "3", "--gate", "fixed", "--budget", "2", "--clock", "wall", "--no-sandbox")  # `slow` counts outside


def disturbed(project: Path, times: int) -> None:
    """Let the fourth baseline run be slowed down so many times."""
    count = project.parent / "slowed"
    count.write_text("")
    body = f"""
def slow():
    count = Path({str(count)!r})
    mine = (DEPTH, ASPECT_RATIO) == (8, 64) and os.environ["AUTORESEARCH_SEED"] == "3"
    if not mine or len(count.read_text()) >= {times}:
        return 1000.0 + int(os.environ["AUTORESEARCH_SEED"])
    count.write_text(count.read_text() + "x")
    return 500.0


def main():"""
    edit(project, "train.py", '"tokens_per_second": 1000.0', '"tokens_per_second": slow()')
    edit(project, "train.py", "def main():", body)
    edit(project, "experiments/main/track.toml", "seeds = [0, 1, 2]", "seeds = [0, 1, 2, 3]")
    commit(project, f"the fourth baseline run is disturbed {times} times")


def baseline_runs(project: Path) -> list[tuple[int, str]]:
    return [(run["seed"], run["status"]) for run in status(project)["runs"] if run["variant"] == "baseline"]


def test_on_the_wall_clock_a_run_that_others_slowed_is_run_once_more(project: Path) -> None:
    disturbed(project, 1)
    out = agent(project, *WALL)
    assert "verdict: keep 1D" in out.stdout, out.stderr
    assert baseline_runs(project) == [(0, "ok"), (1, "ok"), (2, "ok"), (3, "contended"), (3, "ok")]
    assert "500 tok/s, where this model usually has more" in (project / "experiments" / "ledger.jsonl").read_text()


def test_a_run_slowed_twice_fails_its_campaign_and_a_retry_repairs_it(project: Path) -> None:
    disturbed(project, 2)
    out = agent(project, *WALL).stdout
    assert "contended twice" in out
    assert "add --retry" in out
    assert "verdict: keep 1D" in agent(project, *WALL, "--retry").stdout
    assert baseline_runs(project) == [(0, "ok"), (1, "ok"), (2, "ok"), (3, "ok")]


def test_a_campaign_that_reaches_its_cap_pauses_and_goes_on_with_a_larger_label(project: Path) -> None:
    edit(project, "experiments/issues/0003-depth-vs-width.md", "size: S", "size: M")
    commit(project, "a larger size")
    ledger = project / "experiments" / "ledger.jsonl"
    with start(project, *STEPS) as program:
        assert program.stdout is not None
        wait_for(program.stdout.readline, "run 2/")
        program.kill()
        program.communicate()
    inflate(ledger, 2.1 * 3600.0)  # one run is enough for M, and however many were recorded are not for L
    paused = agent(project, *STEPS)
    assert paused.returncode == 3
    assert "give the issue a larger size label" in paused.stderr
    edit(project, "experiments/issues/0003-depth-vs-width.md", "size: M", "size: L")
    assert agent(project, *STEPS).returncode == 0


def inflate(path: Path, seconds: float) -> None:
    """Make the ledger's runs as long as it takes to reach a cap."""
    records = [decode(line) for line in path.read_text().splitlines()]
    longer = [replace(record, seconds=seconds) if isinstance(record, RunRecord) else record for record in records]
    path.write_text("".join(f"{encode(record)}\n" for record in longer if record is not None))


def test_an_issue_that_only_measures_the_baseline_reports_its_mean_interval_and_sigma(project: Path) -> None:
    path = project / "experiments" / "issues" / "0008-baseline.md"
    header = "---\nnumber: 8\ntitle: How noisy is it?\nlabels: [experiment]\n---\n"
    path.write_text(f"{header}Run the baseline with seeds 42, 43, 44. No code changes.\n")
    done = agent(project, "--issue", "8", "--budget", "5steps")
    assert done.returncode == 0, done.stderr
    shown = json.loads(agent(project, "--issue", "8", "--status", "--json").stdout)
    assert [(run["variant"], run["seed"]) for run in shown["runs"]] == [("baseline", seed) for seed in (42, 43, 44)]
    assert shown["verdict"]["decision"] == "measured"
    assert shown["verdict"]["interval"] is not None
    assert "sigma" in shown["verdict"]["reason"]
    again = agent(project, *STEPS)
    assert again.returncode == 0, again.stderr
    baseline = [run["seed"] for run in json.loads(agent(project, "--issue", "3", "--status", "--json").stdout)["runs"]]
    assert {42, 43, 44} <= set(baseline)  # the gate uses what was measured

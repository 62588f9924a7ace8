"""The command line: bad input gets its own error and leaves no trace; good input gets the agreed answers."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.app import wiring
from agent.app.main import main
from agent.campaign import plan
from agent.execution.locks import exclusive
from agent.tracking.local import MarkdownTracker
from tests.conftest import Finished
from tests.support import needs
from tests.support.project import ISSUE, ROOT, agent, command, commit, edit, environment, git

ROW_1A = "| 1A | 6 | 128 | 768 | 6 | HIGH |"


def trace(project: Path) -> tuple[str, list[str]]:
    """What a refused command must leave as it was: refs, and files that git does not know."""
    files = git(project, "ls-files", "--others").splitlines()
    return git(project, "for-each-ref"), files


def row(old: str, new: str) -> Callable[[Path], None]:
    """Change the issue's text."""
    return lambda project: edit(project, ISSUE, old, new)


def script(old: str, new: str) -> Callable[[Path], None]:
    """Change the script and commit."""
    return script_of("train.py", old, new)


def script_of(path: str, old: str, new: str) -> Callable[[Path], None]:
    """Change another committed file."""

    def change(project: Path) -> None:
        edit(project, path, old, new)
        commit(project, "changed")

    return change


def without_script(project: Path) -> None:
    git(project, "rm", "--quiet", "train.py")
    commit(project, "no script")


def only_uncommitted(project: Path) -> None:
    edit(project, "train.py", "DEPTH = 8", "DEPTH = 9")


def damaged_ledger(project: Path) -> None:
    (project / "experiments" / "ledger.jsonl").write_text('{"kind":"run"}\n')


def no_table(project: Path) -> None:
    text = (project / ISSUE).read_text()
    (project / ISSUE).write_text(re.sub(r"^\|.*", r"    \g<0>", text, flags=re.MULTILINE))  # it is code


BAD: list[tuple[str, Callable[[Path], object], tuple[str, ...], list[str]]] = [
    ("no such issue", lambda _: None, ("--issue", "99"), ["there is no issue 99", "issues here: 3"]),
    ("closed", row("state: open", "state: closed"), (), ["closed"]),
    ("no label", row('[experiment, "pri', '["pri'), (), ["experiment", "priority: high"]),
    ("no table", no_table, (), ["table", "| ID |"]),
    ("no ID", row("| ID | DEPTH", "| Name | DEPTH"), (), ["ID"]),
    ("duplicate ID", row("| 1B | 12", "| 1A | 12"), (), ["1A", ":19", ":20"]),
    ("no number", row("| 1B | 12", "| 1B | twelve"), (), ["1B", "DEPTH", "twelve", ":20"]),
    ("unknown constant", row("| ID | DEPTH |", "| ID | DEPHT |"), (), ["DEPHT", "DEPTH"]),
    ("wrong width", row("| 128 | 768 |", "| 128 | 640 |"), (), ["1A", "model_dim says 640", "gives 768", ":19"]),
    ("wrong heads", row("| 768 | 6 | HIGH | Same", "| 768 | 5 | HIGH | Same"), (), ["1D", "n_head says 5", "gives 6"]),
    ("not divisible", row("| 1B | 12 | 32 | 384 | 3 |", "| 1B | 9 | 57 | 513 | 4 |"), (), ["1B", "513", "128", ":20"]),
    ("one model twice", row("| 1A | 6 | 128 |", "| 1A | 8 | 96 |"), (), ["1A", "1D", "one model"]),
    ("the baseline", row("| 1B | 12 | 32 | 384 | 3 |", "| 1B | 8 | 64 | 512 | 4 |"), (), ["1B changes nothing"]),
    ("unknown in order", row("Run 1D and 1C", "Run 1D and 1E"), (), ["1E", "1A"]),
    ("no script", without_script, (), ["train.py", "missing"]),
    ("script does not parse", script("DEPTH = 8", "DEPTH = = 8"), (), ["train.py", "parse"]),
    ("uncommitted", only_uncommitted, (), ["train.py", "uncommitted", "--committed"]),
    ("damaged ledger", damaged_ledger, (), ["ledger.jsonl:1", "damaged"]),
    ("corpus", lambda _: None, ("--corpus", "missing"), ["missing", "cannot be had offline", "at hand: stdlib"]),
    ("budget", lambda _: None, ("--budget", "-5"), ["-5", "500steps"]),
    ("clock for steps", lambda _: None, ("--budget", "5steps", "--clock", "wall"), ["--clock wall"]),
    ("too long", lambda _: None, ("--budget", "3600"), ["size label allows 60"]),
    ("profile without a GPU", lambda _: None, ("--profile", "full"), ["needs a CUDA device", "--profile mini"]),
    (
        "a branch in the way",
        lambda p: git(p, "branch", "autoresearch"),
        (),
        ["autoresearch keeps git", "git branch -m"],
    ),
    ("nobody's home", lambda _: None, ("--corpus", "file:~nobody-here/x"), ["--corpus", "~nobody-here"]),
    (
        "a prepare.py that says nothing",
        script_of("prepare.py", "    print(json", "    str(json"),
        (),
        ["prepare.py --json"],
    ),
    ("simulating nothing", lambda _: None, ("--simulate", "--campaigns", "0"), ["--campaigns from 1"]),
    ("unknown track", row("## Objective", "```yaml\n# autoresearch\ntrack: nmaes\n```\n\n## Objective"), (), ["nmaes"]),
]


@pytest.mark.parametrize(("change", "args", "said"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_bad_input_has_its_own_error_and_leaves_no_trace(
    project: Path, change: Callable[[Path], object], args: tuple[str, ...], said: list[str]
) -> None:
    change(project)
    before = trace(project)
    run = agent(project, *(args if "--issue" in args else ("--issue", "3", *args)))
    assert run.returncode == 2, run.stdout + run.stderr
    assert run.stderr.startswith("error: ")
    assert "Traceback" not in run.stderr
    assert [part for part in said if part not in run.stderr] == [], run.stderr
    assert trace(project) == before


def test_an_unknown_profile_in_the_environment_is_named(project: Path) -> None:
    run = agent(project, "--issue", "3", "--plan", env={"AUTORESEARCH_PROFILE": "huge"})
    assert (run.returncode, "AUTORESEARCH_PROFILE is 'huge'" in run.stderr) == (2, True)


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    run = agent(tmp_path, "--issue", "3")
    assert (run.returncode, "is not inside a git repository" in run.stderr) == (2, True)


def test_a_repository_without_a_commit_is_named(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    run = agent(tmp_path, "--issue", "3")
    assert (run.returncode, "has no commit yet" in run.stderr) == (2, True)


def test_a_folder_that_cannot_be_written_to_is_named(project: Path) -> None:
    folder = project / "experiments"
    if os.geteuid() == 0:  # root writes anywhere but to a mount that is read-only
        namespace = ["unshare", "--mount", "sh", "-c"]
        mount = f"mount --bind -o ro {project} {project} && mount -o remount,bind,ro {project}"
        inner = f"{mount} && cd {project} && exec $0 $@"
        if subprocess.run([*namespace, "mount --bind /tmp /tmp"], capture_output=True, check=False).returncode:
            pytest.skip("this machine lets nobody mount")
        run = subprocess.run(
            [*namespace, inner, *command("--issue", "3")],
            capture_output=True,
            text=True,
            env=environment(project),
            check=False,
        )
    else:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
        run = agent(project, "--issue", "3")
    assert run.returncode == 2, run.stderr
    assert "cannot write there" in run.stderr
    assert "Traceback" not in run.stderr


def test_committed_goes_on_without_the_uncommitted_changes(project: Path) -> None:
    only_uncommitted(project)
    run = agent(project, "--issue", "3", "--budget", "5steps", "--committed", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["verdict"]["variant"] == "1D"
    assert git(project, "status", "--porcelain").split() == ["M", "train.py"]


def test_the_plan_for_programs_has_the_agreed_shape(project: Path) -> None:
    before = trace(project)
    told = json.loads(agent(project, "--issue", "3", "--plan", "--json", "--profile", "full").stdout)
    assert told["order"] == ["1D", "1C", "1A", "1B"]
    keys = ["DEPTH", "ASPECT_RATIO", "model_dim", "n_head", "params", "flops_per_token", "memory_mb"]
    assert list(told["baseline"]) == ["set", *keys]
    assert [list(one) for one in told["variants"]] == [["id", "set", "why", *keys]] * 4
    shapes = {one["id"]: (one["model_dim"], one["n_head"]) for one in told["variants"]}
    assert shapes == {"1A": (768, 6), "1B": (384, 3), "1C": (640, 5), "1D": (768, 6)}
    assert (told["baseline"]["model_dim"], told["baseline"]["n_head"]) == (512, 4)
    mini = json.loads(agent(project, "--issue", "3", "--plan", "--json", "--profile", "mini").stdout)
    assert mini["baseline"]["model_dim"] == 64
    assert trace(project) == before


def test_the_plan_shows_both_profiles_the_order_and_what_it_will_take(project: Path) -> None:
    began = time.monotonic()
    out = agent(project, "--issue", "3", "--plan").stdout
    assert time.monotonic() - began < 5
    assert "then 1D, 1C, 1A, 1B" in out
    assert re.search(r"about (8|9|10) runs \(1[0-3] or fewer in 9 of 10 campaigns, 13 at most\) of 300s", out)
    assert re.search(r"about (4|5)\d min in all \([67]\d or less in 9 of 10\)", out)
    assert "(at most 60 min, as the issue says)" in out
    tables = [[line.split()[0] for line in table.splitlines()] for table in out.strip().split("\n\n")[1:]]
    assert tables[:3] == [[head, "baseline", "1D", "1C", "1A", "1B"] for head in ("sets", "full", "mini")]
    assert out.strip().split("\n\n")[-1].startswith("read as (strict):")


def test_looking_takes_no_lock_and_leaves_no_lock_behind(project: Path) -> None:
    assert agent(project, "--issue", "3", "--plan").returncode == 0
    assert agent(project, "--issue", "3", "--status").returncode == 2
    assert not (project / ".git" / "autoresearch").exists()
    assert agent(project, "--issue", "3", "--budget", "5steps", "--gate", "lowest").returncode == 0
    with exclusive(project / ".git" / "autoresearch" / "repository.lock", "issue 9"):
        for look in ("--plan", "--status", "--report", "--verify"):
            run = agent(project, "--issue", "3", look)
            assert (run.returncode, run.stderr) == (0, ""), look
        busy = agent(project, "--issue", "3", "--budget", "6steps")
    assert (busy.returncode, "repository is in use by process" in busy.stderr) == (1, True)


def test_status_before_any_run_says_how_to_run(project: Path) -> None:
    run = agent(project, "--issue", "3", "--status")
    assert (run.returncode, "has not run in this clone" in run.stderr) == (2, True)


def test_status_after_the_issue_was_edited_says_so(finished: Finished) -> None:
    project = finished.project
    edit(project, ISSUE, "Same depth, 50% wider", "Same depth, wider")
    run = agent(project, "--issue", "3", "--status")
    assert (run.returncode, "run the issue again" in run.stderr) == (2, True)


def test_report_prints_the_comment_that_was_written(finished: Finished) -> None:
    project = finished.project
    comment = (project / ISSUE).with_suffix(".comment.md").read_text()
    assert agent(project, "--issue", "3", "--report").stdout == comment


def test_json_keeps_standard_output_to_itself(project: Path) -> None:
    run = agent(project, "--issue", "3", "--budget", "5steps", "--json")
    assert json.loads(run.stdout)["issue"] == 3
    assert re.search(r"run 1/\d+: baseline seed 0", run.stderr)


@dataclass
class Counts:
    """How often an issue was planned, a plan built, an issue fetched."""

    planned: int = 0
    built: int = 0
    fetched: int = 0


@pytest.fixture
def counts(project: Path, monkeypatch: pytest.MonkeyPatch) -> Counts:
    """What `main` does in this process, in the project's folder."""
    found = Counts()

    def counted(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **more: object) -> object:
            setattr(found, name, getattr(found, name) + 1)
            return function(*args, **more)

        return call

    monkeypatch.setattr(wiring, "make_plan", counted("planned", plan.make_plan))
    monkeypatch.setattr(plan, "build_plan", counted("built", plan.build_plan))
    monkeypatch.setattr(MarkdownTracker, "fetch", counted("fetched", MarkdownTracker.fetch))
    monkeypatch.chdir(project)
    for name, value in environment(project).items():
        monkeypatch.setenv(name, value)
    return found


def test_a_campaign_is_planned_once_and_its_issue_fetched_twice(
    counts: Counts, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--issue", "3", "--budget", "5steps"]
    assert main(asked) == 0
    out = capsys.readouterr().out
    assert ("run 7/" in out, "verdict: keep 1D" in out) == (True, True)
    assert counts == Counts(planned=1, built=1, fetched=2)
    assert main(asked) == 0
    assert "run 1/" not in capsys.readouterr().out
    assert counts == Counts(planned=2, built=2, fetched=3)


def test_commands_of_people_change_a_plan_and_do_not_have_it_made_again(project: Path, counts: Counts) -> None:
    (project / ISSUE).with_suffix(".remarks.md").write_text("/skip 1B\n/skip 1A\n/skip nothing\n")
    assert main(["--issue", "3", "--budget", "5steps", "--gate", "lowest"]) == 0
    assert counts == Counts(planned=1, built=3, fetched=2)


def test_simulate_prints_the_rates_with_their_standard_errors() -> None:
    run = agent(ROOT, "--simulate", "--variants", "4", "--gain", "0", "--campaigns", "200", "--json")
    told = json.loads(run.stdout)
    assert {"false_promotion", "right_promotion", "runs_mean"} <= set(told)
    means = {name for name in told if not name.endswith("_se")} - {"runs_90"}
    assert {name for name in told if name.endswith("_se")} == {f"{name}_se" for name in means}
    assert 0 <= told["false_promotion"] < 0.15
    assert told["right_promotion"] is None


def test_verify_finds_what_git_lost(finished: Finished) -> None:
    project = finished.project
    well = agent(project, "--verify")
    assert (well.returncode, well.stdout) == (0, "ledger and git agree\n")
    git(project, "update-ref", "-d", "refs/heads/autoresearch/issue-3/1C")
    ill = agent(project, "--verify")
    assert ill.returncode == 1
    assert "branch autoresearch/issue-3/1C does not name" in ill.stdout


def test_doctor_looks_at_torch_git_the_device_and_the_disk(project: Path) -> None:
    run = agent(project, "--doctor")
    assert run.returncode == (1 if needs.SANDBOX.level == "none" else 0), run.stdout
    for name in ("torch", "GPU", "processor", "git", "sandbox", "corpora", "disk"):
        state = "LOOK" if name == "sandbox" and needs.SANDBOX.level == "none" else "ok  "
        assert re.search(rf"^{state} {name}: ", run.stdout, re.MULTILINE)


def test_an_issue_number_is_asked_for(project: Path) -> None:
    run = agent(project)
    assert (run.returncode, "which issue?" in run.stderr) == (2, True)


def test_the_installed_command_is_the_same_program(project: Path) -> None:
    script = Path(sys.prefix) / "bin" / "autoresearch"
    argv = [str(script), "--issue", "3", "--plan"]
    run = subprocess.run(argv, cwd=project, env=environment(project), capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, agent(project, "--issue", "3", "--plan").stdout), run.stderr


def test_a_terminal_of_another_alphabet_ends_nothing(finished: Finished) -> None:
    project = finished.project
    run = agent(project, "--issue", "3", "--status", env={"PYTHONIOENCODING": "ascii"})
    assert (run.returncode, "verdict: keep 1D" in run.stdout) == (0, True)

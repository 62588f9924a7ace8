"""What a command loads: the libraries that take long to import are loaded by the commands that use them, and no other.

The names of modules in a child process are looked at, and not the clock: `python -m bench startup` measures.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.execution.machine import detect
from tests.support import project as stand_in

HEAVY = {
    "git",
    "torch",
    "numpy",
    "scipy",
    "pyarrow",
    "rich",
    "anthropic",
    "github",
    "requests",
    "filelock",
    "asyncio",
    "pydantic",
}
PACKAGES = {"pydantic_core", "markdown_it"}  # what a look at an issue needs: the test can fail
RUNS = {  # what runs a campaign, and what few issues have
    "agent.app.preview",
    "agent.app.research",
    "agent.audit.rules",
    "agent.campaign.auditing",
    "agent.campaign.engine",
    "agent.campaign.jobs",
    "agent.campaign.propose",
    "agent.editors.command",
    "agent.execution.local",
    "agent.execution.process",
    "agent.execution.worker",
    "agent.spec.schema",
    "agent.store.remote",
}
IMPORT = "import json, sys, agent.app.dispatch; print(json.dumps(sorted(sys.modules)))"
HELP = """
import json, sys
from agent.app.main import main
try:
    main(["--help"])
except SystemExit:
    print(json.dumps(sorted(sys.modules)))
"""
RUN = """
import json, sys
from agent.app.main import main
status = main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)))
sys.exit(status)
"""


def loaded(code: str, folder: Path, *args: str) -> set[str]:
    """Return the packages and modules that a child process has loaded at its end."""
    child = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=folder,
        env={**stand_in.environment(folder), "PYTHONPATH": str(stand_in.ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    names = json.loads(child.stdout.splitlines()[-1])
    return {name.split(".")[0] for name in names} | {*names}


def heavy() -> set[str]:
    """Return what may not be loaded here: where there are devices, they are looked at with pynvml."""
    here = detect()
    return HEAVY if here.gpus or here.hidden else HEAVY | {"pynvml"}


def test_the_command_line_is_imported_without_what_only_few_commands_use(tmp_path: Path) -> None:
    assert loaded(IMPORT, tmp_path) & (heavy() | RUNS) == set()


def test_help_is_shown_without_any_library_and_almost_nothing_of_the_harness(tmp_path: Path) -> None:
    modules = loaded(HELP, tmp_path)
    assert modules & (heavy() | PACKAGES | {"psutil"}) == set()
    own = {name for name in modules if name.startswith("agent.")}
    assert own == {"agent.app", "agent.app.main", "agent.app.options", "agent.core", "agent.core.errors"}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose issue 5 has its answer."""
    project = stand_in.make(tmp_path_factory.mktemp("startup") / "project")
    issue = "---\nnumber: 5\ntitle: One variant\nlabels: [experiment]\n---\n| ID | DEPTH |\n|---|---|\n| 5-A | 10 |\n"
    (project / "experiments" / "issues" / "0005-one.md").write_text(issue)
    run = stand_in.agent(project, "--issue", "5", "--budget", "1steps", "--gate", "lowest", "--no-sandbox")
    assert run.returncode == 0, run.stderr
    return project


@pytest.mark.parametrize("show", ["--status", "--report"])
def test_an_answer_is_shown_without_what_only_a_campaign_uses(answered: Path, show: str) -> None:
    modules = loaded(RUN, answered, "--issue", "5", show)
    assert modules & (heavy() | RUNS) == set()
    assert modules >= PACKAGES


def test_an_answer_that_is_there_is_given_again_without_what_runs_a_campaign(answered: Path) -> None:
    modules = loaded(RUN, answered, "--issue", "5", "--budget", "1steps", "--gate", "lowest")
    assert modules & ((heavy() - {"filelock"}) | RUNS) == set()
    assert modules >= PACKAGES | {"filelock"}  # it holds the repository while it publishes

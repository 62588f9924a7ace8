"""The documents can fail: every command in README and docs/ runs, tables are true, links resolve, program.md holds."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent.app.options import parser
from agent.spec.schema import json_schema
from tests.support import needs
from tests.support.project import ROOT, environment, git
from tests.support.trial import text

README = (ROOT / "README.md").read_text()
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
DOCUMENTS = {"README.md": README, **PAGES, **{name: (ROOT / name).read_text() for name in ("program.md", "LOG.md")}}
SMALL = {
    "BUDGET=20": "BUDGET=1steps",
    "--budget 20": "--budget 1steps",
    "--campaigns 2000": "--campaigns 50",
}  # what a test can wait for


def commands() -> list[str]:
    """Every command line in the sh blocks of README and docs/, each once."""
    blocks = re.findall(r"^```sh\n(.*?)^```", "\n".join([README, *PAGES.values()]), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]
    return list(dict.fromkeys(lines))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository as it is committed, with this environment as its .venv."""
    folder = tmp_path_factory.mktemp("readme") / "clone"
    git(ROOT, "clone", "--quiet", str(ROOT), str(folder))
    for path in git(ROOT, "ls-files", "--modified", "--others", "--exclude-standard").splitlines():
        if (ROOT / path).exists():  # so that a working tree is tested as it is, before it is committed
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes((ROOT / path).read_bytes())
    if git(folder, "status", "--porcelain"):
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", "as it is")
    cut_to_one_row(folder)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    os.utime(folder / "pyproject.toml", (0, 0))  # older than .venv/installed: make must not install this clone there
    return folder


def cut_to_one_row(folder: Path) -> None:
    """Leave one variant in issue 3, and no line about another: the one whose step is quickest, and worst at first."""
    issue = folder / "experiments" / "issues" / "0003-depth-vs-width.md"
    text = issue.read_text()
    issue.write_text(re.sub(r"(?m)^.*\b1[ACD]\b.*\n", "", text))
    assert issue.read_text().count("\n| 1B ") == 1
    git(folder, "commit", "--quiet", "--all", "--message", "one row")


def shell(clone: Path, cache: Path, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a README line as a user in an activated environment would, only shorter."""
    for long, short in SMALL.items():
        line = line.replace(long, short)
    argv = shlex.split(line)
    argv[0] = sys.executable if argv[0] == "python" else argv[0]
    own = {"AUTORESEARCH_CACHE": str(cache), "AUTORESEARCH_CORPUS": text(cache), "PYTHON": sys.executable}
    told = environment(clone, {**own, **env})
    return subprocess.run(argv, cwd=clone, env=told, capture_output=True, text=True, timeout=600, check=False)


# The campaign comes first: what follows it in README reads what it left.
LINES = [line for line in commands() if line != "make test"]


@pytest.mark.slow
def test_every_command_of_the_readme_works_in_a_fresh_clone(clone: Path, corpus_cache: Path) -> None:
    assert LINES[0] == "make run BUDGET=20"
    head = git(clone, "rev-parse", "HEAD")
    (Path(sys.prefix) / "installed").touch()
    for line in LINES:
        run = shell(clone, corpus_cache, line, AUTORESEARCH_STEPS="1" if "train.py" in line else "")
        lacking = line.endswith("--doctor") and needs.SANDBOX.level == "none"  # it says so by its exit status
        assert run.returncode == int(lacking), f"{line}\n{run.stdout}{run.stderr}"
        assert "Traceback" not in run.stderr
    assert git(clone, "status", "--porcelain") == ""
    assert git(clone, "rev-parse", "HEAD") == head
    check_campaign(clone, corpus_cache)


def check_campaign(clone: Path, cache: Path) -> None:
    """The real script's campaign: good runs, a verdict, one commit a variant, a comment."""
    told = json.loads(shell(clone, cache, "python agent/run.py --issue 3 --status --json").stdout)
    runs = [(run["variant"], run["status"]) for run in told["runs"]]
    assert told["verdict"]["decision"] in ("keep", "discard", "inconclusive")
    assert [name for name, _ in runs].count("baseline") >= 2
    assert {name for name, _ in runs} == {"baseline", "1B"}
    assert {status for _, status in runs} == {"ok"}
    branches = git(clone, "branch", "--list", "--format=%(refname:short)", "autoresearch/issue-3/*").split()
    assert branches == ["autoresearch/issue-3/1B"]
    comment = (clone / "experiments" / "issues" / "0003-depth-vs-width.comment.md").read_text()
    assert f"## Verdict: {told['verdict']['decision']}" in comment


def test_make_test_is_what_ci_runs() -> None:
    assert "make test" in commands()
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-2:] == ["make check", "make test"]


def test_the_schema_beside_the_documents_is_the_one_that_is_printed() -> None:
    held = json.loads((ROOT / "docs" / "settings.schema.json").read_text())
    assert held == json_schema()


OTHERS = {
    "--notes",
    "--corpus",
    "--rounds",
    "--seed",
    "--security",
}  # options of git, prepare.py, Docker and make faults


def test_every_option_in_the_documents_exists_and_every_status_is_in_the_help() -> None:
    text = parser().format_help()
    options = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", text))
    named = {
        option for page in (README, *PAGES.values()) for option in re.findall(r"(?<![-\w])--[a-z]+(?:-[a-z]+)*", page)
    }
    assert {option for option in named - options if not option.startswith(tuple(OTHERS))} == set()
    for status in ("0 a verdict", "1 an error", "2 bad", "3 paused", "130 interrupted"):
        assert status in " ".join(text.split())


def test_every_environment_variable_that_is_read_is_in_the_table() -> None:
    sources = [(ROOT / "train.py").read_text(), *(path.read_text() for path in (ROOT / "fixed").glob("*.py"))]
    sources += [path.read_text() for path in (ROOT / "agent").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r"AUTORESEARCH_[A-Z]+[A-Z_]*[A-Z]", text)}
    table = set(re.findall(r"^\| `(AUTORESEARCH_\w+)` \|", "\n".join(PAGES.values()), re.MULTILINE))
    assert read == table


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", DOCUMENTS[name]):
        path, _, anchor = target.partition("#")
        page = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.startswith("https://") or page.exists(), target
        assert not anchor or anchor in anchors(page.read_text()), target


def test_readme_is_short_and_names_every_page() -> None:
    assert len(README.splitlines()) <= 150
    assert {f"({name})" for name in PAGES} <= set(re.findall(r"\([\w./-]+\)", README))


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "LOG.md"])
def test_every_file_that_a_document_names_is_there(name: str) -> None:
    text = DOCUMENTS[name]
    named = set(re.findall(r"`((?:agent|tests|bench|experiments)/[\w./-]+|[\w-]+\.(?:py|md|toml))`", text))
    made_by_runs = {"experiments/ledger.jsonl", "experiments/results.tsv", "experiments/pictures/"}
    missing = [path for path in named - made_by_runs if not (ROOT / path).exists() and not path.endswith(".comment.md")]
    assert [path for path in missing if "NNNN" not in path] == []


def test_the_head_dimension_that_program_md_states_is_the_scripts() -> None:
    stated = re.search(r"`HEAD_DIM` = (\d+)", (ROOT / "program.md").read_text())
    assert stated is not None
    assert re.search(rf"^HEAD_DIM = {stated.group(1)}\b", (ROOT / "train.py").read_text(), re.MULTILINE)

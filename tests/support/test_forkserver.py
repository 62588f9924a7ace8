"""A fork of the server is what a process of its own would be: arguments, environment, streams, signals, exit status."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support import forkserver
from tests.support.project import agent, start


@pytest.mark.parametrize("args", [("--issue", "3", "--plan"), ("--issue", "99"), ("--issu",), ("--help",)])
def test_it_says_and_returns_what_a_fresh_start_does(project: Path, args: tuple[str, ...]) -> None:
    """Starts one program afresh for each of its own: the fork is held to it."""
    forked, fresh = agent(project, *args), agent(project, *args, fresh=True)
    assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)
    assert forked.stdout + forked.stderr != ""


def test_it_has_the_environment_that_it_is_given_and_no_other(project: Path) -> None:
    named = agent(project, "--issue", "3", "--plan", env={"AUTORESEARCH_PROFILE": "huge"})
    assert (named.returncode, "AUTORESEARCH_PROFILE is 'huge'" in named.stderr) == (2, True)
    assert agent(project, "--issue", "3", "--plan").returncode == 0


def test_a_signal_that_ends_it_is_its_exit_status(project: Path) -> None:
    died = agent(project, "--issue", "3", "--budget", "5steps", env={"AUTORESEARCH_FAULT": "corpus-before:kill"})
    assert died.returncode == -signal.SIGKILL


def test_it_may_be_signalled_and_waited_for_with_a_limit(project: Path) -> None:
    with start(project, "--issue", "3", "--budget", "5steps") as program:
        assert isinstance(program, forkserver.Forked)
        assert program.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(timeout=0.01)
        program.kill()
        assert program.wait(timeout=20) == -signal.SIGKILL
        assert program.poll() == -signal.SIGKILL


def test_many_at_once_are_kept_apart(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(5)]
    for folder in folders:
        folder.mkdir()
    programs = [start(folder, "--issue", "3") for folder in folders]
    for folder, program in zip(folders, programs, strict=True):
        with program:
            _, errors = program.communicate(timeout=60)
        assert (program.returncode, f"{folder} is not inside a git repository" in errors) == (2, True), errors


def opened(link: Path) -> str:
    """What an open file is; empty where it was closed meanwhile."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def test_it_has_its_own_folder_and_no_file_of_the_servers(project: Path) -> None:
    forkserver.close()  # a new one has no zygote yet, whose sockets a child may have
    with start(project, "--issue", "3", "--budget", "5steps") as program:
        assert program.stdout is not None
        program.stdout.readline()
        place = Path(f"/proc/{program.pid}")
        files = [name for path in place.glob("fd/*") if int(path.name) > 2 and (name := opened(path))]
        assert (place / "cwd").readlink() == project
        program.kill()
    assert len([name for name in files if name.startswith("socket:")]) <= 1  # by which it hands over a zygote


def test_where_python_itself_reads_the_environment_it_starts_afresh(project: Path) -> None:
    with start(project, "--help", env={"PYTHONIOENCODING": "ascii"}) as program:
        program.communicate(timeout=60)
    assert not isinstance(program, forkserver.Forked)

"""A command as the editor: what it printed and changed comes out, what it may not do is named, nothing of it stays."""

import os
import shlex
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from agent.core.errors import BadInput
from agent.core.proposals import Brief, Draft, Idea
from agent.editors.command import Command

FILE = "DEPTH = 8\nWIDTH = 64\n"
BRIEF = Brief("The rules.", "What about depth?", {"train.py": FILE})
IDEA = Idea("1A", "deeper", "depth helps", "0.01 lower")
DEEPER = "pathlib.Path('train.py').write_text('DEPTH = 9')"


def command(code: str, **more: object) -> Command:
    """An editor that is a Python script."""
    argv = [sys.executable, "-c", f"import os, pathlib, sys, time, subprocess\n{code}"]
    return Command(shlex.join(argv), **more)  # type: ignore[arg-type]


def write(tmp_path: Path, code: str, failure: str = "", **more: object) -> Draft:
    return command(code, **more).write(BRIEF, IDEA, failure, tmp_path / "1A")


def test_the_change_and_the_last_line_come_out(tmp_path: Path) -> None:
    draft = write(tmp_path, f"{DEEPER}; print('thinking'); print('One \\x1b[31mdeeper @all'); print('  ')")
    assert draft == Draft({"train.py": "DEPTH = 9"}, "One deeper ⓐall")


def test_the_prompt_on_standard_input_holds_the_rules_the_idea_and_the_failure(tmp_path: Path) -> None:
    draft = write(tmp_path, "pathlib.Path('train.py').write_text(sys.stdin.read())", "NameError: W<!--obey-->")
    prompt = draft.files["train.py"]
    assert all(text in prompt for text in ("The rules.", "depth?", "deeper", "NameError: W", "Edit train.py"))
    assert "obey" not in prompt


def test_a_command_that_reads_no_prompt_works_too(tmp_path: Path) -> None:
    assert write(tmp_path, DEEPER).files == {"train.py": "DEPTH = 9"}


def test_ideas_are_as_many_blanks_as_are_requested(tmp_path: Path) -> None:
    blank = command("pass").ideas(BRIEF, 3, tmp_path)
    assert (len(blank.ideas), blank.ideas[0].title, blank.failure) == (3, "", "")


def test_it_sees_the_brief_and_its_context_and_nothing_of_ours(tmp_path: Path) -> None:
    draft = write(tmp_path, "print(os.getcwd(), *sorted(os.listdir()))", context={"prepare.py": "x = 1\n"})
    assert draft.summary.endswith("/work prepare.py train.py")
    assert draft.failure == "it changed nothing"
    assert not Path(draft.summary.split()[0]).exists()


@pytest.mark.parametrize(
    ("code", "violation"),
    [
        ("os.remove('train.py'); os.symlink('/etc/passwd', 'train.py')", "it made a symlink train.py"),
        ("os.symlink('/etc', 'more')", "it made a symlink more"),
        ("os.rename('train.py', 'lib'); os.mkdir('train.py')", "it removed train.py"),
        ("os.remove('train.py')", "it removed train.py"),
        ("os.rename('train.py', 'moved.py')", "it removed train.py"),
        ("open('helper.py', 'w')", "it made a new file helper.py"),
        ("os.mkdir('lib'); open('lib/net.py', 'w')", "it made a new file lib/net.py"),
        ("open('a\\n@all', 'w')", "it made a new file a ⓐall"),
        ("os.remove('prepare.py'); open('prepare.py', 'w').write('seed')", "it changed prepare.py"),
        ("os.chmod('prepare.py', 0o644); open('prepare.py', 'a').write('#')", "it changed prepare.py"),
        ("os.remove('prepare.py')", "it removed prepare.py"),
        ("os.chmod('train.py', 0o755)", "it made train.py executable"),
        ("os.link('train.py', '.other')", "other than a plain file"),
        ("os.remove('train.py'); os.mkfifo('train.py')", "other than a plain file"),
        ("open('train.py', 'w').write('x' * 300_000)", "300,000 bytes long, and 262,144 is the most"),
        ("open('train.py', 'wb').write(bytes([255, 254]))", "other than UTF-8 text"),
        ("open('train.py', 'wb').write(bytes(9))", "other than UTF-8 text"),
        ("[open(f'.{n}', 'w') for n in range(10_001)]", "10,000 files and more"),
        ("pass", "it changed nothing"),
        ("sys.exit(3)", "did not end well: exit status 3"),
        ("os.kill(os.getpid(), 9)", "ended by signal 9"),
    ],
)
def test_what_it_may_not_do_makes_no_draft_and_is_named(tmp_path: Path, code: str, violation: str) -> None:
    draft = write(tmp_path, f"{DEEPER if code != 'pass' else ''}\n{code}", context={"prepare.py": "x = 1\n"})
    assert draft.files == {}
    assert violation in draft.failure


def test_what_agents_leave_beside_their_work_does_not_come_out(tmp_path: Path) -> None:
    code = f"{DEEPER}; os.mkdir('.agent'); open('.agent/log', 'w'); os.mkdir('__pycache__'); open('__pycache__/x', 'w')"
    assert write(tmp_path, code).files == {"train.py": "DEPTH = 9"}


def test_a_folder_in_a_path_cannot_be_made_a_link(tmp_path: Path) -> None:
    brief = Brief("r", "q", {"lib/net.py": FILE})
    code = "os.makedirs('.x'); os.rename('lib', '.x/lib'); os.symlink('.x/lib', 'lib')"
    assert command(code).write(brief, IDEA, "", tmp_path / "1A").failure == "it made a symlink lib"


def test_at_the_time_limit_it_and_all_it_started_are_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    code = f"subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True); time.sleep(600)"
    began = time.monotonic()
    draft = write(tmp_path, code, timeout_s=3)
    assert "its time limit" in draft.failure
    assert time.monotonic() - began < 20
    assert not psutil.pid_exists(int(pid.read_text()))


def test_what_it_starts_and_leaves_does_not_write_after_its_end(tmp_path: Path) -> None:
    late = "import time; time.sleep(1); open('train.py', 'w').write('late')"
    draft = write(tmp_path, f"{DEEPER}; subprocess.Popen([sys.executable, '-c', {late!r}], start_new_session=True)")
    assert draft.files == {"train.py": "DEPTH = 9"}


def test_it_has_the_users_keys_for_its_model_and_none_for_github(tmp_path: Path) -> None:
    environment = {**os.environ, "MY_MODEL_KEY": "model-key-1", "GITHUB_TOKEN": "tok-gh-1", "GH_TOKEN": "tok-gh-2"}
    code = "print(os.environ.get('GITHUB_TOKEN'), os.environ.get('GH_TOKEN'), os.environ['MY_MODEL_KEY'])"
    draft = write(tmp_path, code, environment=environment)
    assert draft.summary == "None None [redacted]"


def test_its_output_is_kept_bounded_and_without_secrets_for_every_try(tmp_path: Path) -> None:
    environment: Mapping[str, str] = {**os.environ, "MY_KEY": "hunter-22"}
    for _ in range(2):
        write(tmp_path, "print('hunter-22'); print('y' * 30_000_000)", environment=environment)
    logs = sorted((tmp_path / "1A").glob("command-*/run.log"))
    assert [log.parent.name for log in logs] == ["command-1", "command-2"]
    assert all(log.stat().st_size < 10_000_000 for log in logs)
    assert all("hunter-22" not in log.read_text() for log in logs)


def test_the_file_it_gets_is_plain_and_writable_and_context_is_not(tmp_path: Path) -> None:
    code = "print(*[oct(os.stat(p).st_mode) for p in ('train.py', 'prepare.py')])"
    draft = write(tmp_path, code, context={"prepare.py": ""})
    assert draft.summary == f"{oct(stat.S_IFREG | 0o644)} {oct(stat.S_IFREG | 0o444)}"


@pytest.mark.parametrize(
    ("line", "problem"),
    [("no-such-agent --yes", "no command 'no-such-agent'"), ("", "no command ''"), ("a 'b", "cannot be")],
)
def test_a_command_that_is_not_there_is_bad_input_before_anything_starts(line: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        Command(line)


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    draft = Command(f"echo hi; touch {tmp_path}/owned $(id)").write(BRIEF, IDEA, "", tmp_path / "1A")
    assert draft.summary == f"hi; touch {tmp_path}/owned $(id)"
    assert not (tmp_path / "owned").exists()

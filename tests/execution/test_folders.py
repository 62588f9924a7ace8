"""The folder of a run: nothing old in it before, and only known plain files after."""

import os
import subprocess
from pathlib import Path

import pytest

from agent.execution.folders import JSON_CAP, KEEP_ALWAYS, KEEP_ON_SUCCESS, clean, discard, fresh_folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_fresh_folder_is_empty_whatever_was_there(tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "run" / "result.json").write_text("{}")
    assert names(fresh_folder(tmp_path / "run")) == []


def test_a_link_is_discarded_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "victim")
    discard(tmp_path / "run")
    assert names(tmp_path) == ["victim"]


def test_folders_that_nobody_may_enter_are_discarded(tmp_path: Path) -> None:
    (tmp_path / "run" / "deep").mkdir(parents=True)
    (tmp_path / "run" / "deep").chmod(0)
    discard(tmp_path / "run")
    assert names(tmp_path) == []


def test_folders_nested_a_thousand_deep_are_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    for _ in range(1200):
        os.mkdir("deep")  # noqa: PTH102 (no path so long has a name)
        os.chdir("deep")
    os.chdir(tmp_path)
    discard(tmp_path / "run")
    left = names(tmp_path)
    subprocess.run(["rm", "-rf", str(tmp_path / "run")], check=True)  # pytest could not remove it, now or ever after
    assert left == []


def test_what_is_kept_are_plain_files_with_known_names(tmp_path: Path) -> None:
    for name in ("run.log", "model.pt", "notes"):
        (tmp_path / name).write_text("x")
    (tmp_path / "run.log").chmod(0o4777)
    (tmp_path / "losses.npz").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "failure.json")
    clean(tmp_path, KEEP_ALWAYS + KEEP_ON_SUCCESS)
    assert names(tmp_path) == ["model.pt", "run.log"]
    assert (tmp_path / "run.log").stat().st_mode & 0o7777 == 0o644
    clean(tmp_path, KEEP_ALWAYS)
    assert names(tmp_path) == ["run.log"]


def test_a_report_beyond_its_size_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(b" " * (JSON_CAP + 1))
    (tmp_path / "failure.json").write_bytes(b" " * JSON_CAP)
    clean(tmp_path, KEEP_ALWAYS)
    assert names(tmp_path) == ["failure.json"]

"""The transcript: lines in order, bounded, without secrets, and loud where the disk is full."""

import json
from pathlib import Path

import pytest

from agent.core.errors import HarnessError
from agent.editors.transcript import TEXT_CAP, Transcript


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "transcript.jsonl").read_text().splitlines()]


def test_every_line_has_its_kind_and_time_and_stands_behind_the_earlier_ones(tmp_path: Path) -> None:
    for number in range(2):  # a second conversation goes on in the same file
        Transcript(tmp_path / "1A", (), lambda: "now").write("request", {"before": number})
    assert lines(tmp_path / "1A") == [{"kind": "request", "at": "now", "before": number} for number in range(2)]


def test_a_secret_is_redacted_wherever_it_stands(tmp_path: Path) -> None:
    fields = {"reply": [{"text": "a hunter22 b"}, ("hunter22",)], "nested": {"hunter22": {"x": "hunter22"}}, "n": 7}
    Transcript(tmp_path, ("hunter22",), lambda: "now").write("reply", fields)
    assert "hunter22" not in (tmp_path / "transcript.jsonl").read_text()
    assert lines(tmp_path)[0]["n"] == 7


def test_a_long_text_is_cut_and_its_length_is_kept(tmp_path: Path) -> None:
    Transcript(tmp_path, (), lambda: "now").write("reply", {"text": "x" * (TEXT_CAP + 1)})
    assert lines(tmp_path)[0]["text"] == f"{'x' * TEXT_CAP}… ({TEXT_CAP + 1:,} characters)"


def test_a_disk_that_takes_nothing_is_an_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "transcript.jsonl").mkdir()
    with pytest.raises(HarnessError, match=r"transcript\.jsonl: cannot write the transcript"):
        Transcript(tmp_path, (), lambda: "now").write("reply", {})

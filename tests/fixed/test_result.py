"""fixed/result.py."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from fixed import result


def failing(error: BaseException) -> Iterator[None]:
    raise error
    yield


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), result.EXIT_OOM, "oom"),
        (MemoryError(), result.EXIT_OOM, "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), result.EXIT_OOM, "oom"),
        (result.not_finite("the loss is nan"), result.EXIT_NAN, "nan"),
        (result.no_corpus("none"), result.EXIT_CORPUS, "corpus"),
    ],
)
def test_an_expected_failure_has_its_own_exit_status_line_and_file(
    error: BaseException,
    code: int,
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUTORESEARCH_RUN_DIR", str(tmp_path))
    assert result.run(lambda: next(failing(error))) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert json.loads((tmp_path / "failure.json").read_text())["status"] == status


def test_an_unexpected_error_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        result.run(lambda: next(failing(RuntimeError("size mismatch"))))


def test_json_that_holds_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        result.write_json(tmp_path / "result.json", {"val_bpb": math.nan})
    assert not (tmp_path / "result.json").exists()


def test_a_metric_that_does_not_exist_is_not_a_number_in_the_summary() -> None:
    lines = result.summary({"val_bpb": 1.25, "depth": 8}).splitlines()
    assert lines[0] == "---"
    assert [line.split(":")[0] for line in lines[1:]] == list(result.SUMMARY)
    assert lines[1].split() == ["val_bpb:", "1.250000"]
    assert "n/a" in lines[5]

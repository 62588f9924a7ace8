"""fixed/compiling.py."""

import json
import time
from pathlib import Path

import pytest
import torch

from fixed import compiling
from fixed.result import write_json
from tests.support.fixed import cpu_run


@pytest.mark.parametrize(
    ("budget", "cold", "warm"),
    [
        ({"AUTORESEARCH_BUDGET": "59"}, False, False),
        ({"AUTORESEARCH_BUDGET": "60"}, False, True),
        ({"AUTORESEARCH_BUDGET": "600"}, True, True),
        ({"AUTORESEARCH_STEPS": "100000", "AUTORESEARCH_BUDGET": "600"}, False, False),
        ({"AUTORESEARCH_STEPS": "1", "AUTORESEARCH_COMPILE": "1"}, True, True),
        ({"AUTORESEARCH_BUDGET": "600", "AUTORESEARCH_COMPILE": "0"}, False, False),
    ],
)
def test_compiling_must_pay_or_be_asked_for(
    budget: dict[str, str], cold: bool, warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "can_compile", lambda _device: True)
    run = cpu_run(tmp_path, **budget)
    assert compiling.compiling_pays(run, {"width": 1}, warm_s=60, cold_s=600) is cold
    write_json(compiling.known_file(run, "compiled", {"width": 1}), {"width": 1})
    assert compiling.compiling_pays(run, {"width": 1}, warm_s=60, cold_s=600) is warm
    assert run.notes == {"compiled": warm}
    assert compiling.compiling_pays(run, {"width": 2}, warm_s=60, cold_s=600) is cold  # another graph is not known


def test_without_a_compiler_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    run = cpu_run(tmp_path, AUTORESEARCH_COMPILE="1")
    assert compiling.compiling_pays(run, 1, warm_s=0, cold_s=0) is False
    assert run.notes == {"compiled": False}


def test_the_fastest_way_is_measured_once_and_then_known(tmp_path: Path) -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("slow")
        time.sleep(0.01)

    def broken() -> None:
        raise NotImplementedError("only on another device")

    trials = {"slow": slow, "quick": lambda: calls.append("quick"), "broken": broken}
    for _ in range(2):
        run = cpu_run(tmp_path)
        assert compiling.autotune(run, "attention", {"width": 1}, trials) == "quick"
        chosen = run.notes["attention"]
        assert isinstance(chosen, dict)
        assert (chosen["chosen"], chosen["seconds"].keys()) == ("quick", {"slow", "quick"})
    assert len(calls) == 2 * 13
    only = compiling.autotune(cpu_run(tmp_path), "attention", 2, {"only": broken})
    assert only == "only"  # no choice, nothing to measure
    with pytest.raises(RuntimeError, match="none of broken, worse"):
        compiling.autotune(cpu_run(tmp_path), "attention", 3, {"broken": broken, "worse": broken})
    some = {"broken": broken, "quick": trials["quick"]}
    assert compiling.autotune(cpu_run(tmp_path), "attention", 3, some) == "quick"


def test_a_device_that_is_full_for_now_is_not_remembered_as_one_that_cannot(tmp_path: Path) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    trials = {"full": full, "quick": lambda: None}
    with pytest.raises(torch.OutOfMemoryError):
        compiling.autotune(cpu_run(tmp_path), "attention", 1, trials)
    trials["full"] = lambda: time.sleep(0)
    assert compiling.autotune(cpu_run(tmp_path), "attention", 1, trials) in trials
    assert len(json.loads(next((tmp_path / "graphs" / "attention").iterdir()).read_text())) == 2

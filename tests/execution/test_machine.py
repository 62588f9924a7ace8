"""The machine's facts: a name, cores, memory, and a profile that follows from them."""

from pathlib import Path

import pytest

from agent.execution.machine import Gpu, Machine, cache, detect, visible

H200 = Gpu(0, "NVIDIA H200", 143_771)


def test_this_machine_has_a_name_cores_and_memory() -> None:
    here = detect()
    assert here.cores >= 1
    assert here.memory_mb > 100
    assert f"{here.cores} cores" in here.name


def test_a_gpu_makes_the_profile_full_and_gives_it_its_name() -> None:
    with_gpu, without = Machine("a processor", (H200,), 16, 1000), Machine("a processor", (), 2, 1000)
    assert (with_gpu.profile, without.profile) == ("full", "mini")
    assert (with_gpu.name_for("full", None), with_gpu.name_for("mini", None)) == ("NVIDIA H200", "a processor")


@pytest.mark.parametrize(
    ("shown", "left"),
    [(None, [0, 1]), ("", []), ("1", [1]), ("1,0", [1, 0]), ("GPU-bb", [1]), ("0,7,1", [0]), ("-1", [])],
)
def test_only_devices_that_cuda_shows_are_used(shown: str | None, left: list[int]) -> None:
    gpus = (Gpu(0, "a", 1, "GPU-aa11"), Gpu(1, "b", 1, "GPU-bb22"))
    assert [gpu.index for gpu in visible(gpus, shown)] == left


def test_another_torch_is_another_machine_to_the_ledger() -> None:
    old, new = (Machine("cpu", (), 2, 1000).name_for("mini", version) for version in ("2.11.0", "2.13.0"))
    assert (old, new) == ("cpu, torch 2.11.0", "cpu, torch 2.13.0")


def test_hidden_devices_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert detect().gpus == ()


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))
    assert cache() == tmp_path
    monkeypatch.delenv("AUTORESEARCH_CACHE")
    assert cache() == Path.home() / ".cache" / "autoresearch"

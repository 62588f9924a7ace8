"""--capacity as a user sees it: of the baseline, an issue and a shape; in a pipe, on a terminal and as JSON."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.app.capacity import rounded
from tests.support.project import agent, command, commit, edit, environment


def shown(project: Path, *args: str) -> str:
    run = agent(project, "--capacity", *args)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def as_json(project: Path, *args: str) -> dict[str, Any]:
    value = json.loads(shown(project, "--json", *args))
    assert isinstance(value, dict)
    return value


def rows(text: str) -> dict[str, list[str]]:
    """The cells of the lines below `to train`, by their first."""
    lines = text[text.index("to train") :].partition("\n\n")[0].splitlines()[1:]
    return {line.split("  ")[0].strip(): line.split("  ")[1:] for line in lines}


def test_the_baseline_stands_beside_the_published_models(project: Path) -> None:
    text = shown(project, "--device", "H100", "--budget", "300")
    for part in (
        "124,439,808",
        "354,823,168",
        "774,030,080",
        "1,557,611,200",
        "184,549,904",
        "300 seconds at 40% of H100 (989 TFLOP/s dense bf16)",
        "often left out: 3 + 8 is not 12",
        "1.19e+17 FLOPs train 31.4M parameters",
    ):
        assert part in text
    assert {"baseline", "GPT-2 small", "GPT-3 2.7B"} <= rows(text).keys()
    assert "GPT-3 6.7B" not in rows(text)  # it does not fit
    assert not (project / "experiments" / "ledger.jsonl").exists()


def test_in_a_pipe_it_is_ascii_of_80_columns(project: Path) -> None:
    for args in ([], ["--issue", "3"], ["--shape", "GPT-2 XL", "--device", "1e15"]):
        text = shown(project, *args)
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 80


def test_on_a_terminal_the_chart_has_lines(project: Path) -> None:
    parent, child = pty.openpty()
    env = {**environment(project), "PYTHONIOENCODING": "utf-8"}
    run = subprocess.Popen(command("--capacity"), cwd=project, env=env, stdout=child, stderr=subprocess.STDOUT)
    os.close(child)
    text = b""
    try:
        while piece := os.read(parent, 4096):
            text += piece
    except OSError:  # Linux says so of a terminal whose other end is closed
        pass
    os.close(parent)
    assert run.wait() == 0
    assert "└─" in text.decode()
    assert "●" in text.decode()
    assert max(map(len, text.decode().splitlines())) <= 80


def test_an_issues_variants_are_counted_through_its_plan(project: Path) -> None:
    plan = json.loads(agent(project, "--issue", "3", "--plan", "--json", "--profile", "full").stdout)
    report = as_json(project, "--issue", "3", "--device", "H100")
    planned = [("baseline", plan["baseline"]), *((one["id"], one) for one in plan["variants"])]
    counted = [(one["name"], one["d_model"], one["n_head"], one["params"]) for one in report["models"]]
    assert counted == [(name, one["model_dim"], one["n_head"], one["params"]) for name, one in planned]
    assert [one["flops_per_token"] for one in report["models"]] == [one["flops_per_token"] for _, one in planned]
    assert [one["memory_mb"] for one in report["models"]] == [one["memory_mb"] for _, one in planned]
    assert (report["issue"], report["profile"], report["budget"]) == (3, "full", "300s")
    assert report["published"] == []


def test_the_json_has_every_number_of_every_model(project: Path) -> None:
    report = as_json(project, "--device", "A100", "--mfu", "0.5", "--budget", "1h")
    assert (report["device"], report["mfu"]) == ({"name": "A100", "peak_flops": 312e12, "memory_mb": 81920}, 0.5)
    assert report["flops"] == 3600 * 312e12 * 0.5
    assert len(report["published"]) == 12
    for one in (*report["models"], *report["published"]):
        assert sum(one["by_part"].values()) == one["params"]
        assert one["buys"]["tokens"] == pytest.approx(report["flops"] / one["flops_per_token"])
        assert one["buys"]["tokens_per_parameter"] == pytest.approx(one["buys"]["tokens"] / one["params"])
        assert one["block_in_d_model_squared"] == {"queries, keys, values": 3, "attention output": 1, "MLP": 8}


def test_a_budget_in_tokens_costs_seconds_and_one_in_steps_has_the_issues_batch(project: Path) -> None:
    by_tokens = as_json(project, "--issue", "3", "--budget", "262144000tok", "--device", "H100")
    by_steps = as_json(project, "--issue", "3", "--budget", "1000steps", "--device", "H100")
    assert [one["buys"] for one in by_tokens["models"]] == [one["buys"] for one in by_steps["models"]]
    assert by_tokens["flops"] is by_tokens["compute_optimal"] is None
    assert "seconds" in shown(project, "--budget", "5Mtok").partition("to train")[2].partition("\n")[0]
    assert list(rows(shown(project, "--budget", "1000steps"))) == ["baseline"]


def test_a_budget_that_no_campaign_may_take_can_still_be_counted(project: Path) -> None:
    assert agent(project, "--issue", "3", "--plan", "--budget", "24h").returncode == 2
    assert as_json(project, "--issue", "3", "--budget", "24h")["budget"] == "86400s"


def test_the_profile_can_be_the_rehearsals(project: Path) -> None:
    report = as_json(project, "--issue", "3", "--profile", "mini")
    assert [one["d_model"] for one in report["models"]] == [64, 96, 80, 96, 48]


def test_the_block_of_another_mlp_is_no_twelve(project: Path) -> None:
    edit(project, "train.py", "MLP_RATIO = 4", "MLP_RATIO = 3")
    assert "together               12 d^2" in shown(project, "--committed")
    stale = agent(project, "--capacity")
    assert (stale.returncode, "uncommitted changes" in stale.stderr) == (2, True)
    commit(project, "a narrower MLP")
    assert "together               10 d^2" in shown(project)
    assert "3 + 8" not in shown(project)


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--device", "TPU"], ["--device 'TPU' is no known device", "H100", "312e12"]),
        (["--budget", "soon"], ["'soon' is no budget"]),
        (["--budget", "-3"], ["budget"]),
        (["--shape", "n_layer=12"], ["has no d_model"]),
        (["--shape", "n_layer=2,d_model=64", "--budget", "5steps"], ["nothing says how many tokens a step"]),
        (["--shape", "n_layer=2,d_model=64", "--issue", "3"], ["--shape and --issue are two questions"]),
        (["--mfu", "40"], ["--mfu is 40", "--mfu 0.4"]),
        (["--mfu", "nan"], ["--mfu is nan"]),
        (["--issue", "77"], ["77"]),
        (["--queue"], ["--capacity counts one issue"]),
    ],
)
def test_bad_input_is_refused_with_the_next_step(project: Path, args: list[str], parts: list[str]) -> None:
    run = agent(project, "--capacity", *args)
    assert run.returncode == 2
    assert all(part in run.stderr for part in parts), run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""


def test_a_fixed_side_without_peaks_asks_for_the_flops(project: Path) -> None:
    edit(project, "prepare.py", "PEAK_FLOPS", "OTHER")
    commit(project, "no peaks")
    refused = agent(project, "--capacity")
    assert (refused.returncode, "--device 312e12" in refused.stderr) == (2, True)
    assert as_json(project, "--device", "312e12")["models"][0]["buys"]["fits"] is None


def test_options_of_capacity_alone_say_so(project: Path) -> None:
    run = agent(project, "--issue", "3", "--device", "H100")
    assert (run.returncode, "--device is for --capacity" in run.stderr) == (2, True)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (124_439_808, "124M"),
        (999_600, "1M"),
        (999_400, "999k"),
        (1_557_611_200, "1.56B"),
        (528, "528"),
        (0, "0"),
        (2e15, "2,000T"),
        (0.25, "0.25"),
    ],
)
def test_numbers_have_three_digits(number: float, text: str) -> None:
    assert rounded(number) == text


def test_torch_is_not_imported(project: Path) -> None:
    code = "import sys, runpy; from agent.app.main import main; main(['--capacity']); print('torch' in sys.modules)"
    env = {**environment(project), "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], cwd=project, env=env, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"

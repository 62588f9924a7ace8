"""train.py: the model is causal, the optimizer works, and a run keeps the training contract."""

import dataclasses
import json
import math
import os
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import prepare
import train
from agent.spec import script as reader
from agent.spec import shape
from fixed import attention
from fixed import result as endings
from fixed.clock import PROBE_STEPS
from tests.conftest import Shared
from tests.support import needs
from tests.support.project import python
from tests.support.trial import text

ROOT = Path(__file__).parents[1]
PROGRESS = re.compile(r"step \d{5} \| \d+\.\d% \| loss \d+\.\d{4} \| [\d,]+ tok/s \| eta \d+s")
SMALL = {"DEPTH": 2, "ASPECT_RATIO": 128}  # model_dim 32 on mini, 2 heads


def run_train(
    folder: Path,
    cache: Path,
    *,
    script: Path = ROOT / "train.py",
    timeout: float = 300,
    fresh: bool = False,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTORESEARCH_")}
    fixed = {"AUTORESEARCH_PROFILE": "mini", "AUTORESEARCH_CACHE": str(cache), "AUTORESEARCH_RUN_DIR": str(folder)}
    fixed["AUTORESEARCH_CORPUS"] = text(cache)  # scored in a tenth of the time that all of the standard library takes
    settings = {f"AUTORESEARCH_{name}": value for name, value in more.items()}
    return python(script, env={**kept, **fixed, **settings}, timeout=timeout, fresh=fresh)


def edited(folder: Path, **constants: object) -> Path:
    """A copy of train.py, with prepare.py beside it, in which the constants have other values."""
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "prepare.py", folder)
    shutil.copytree(ROOT / "fixed", folder / "fixed", dirs_exist_ok=True)
    text = (ROOT / "train.py").read_text("utf-8")
    for name, value in constants.items():
        text, count = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value!r}", text)
        assert count == 1, name
    (folder / "train.py").write_text(text, "utf-8")
    return folder / "train.py"


def use_attention(model: train.GPT, name: str) -> None:
    """Let the short windows of a model attend by a kernel."""
    attends = attention.by_window(model.config, model.resid.device, name)
    for each in (block.attention for block in model.blocks):
        each.attend = attends.get(each.window, each.attend)


def result(folder: Path) -> dict[str, dict[str, float]]:
    return json.loads((folder / "result.json").read_text("utf-8"))


@pytest.fixture
def config() -> train.Config:
    """A small shape, with short windows, value and n-gram embeddings, in mini's widths."""
    base = train.make_config("mini")
    shape = {"n_layer": 4, "model_dim": 32, "n_head": 2, "vocab_size": 97, "sequence_length": 64}
    return dataclasses.replace(base, **shape, windows=(16, 64, 16, 64), ngram_order=3, ngram_rows=1000)


@pytest.fixture
def model(config: train.Config) -> train.GPT:
    """With every weight drawn at random: at the start much of a model adds nothing, and would hide a mistake."""
    torch.manual_seed(0)
    model = train.build_model(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
    return model


# --- the model ----------------------------------------------------------------------------------------------


def test_tokens_go_in_and_logits_come_out(model: train.GPT) -> None:
    logits = model(torch.zeros(3, 64, dtype=torch.int64))
    assert logits.shape == (3, 64, 97)
    assert logits.dtype == torch.float32
    assert logits.abs().max() < train.SOFTCAP


@pytest.mark.parametrize("cut", [1, 2, 15, 17, 40, 63])
def test_what_comes_later_does_not_move_earlier_logits(model: train.GPT, cut: int) -> None:
    tokens = torch.randint(0, 97, (2, 64), generator=torch.Generator().manual_seed(cut))
    changed = tokens.clone()
    changed[:, cut:] = (changed[:, cut:] + 1) % 97
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :cut], after[:, :cut], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(before[:, cut:], after[:, cut:])


def test_a_shorter_input_has_the_logits_of_the_longer_ones_beginning(model: train.GPT) -> None:
    tokens = torch.randint(0, 97, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, :30], model(tokens[:, :30]), rtol=1e-5, atol=1e-5)


def test_rows_of_a_batch_do_not_see_each_other(model: train.GPT) -> None:
    tokens = torch.randint(0, 97, (4, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[2:], model(tokens[2:]), rtol=1e-5, atol=1e-5)


def test_a_short_window_hides_what_lies_before_it(config: train.Config) -> None:
    """One block with a window of 16: the logits of place 40 depend on places 25 to 40 alone."""
    torch.manual_seed(0)
    model = train.build_model(dataclasses.replace(config, n_layer=1, windows=(16,), ngram_order=1))
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3)
        tokens = torch.randint(0, 97, (1, 64))
        logits = [model(tokens)]
        for place in (24, 25):
            changed = tokens.clone()
            changed[0, place] = (changed[0, place] + 1) % 97
            logits.append(model(changed))
    torch.testing.assert_close(logits[0][0, 40], logits[1][0, 40], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits[0][0, 40], logits[2][0, 40], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 40, 64])
@pytest.mark.parametrize("window", [1, 5, 16, 63, 64, 100])
def test_attention_in_chunks_is_attention_with_a_mask(window: int, length: int) -> None:
    q, k, v = torch.randn(3, 2, 3, length, 8, generator=torch.Generator().manual_seed(window))
    seen = torch.ones(length, length, dtype=torch.bool).tril().triu(1 - window)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, scale=0.3)
    torch.testing.assert_close(attention.local_attention(q, k, v, 0.3, window), expected)


@pytest.mark.slow
def test_flex_attention_computes_what_the_chunks_do(model: train.GPT) -> None:
    """Flex attention runs compiled on CUDA; here its plain form, without a backward pass, stands for it."""
    tokens = torch.randint(0, 97, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(tokens)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that the plain form is slow
            use_attention(model, "flex")
            torch.testing.assert_close(model(tokens), expected, rtol=1e-4, atol=1e-4)


def test_the_full_profile_trains_on_a_device_of_shapes_alone() -> None:
    """Every way to attend, in bfloat16 and at full width: forward and backward fit together, without a GPU."""
    config = train.make_config("full")
    for name in ("local", "varlen"):
        with torch.device("meta"):
            model = train.build_model(config)
            tokens = torch.zeros(2, config.sequence_length, dtype=torch.int64)
        use_attention(model, name)
        loss, logits = train.loss_and_logits(model, tokens, model.embedded(tokens), tokens)
        loss.backward()
        assert (logits.dtype, logits.shape[2], loss.dtype) == (torch.float32, config.vocab_size, torch.float32)
        assert all(weight.grad is not None for weight in model.blocks.parameters())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch, about its own compiler
def test_warming_up_compiles_all_that_training_and_evaluation_need(config: train.Config) -> None:
    """One graph for both, and none made after the clock has started; of a block, for all are alike."""
    model = train.build_model(dataclasses.replace(config, n_layer=1, windows=(16,)))
    torch._dynamo.reset()  # of what other tests have compiled
    from torch._dynamo.utils import counters  # every worker reads this file, and one runs it

    counters.clear()
    graph = torch.compile(train.loss_and_logits, backend="aot_eager", dynamic=False)
    tuned = {**train.TUNED["mini"], "device_batch": 2}
    train.rehearse(model, tuned, graph, train.muon_update)
    optimizer = train.Optimizer(model, train.TUNED["mini"])
    made = counters["stats"]["unique_graphs"]
    tokens = torch.randint(0, 97, (2, 65))
    for number in range(2):
        train.accumulate(graph, model, iter([(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())]), 1)
        optimizer.step(number, 0.5)
    with torch.no_grad():
        logits = prepare.logits_by_graph(graph, model, tokens[:, :-1].contiguous())
        torch.testing.assert_close(logits, model(tokens[:, :-1]), rtol=1e-4, atol=1e-4)
    assert counters["stats"]["unique_graphs"] == made == 1


# --- n-grams ------------------------------------------------------------------------------------------------


def test_an_ngram_is_a_row_of_its_own_wherever_it_stands() -> None:
    tokens = torch.tensor([[5, 6, 7, 5, 6, 7, 1, 6, 7]])
    bigrams, trigrams = train.ngram_index(tokens, 3, 1 << 40)
    assert (bigrams[0, 2], trigrams[0, 2]) == (bigrams[0, 5], trigrams[0, 5])
    assert bigrams[0, 8] == bigrams[0, 2]  # the same two
    assert trigrams[0, 8] != trigrams[0, 2]  # not the same three
    distinct = {*bigrams[0].tolist(), *trigrams[0].tolist()}
    assert len(distinct) == len({(0, 5), (5, 6), (6, 7), (7, 5), (7, 1), (1, 6)}) + 8  # trigrams: one comes twice


def test_ngrams_spread_evenly_over_all_rows() -> None:
    tokens = torch.randint(0, 8192, (16, 2048), generator=torch.Generator().manual_seed(0))
    index = train.ngram_index(tokens, 3, 999)
    counts = torch.bincount(index.flatten(), minlength=999)
    assert len(counts) == 999
    assert counts.min() > 0.5 * index.numel() / 999
    assert counts.max() < 1.5 * index.numel() / 999


def test_a_step_of_the_ngram_table_is_that_of_a_dense_gradient(config: train.Config) -> None:
    torch.manual_seed(0)
    table = train.Ngrams(config)
    torch.nn.init.normal_(table.weight)
    rows, before = train.NgramOptimizer(table), table.weight.detach().clone()
    tokens = torch.randint(0, 97, (2, 64))
    power = torch.zeros(config.ngram_rows, 1)
    for _ in range(3):
        grad = torch.randn(2, 64, 32)
        table(tokens).backward(grad)
        rows.step(0.1)
        rows.zero_grad()
        index = train.ngram_index(tokens, config.ngram_order, config.ngram_rows)
        dense = torch.zeros_like(before)
        for order in index:
            dense.index_add_(0, order.flatten(), grad.flatten(0, 1))
        seen = dense.abs().sum(1, keepdim=True) > 0
        power = torch.where(
            seen, train.NGRAM_BETA2 * power + (1 - train.NGRAM_BETA2) * dense.square().mean(1, True), power
        )
        before -= torch.where(seen, 0.1 * dense / power.clamp_min(1e-20).sqrt(), 0.0)
    torch.testing.assert_close(table.weight.detach(), before, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rows.power, power)
    assert table.weight.grad is None


def test_rotary_positions_keep_lengths_and_see_distances_only(config: train.Config) -> None:
    cos, sin = train.rotary(config)
    q, k = torch.randn(2, 1, 1, 1, 16, generator=torch.Generator().manual_seed(0)).expand(2, 1, 64, 1, 16)
    q, k = train.rotate(q, cos, sin), train.rotate(k, cos, sin)
    torch.testing.assert_close(q.norm(dim=-1), q.norm(dim=-1)[:, :1].expand(1, 64, 1), rtol=1e-5, atol=1e-5)
    near, far = (q[0, 5, 0] * k[0, 2, 0]).sum(), (q[0, 45, 0] * k[0, 42, 0]).sum()
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-4)


def test_a_fresh_model_knows_nothing(config: train.Config) -> None:
    torch.manual_seed(0)
    tokens, model = torch.randint(0, 97, (4, 64)), train.build_model(config)
    loss, _ = train.loss_and_logits(model, tokens, model.embedded(tokens), torch.randint(0, 97, (4, 64)))
    assert loss.item() == pytest.approx(math.log(97), abs=0.01)


def test_windows_follow_the_pattern_and_the_last_block_sees_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "DEPTH", 6)
    short = 64
    assert train.windows(256, "SSSL", 4) == (short, short, short, 256, short, 256)


def test_a_width_that_does_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "DEPTH", 9)
    with pytest.raises(prepare.RunFailure, match=r"9 \* 64 = 576.*128.*ASPECT_RATIO is 128") as stop:
        train.make_config("full")
    assert stop.value.code == endings.EXIT_SETTING


# --- the optimizer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 16, 16), (2, 64, 16), (2, 16, 64)])
def test_orthogonalized_matrices_have_singular_values_near_one(shape: tuple[int, ...]) -> None:
    found = train.orthogonalize(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_every_weight_is_trained_by_exactly_one_optimizer(model: train.GPT) -> None:
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimizer = train.Optimizer(model, train.TUNED["mini"])
    adam = sum(weight.numel() for group in optimizer.adam.param_groups for weight in group["params"])
    muon = sum(stack.weight.numel() for stack in optimizer.muon.stacks)
    ngrams = sum(rows.table.weight.numel() for rows in optimizer.ngram_optimizers)
    assert adam + muon + ngrams == sum(weight.numel() for weight in model.parameters())
    tokens = torch.randint(0, 97, (2, 64))
    train.accumulate(train.loss_and_logits, model, iter([(tokens, tokens.roll(-1))]), 1)
    optimizer.step(0, 0.0)
    assert [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])] == []


def test_a_gradient_of_zeros_moves_no_matrix(config: train.Config) -> None:
    """The first gradients of most matrices are exactly zero, for what they feed into is zero."""
    torch.manual_seed(0)
    model = train.build_model(config)
    before = model.blocks[0].attention.qkv.clone()
    optimizer = train.Optimizer(model, train.TUNED["mini"])
    optimizer.step(0, 1.0)
    torch.testing.assert_close(model.blocks[0].attention.qkv, before)


def test_two_half_batches_have_the_gradient_of_the_whole(config: train.Config) -> None:
    tokens = torch.randint(0, 97, (4, 65), generator=torch.Generator().manual_seed(0))
    pair, grads = (tokens[:, :-1], tokens[:, 1:]), []
    for parts in ([pair], [tuple(half[:2] for half in pair), tuple(half[2:] for half in pair)]):
        torch.manual_seed(0)
        model = train.build_model(config)
        train.accumulate(train.loss_and_logits, model, iter(parts), len(parts))
        grads.append(model.lm_head.weight.grad)
    torch.testing.assert_close(grads[0], grads[1])


def test_a_new_optimizer_on_old_weights_knows_nothing_of_the_steps_before(config: train.Config) -> None:
    torch.manual_seed(0)
    model = train.build_model(config)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    tokens, after = torch.randint(0, 97, (2, 64)), []
    for _ in range(2):
        model.load_state_dict(kept)
        optimizer = train.Optimizer(model, train.TUNED["mini"])
        for number in range(3):
            train.accumulate(train.loss_and_logits, model, iter([(tokens, tokens.roll(-1))]), 1)
            optimizer.step(number, 0.0)
        after.append({name: value.clone() for name, value in model.state_dict().items()})
    assert all(torch.equal(after[0][name], after[1][name]) for name in kept)


def test_value_embeddings_decay_and_no_other_table_does(config: train.Config) -> None:
    model = train.build_model(config)
    optimizer = train.Optimizer(model, {**train.TUNED["full"], "value_decay": 0.5})
    decayed = [weight for group in optimizer.adam.param_groups if group["weight_decay"] for weight in group["params"]]
    assert [id(weight) for weight in decayed] == [id(weight) for weight in model.value_embeds.parameters()]


def test_rates_stay_and_then_fall_to_the_floor() -> None:
    assert train.lr_multiplier(0.0, 0.5) == train.lr_multiplier(0.5, 0.5) == 1.0
    assert train.lr_multiplier(1.0, 0.5) == pytest.approx(train.FINAL_LR_FRAC)
    assert train.lr_multiplier(0.9, 0.5) < train.lr_multiplier(0.8, 0.5) < 1.0


# --- whole runs ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def short_run(corpus_cache: Path, shared: Shared) -> tuple[Path, str]:
    """Twelve steps of a small model: (the run's folder, what it printed)."""

    def train_shortly(folder: Path) -> None:
        done = run_train(folder / "run", corpus_cache, script=edited(folder / "script", **SMALL), STEPS="12", SEED="3")
        assert done.returncode == 0, done.stderr
        (folder / "stdout").write_text(done.stdout)

    folder = shared("short-run", train_shortly)
    return folder / "run", (folder / "stdout").read_text()


@pytest.mark.slow
def test_the_summary_block_is_what_users_know(short_run: tuple[Path, str]) -> None:
    lines = short_run[1].splitlines()
    block = lines[lines.index("---") + 1 :]
    assert [line.split(":")[0] for line in block[:-1]] == list(endings.SUMMARY)
    assert block[-1] == f"results: {short_run[0]}"
    assert f"val_bpb:          {result(short_run[0])['metrics']['val_bpb']:.6f}" in block


@pytest.mark.slow
def test_progress_goes_to_a_pipe_as_whole_lines_of_one_form(short_run: tuple[Path, str]) -> None:
    lines = [line for line in short_run[1].split("\n---\n")[0].splitlines() if line]
    assert lines
    assert all(PROGRESS.fullmatch(line) for line in lines)
    assert lines[-1].startswith("step 00012 | 100.0%")


@pytest.mark.slow
def test_the_result_has_every_metric_phase_and_the_exact_parameters(short_run: tuple[Path, str]) -> None:
    told = result(short_run[0])
    metrics = told["metrics"]
    assert metrics.keys() == {
        "val_bpb", "training_seconds", "total_seconds", "peak_vram_mb", "total_tokens_M", "num_steps", "num_params_M",
        "charged_steps", "depth", "tokens_per_second", "step_seconds",
    }  # fmt: skip
    assert all(math.isfinite(value) and value > 0 for value in metrics.values())
    assert metrics["num_steps"] == metrics["charged_steps"] == 12
    assert metrics["total_tokens_M"] == 12 * 2048 / 1e6
    assert told["params"] == round(metrics["num_params_M"] * 1e6)
    assert told["phases"].keys() == {"startup", "train", "eval", "checkpoint"}
    assert sum(told["phases"].values()) == pytest.approx(metrics["total_seconds"], abs=0.01)
    assert (told["schema"], told["profile"], told["seed"], told["probe"]) == (1, "mini", 3, False)
    assert told["notes"] == {"compiled": False}
    assert told["machine"].keys() == {"device", "kind", "torch", "python", "threads"}
    assert len(told["corpus"]) == 64


@pytest.mark.slow
def test_the_checkpoint_alone_gives_the_claimed_score_again(short_run: tuple[Path, str], corpus_cache: Path) -> None:
    saved = torch.load(short_run[0] / "model.pt", weights_only=True)
    model = train.build_model(train.Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    corpora = [prepare.load(path.parent) for path in corpus_cache.glob("file-mini-*/meta.json")]
    [corpus] = [one for one in corpora if one.fingerprint == result(short_run[0])["corpus"]]
    held = corpus.evaluation("val")
    nats = prepare.score(model, held, corpus.token_bytes(), batch=7, device="cpu")
    claimed = result(short_run[0])["metrics"]["val_bpb"]
    assert prepare.bits_per_byte(nats, held.document_bytes) == pytest.approx(claimed, abs=1e-6)
    with np.load(short_run[0] / "losses.npz") as losses:
        np.testing.assert_allclose(losses["nats"], nats, rtol=1e-5)
        assert losses["bytes"].sum() == corpus.val_bytes
    assert saved["steps"] == 12


@pytest.mark.slow
def test_one_seed_gives_one_value_to_the_last_digit_and_another_seed_another(
    short_run: tuple[Path, str], corpus_cache: Path, tmp_path: Path
) -> None:
    script = edited(tmp_path / "script", **SMALL)
    for seed in ("3", "4"):
        assert run_train(tmp_path / seed, corpus_cache, script=script, STEPS="12", SEED=seed).returncode == 0
    first, again, other = (
        result(path)["metrics"]["val_bpb"] for path in (short_run[0], tmp_path / "3", tmp_path / "4")
    )
    assert first == again
    assert first != other


@pytest.mark.nightly
@needs.compiler
def test_compiled_it_is_the_same_training(corpus_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warmed up on made-up tokens, put back, and then the same twelve steps: the two differ by rounding only."""
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")  # else it starts processes that load torch, one a core
    # else it compiles and loads a test for each set of instructions
    monkeypatch.setenv("TORCHINDUCTOR_VEC_ISA_OK", "1")
    monkeypatch.setenv("TORCHINDUCTOR_DEBUG_COMPILE", "1")  # g++ takes half of its time to make it fast
    script = edited(tmp_path / "script", DEPTH=1, ASPECT_RATIO=256)  # one block: all that is compiled is in it
    results = []
    for compiled in ("0", "1"):
        argv = {"STEPS": "12", "SEED": "3", "COMPILE": compiled}
        # a fork has the compiler's settings already, as they were without these variables
        done = run_train(tmp_path / compiled, corpus_cache, script=script, fresh=compiled == "1", **argv)
        assert done.returncode == 0, done.stderr
        results.append(result(tmp_path / compiled))
    plain, told = results
    assert told["notes"] == {"compiled": True}
    assert told["phases"]["compile"] > 0
    assert told["metrics"]["val_bpb"] == pytest.approx(plain["metrics"]["val_bpb"], abs=2e-3)


class Cut(BaseException):
    """Ends a compilation where the graph has been cut into its forward and its backward half."""


def kept_by_the_compiled_graph(config: train.Config, rows: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that the forward half of the training graph hands to the backward half, weights aside."""
    from torch._functorch import partitioners

    kept, halved = [], partitioners.min_cut_rematerialization_partition

    def cut(*args: object, **kwargs: object) -> None:
        forward, backward = halved(*args, **kwargs)
        weights = {node.name for node in forward.graph.nodes if node.op == "placeholder"} | {"tangents_1", "tangents_2"}
        told = [n for n in backward.graph.nodes if n.op == "placeholder" and n.name not in weights]
        kept.extend(node.meta["val"].nbytes for node in told if isinstance(node.meta["val"], torch.Tensor))
        raise Cut

    monkeypatch.setattr("torch._inductor.compile_fx.min_cut_rematerialization_partition", cut)
    torch._dynamo.reset()
    model, tokens = train.build_model(config), torch.zeros(rows, config.sequence_length, dtype=torch.int64)
    use_attention(model, "varlen")
    with pytest.raises(Cut):
        torch.compile(train.loss_and_logits, dynamic=False)(model, tokens, model.embedded(tokens), tokens.clone())
    return sum(kept)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch, about its own compiler
@pytest.mark.parametrize(
    ("depth", "ratio"),
    [(1, 512), *(pytest.param(*each, marks=pytest.mark.nightly) for each in ((3, 128), (8, 64), (4, 192)))],
)
def test_the_memory_predicted_for_a_gpu_is_what_the_compiled_graph_keeps(
    depth: int, ratio: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph is that of the GPU, at its full size; where a GPU is there, `peak_vram_mb` tells the rest."""
    monkeypatch.setattr(train, "DEPTH", depth)
    monkeypatch.setattr(train, "ASPECT_RATIO", ratio)
    config = train.make_config("full")
    kept = [kept_by_the_compiled_graph(config, rows, monkeypatch) for rows in (1, 2)]
    gradient = 2 * config.sequence_length * config.vocab_size  # of the logits: the backward half makes it first
    facts = reader.constants((ROOT / "fixed" / "settings.py").read_text(), "settings.py")["PROFILES"]
    assert isinstance(facts, dict)
    predicted = []
    for rows in (1, 2):
        tuned = {**train.TUNED["full"], "device_batch": rows, "total_batch": 2 * config.sequence_length}
        constants = {**reader.constants((ROOT / "train.py").read_text(), "train.py"), "DEPTH": depth}
        told = {**constants, "ASPECT_RATIO": ratio, "TUNED": {"full": tuned}}
        predicted.append(shape.resolve(told, facts["full"], "full").memory_mb * shape.MB)
    assert predicted[1] - predicted[0] == pytest.approx(kept[1] - kept[0] + gradient, rel=0.03)


@pytest.mark.slow
@pytest.mark.skipif(torch.version.cuda is not None, reason="a CUDA build of torch itself takes some 330 MB more")
@pytest.mark.usefixtures("short_run")  # which prepares the corpus: that takes memory, too
@pytest.mark.parametrize(
    "constants",
    [
        {"NGRAM_ORDER": 1},
        *(pytest.param(one, marks=pytest.mark.nightly) for one in ({"DEPTH": 4, "ASPECT_RATIO": 256}, {})),
    ],
)
def test_the_memory_that_a_run_takes_is_what_was_predicted(
    constants: dict[str, int], corpus_cache: Path, tmp_path: Path
) -> None:
    script = edited(tmp_path / "script", **constants)
    # a fork would not count the pages that it shares with its parent
    done = run_train(tmp_path / "run", corpus_cache, script=script, fresh=True, STEPS="3")
    assert done.returncode == 0, done.stderr
    facts = reader.constants((ROOT / "fixed" / "settings.py").read_text(), "settings.py")["PROFILES"]
    assert isinstance(facts, dict)
    predicted = shape.resolve(reader.constants(script.read_text(), "train.py"), facts["mini"], "mini").memory_mb
    assert result(tmp_path / "run")["metrics"]["peak_vram_mb"] == pytest.approx(predicted, rel=0.1)


@pytest.mark.slow
def test_a_token_budget_is_spent_in_whole_steps(corpus_cache: Path, tmp_path: Path) -> None:
    script = edited(tmp_path / "script", **SMALL)
    done = run_train(tmp_path / "run", corpus_cache, script=script, TOKENS="9000", PROBE="1")
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "run")["metrics"]["num_steps"] == 5


@pytest.mark.slow
def test_a_probe_tells_the_speed_and_neither_saves_nor_scores(corpus_cache: Path, tmp_path: Path) -> None:
    script, folder = edited(tmp_path / "script", **SMALL), tmp_path / "run"
    done = run_train(folder, corpus_cache, script=script, BUDGET="1", PROBE="1")
    assert done.returncode == 0, done.stderr
    told = result(folder)
    assert "val_bpb" not in told["metrics"]
    assert told["probe"] is True
    assert told["metrics"]["training_seconds"] >= 1.0
    assert told["metrics"]["step_seconds"] > 0
    assert sorted(path.name for path in folder.iterdir()) == ["result.json"]


@pytest.mark.slow
def test_a_probe_takes_steps_enough_to_tell_a_step_time(corpus_cache: Path, tmp_path: Path) -> None:
    done = run_train(
        tmp_path / "run", corpus_cache, script=edited(tmp_path / "script", **SMALL), BUDGET="0.1", PROBE="1"
    )
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "run")["metrics"]["num_steps"] == PROBE_STEPS


@pytest.mark.slow
def test_the_committed_model_learns(corpus_cache: Path, tmp_path: Path) -> None:
    """8 bits a byte is no model at all; 15 steps of the baseline are known to reach 2.59."""
    done = run_train(tmp_path, corpus_cache, STEPS="15")
    assert done.returncode == 0, done.stderr
    assert result(tmp_path)["metrics"]["val_bpb"] < 2.8


@pytest.mark.slow
def test_a_loss_that_diverges_is_an_exit_status_of_its_own(corpus_cache: Path, tmp_path: Path) -> None:
    script = edited(tmp_path / "script", **SMALL, NGRAM_LR=1e30, HEAD_LR=1e30)
    done = run_train(tmp_path / "run", corpus_cache, script=script, STEPS="50")
    assert done.returncode == endings.EXIT_NAN, done.stderr
    assert re.fullmatch(r"error: .*diverged\n", done.stderr)
    assert json.loads((tmp_path / "run" / "failure.json").read_text())["status"] == "nan"
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.slow
def test_a_model_too_large_for_the_memory_is_an_exit_status_of_its_own(corpus_cache: Path, tmp_path: Path) -> None:
    script = edited(tmp_path / "script", DEPTH=2, ASPECT_RATIO=2**40)  # a petabyte: no machine tries
    done = run_train(tmp_path / "run", corpus_cache, script=script, STEPS="1")
    assert done.returncode == endings.EXIT_OOM, done.stderr
    assert re.fullmatch(r"error: out of memory.*\n", done.stderr)
    assert json.loads((tmp_path / "run" / "failure.json").read_text())["status"] == "oom"


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_full_without_a_gpu_is_refused_in_one_line(corpus_cache: Path, tmp_path: Path) -> None:
    done = run_train(tmp_path, corpus_cache, PROFILE="full")
    assert done.returncode == endings.EXIT_SETTING
    assert re.fullmatch(r"error: AUTORESEARCH_PROFILE='full': .*CUDA.*\n", done.stderr)


@pytest.mark.slow
def test_without_a_prepared_corpus_the_script_prepares_it_and_says_so(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"Document {n} is about the number {n}." for n in range(400)), "utf-8")
    script = edited(tmp_path / "script", **SMALL)
    done = run_train(tmp_path / "run", tmp_path / "cache", script=script, STEPS="3", CORPUS=f"file:{text}")
    assert done.returncode == 0, done.stderr
    assert "preparing file:" in done.stderr
    assert result(tmp_path / "run")["metrics"]["val_bpb"] > 0

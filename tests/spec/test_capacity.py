"""agent/spec/capacity.py: published models come out exactly, and what is bought is what a published run bought."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Budget
from agent.spec import capacity, script, shape
from agent.spec.capacity import Device
from agent.spec.published import DEVICE_GB, MODELS, GptShape
from tests.support.project import ROOT

H100 = Device("H100", 989e12, 80 * 1024)
CONSTANTS = script.constants((ROOT / "train.py").read_text(), "train.py")
PROFILES = script.constants((ROOT / "fixed" / "settings.py").read_text(), "fixed/settings.py")["PROFILES"]
PEAKS = capacity.read_peaks({"fixed/evaluate.py": (ROOT / "fixed" / "evaluate.py").read_text()})


def own(changed: Mapping[str, object] | None = None, **full: object) -> capacity.Model:
    """The main track's baseline on `full`, with some constants changed, and entries of its table."""
    tuned: Any = CONSTANTS["TUNED"]
    assert isinstance(PROFILES, dict)
    constants = {**CONSTANTS, "TUNED": {"full": {**tuned["full"], **full}}, **(changed or {})}
    return capacity.count_script("baseline", constants, PROFILES["full"], "full")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("GPT-2 small", 124_439_808),
        ("GPT-2 medium", 354_823_168),
        ("GPT-2 large", 774_030_080),
        ("GPT-2 XL", 1_557_611_200),
    ],
)
def test_the_released_gpt_2_models_have_exactly_the_parameters_of_their_checkpoints(name: str, params: int) -> None:
    assert capacity.count_gpt(name, *MODELS[name]).params == params
    for spelling in (name, name.upper(), name.replace("-", "").replace(" ", "-")):
        assert capacity.parse_shape(spelling).params == params


def test_a_built_gpt_2_has_the_parameters_that_are_counted() -> None:
    torch = pytest.importorskip("torch")
    sizes = GptShape(3, 48, 4, vocab=101, context=32)
    block = torch.nn.TransformerEncoderLayer(sizes.d_model, sizes.n_head, 4 * sizes.d_model)
    model = [
        torch.nn.Embedding(sizes.vocab, sizes.d_model),
        torch.nn.Embedding(sizes.context, sizes.d_model),
        torch.nn.TransformerEncoder(block, sizes.n_layer, torch.nn.LayerNorm(sizes.d_model), False),
    ]
    built = sum(weight.numel() for module in model for weight in module.parameters())
    assert capacity.count_gpt("", sizes).params == built


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("GPT-3")])
def test_the_gpt_3_family_has_about_the_sizes_that_its_paper_states(name: str) -> None:
    sizes, stated = MODELS[name]
    size = float(stated[:-1]) * {"M": 1e6, "B": 1e9}[stated[-1]]
    assert capacity.count_gpt(name, sizes).params == pytest.approx(size, rel=0.025)


def test_the_widths_of_the_gpt_3_family_are_those_of_its_paper() -> None:
    widths = [sizes.d_model for name, (sizes, _) in MODELS.items() if name.startswith("GPT-3")]
    assert widths == [768, 1024, 1536, 2048, 2560, 4096, 5140, 12288]


def test_the_matrices_of_a_block_are_12_squares_of_the_width_and_one_of_them_is_the_attention_output() -> None:
    model = capacity.count_gpt("", GptShape(1, 768, 12))
    assert model.block == {"queries, keys, values": 3, "attention output": 1, "MLP": 8}
    assert {part: model.by_part[part] for part in model.block} == {
        part: squares * 768**2 for part, squares in model.block.items()
    }


@given(layers=st.integers(1, 99), width=st.integers(1, 9999), vocab=st.integers(1, 99999), context=st.integers(1, 9999))
def test_a_block_more_costs_its_matrices_biases_and_norms(layers: int, width: int, vocab: int, context: int) -> None:
    less, more = (capacity.count_gpt("", GptShape(n, width, 1, vocab, context)) for n in (layers, layers + 1))
    assert more.params - less.params == 12 * width**2 + 13 * width
    assert more.flops_per_token - less.flops_per_token == 6 * 12 * width**2 + 12 * width * context
    assert more.memory_mb >= less.memory_mb


def test_the_parts_of_the_main_model_sum_to_the_parameters_that_a_plan_shows() -> None:
    assert isinstance(PROFILES, dict)
    model, resolved = own(), shape.resolve(CONSTANTS, PROFILES["full"], "full")
    assert (model.params, model.flops_per_token) == (resolved.params, resolved.flops_per_token)
    assert (model.memory_mb, model.n_head) == (resolved.memory_mb, resolved.n_head)
    assert {part: model.by_part[part] for part in model.block} == {
        part: squares * model.n_layer * model.d_model**2 for part, squares in model.block.items()
    }


def test_a_published_run_bought_what_is_said_of_it() -> None:
    """karpathy/autoresearch's baseline: 300.1 s on an H100 at an MFU of 39.80 % gave 499.6M tokens, 953 steps."""
    upstream = own({"NGRAM_ORDER": 1}, window_pattern="SSSL", short_window=2, total_batch=2**19, device_batch=128)
    bought = capacity.buy(upstream, Budget("seconds", 300.1), H100, 0.398)
    assert upstream.params == pytest.approx(50.3e6, rel=0.001)
    assert bought.tokens == pytest.approx(499.6e6, rel=0.02)
    assert bought.steps == pytest.approx(953, rel=0.02)


def test_the_three_kinds_of_budget_are_worth_the_same() -> None:
    model = own()
    seconds = capacity.buy(model, Budget("seconds", 300), H100, 0.4)
    tokens = capacity.buy(model, Budget("tokens", seconds.tokens), H100, 0.4)
    assert seconds.steps is not None
    steps = capacity.buy(model, Budget("steps", seconds.steps), H100, 0.4)
    for other in (tokens, steps):
        assert other.seconds == pytest.approx(300)
        assert other.tokens == pytest.approx(seconds.tokens)
    assert seconds.tokens * model.flops_per_token == pytest.approx(300 * 989e12 * 0.4)
    assert seconds.chinchilla_ratio == pytest.approx(seconds.tokens / model.params / 20)


def test_chinchilla_itself_is_about_compute_optimal() -> None:
    """70B parameters on 1.4T tokens took 5.76e23 FLOPs (arXiv 2203.15556)."""
    params, tokens = capacity.compute_optimal(5.76e23)
    assert params == pytest.approx(70e9, rel=0.02)
    assert tokens == pytest.approx(1.4e12, rel=0.02)


def test_a_model_fits_where_its_memory_and_some_room_are_there() -> None:
    model = capacity.count_gpt("", MODELS["GPT-2 XL"][0])
    fits = {
        share: capacity.buy(model, Budget("seconds", 1), Device("", 1e12, int(share * model.memory_mb)), 1).fits
        for share in (0.9, 1.1, 1.2)
    }
    assert fits == {0.9: False, 1.1: False, 1.2: True}
    assert capacity.buy(model, Budget("seconds", 1), Device("", 1e12, None), 1).fits is None


def test_the_states_of_a_gpt_2_of_1_5b_take_24_gb_and_what_a_row_keeps_comes_on_top() -> None:
    """ZeRO (arXiv 1910.02054), section 3.1; 34 bytes for each channel of each block."""
    short, long = (capacity.count_gpt("", GptShape(48, 1600, 25, context=tokens)) for tokens in (1, 1025))
    positions = 16 * 1024 * 1600
    assert short.memory_mb * 2**20 == pytest.approx(24e9, rel=0.05)
    kept = (long.memory_mb - short.memory_mb) * 2**20 - positions
    assert kept == pytest.approx(1024 * (34 * 48 * 1600 + 5 * 1600 + 4 * 50257), rel=0.001)


def test_every_device_of_the_fixed_side_has_a_memory() -> None:
    assert list(DEVICE_GB) == list(PEAKS)


@pytest.mark.parametrize(
    ("text", "name"),
    [("H100", "H100"), ("NVIDIA H100 80GB HBM3", "H100"), ("h100 pcie", "H100 PCIe"), ("NVIDIA H200", "H200")],
)
def test_a_device_is_known_by_any_name_that_holds_its_own(text: str, name: str) -> None:
    assert capacity.choose_device(text, PEAKS) == Device(name, PEAKS[name], DEVICE_GB[name] * 1024)


def test_a_device_that_is_not_known_is_given_by_its_flops() -> None:
    assert capacity.choose_device("312e12", PEAKS) == Device("device of 312 TFLOP/s", 312e12, None)


@pytest.mark.parametrize("text", ["", "TPU v5", "0", "-1e12", "nan", "inf", "300", "1e99"])
def test_another_device_is_refused_with_those_that_are_known(text: str) -> None:
    with pytest.raises(BadInput, match="is no known device") as refused:
        capacity.choose_device(text, PEAKS)
    assert all(name in refused.value.next_step for name in PEAKS)


def test_a_fixed_side_without_peaks_knows_no_device() -> None:
    assert capacity.read_peaks({"prepare.py": "PROFILES = {}\n"}) == {}


def test_a_shape_has_gpt_2s_heads_vocabulary_and_context_unless_it_says() -> None:
    model = capacity.parse_shape("n_layer=6, d_model=384")
    assert (model.n_head, model.vocab, model.context) == (6, 50257, 1024)
    small = capacity.parse_shape("n_layer=2,d_model=32,n_head=4,vocab=28,context=16")
    assert (small.n_head, small.vocab, small.context) == (4, 28, 16)
    assert capacity.parse_shape("n_layer=1,d_model=8").n_head == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no shape"),
        ("12x768", "is no shape: '12x768'"),
        ("GPT-4", "is no shape"),
        ("n_layer=12", "has no d_model"),
        ("d_model=12", "has no n_layer"),
        ("n_layer=12,d_model=768,width=3", "is no shape: 'width=3'"),
        ("n_layer=12,n_layer=12,d_model=768", "gives a number twice"),
        ("n_layer=0,d_model=768", "n_layer is '0'"),
        ("n_layer=12,d_model=7.5", "d_model is '7.5'"),
        ("n_layer=12,d_model=", "d_model is ''"),
        ("n_layer=12,d_model=9999999", "d_model is '9999999'"),
        ("n_layer=12,d_model=768,n_head=7", "768 does not divide into 7 heads"),
        ("n_layer=12,d_model=\u0667", "d_model is '\u0667'"),  # a digit of another alphabet
    ],
)
def test_another_shape_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as refused:
        capacity.parse_shape(text)
    assert refused.value.next_step


def test_the_heads_that_it_proposes_fit() -> None:
    with pytest.raises(BadInput) as refused:
        capacity.parse_shape("n_layer=12,d_model=768,n_head=7")
    proposed = refused.value.next_step.removeprefix("nearest that fit: ").split(" or ")
    assert [capacity.parse_shape(f"n_layer=12,d_model=768,{each}").n_head for each in proposed] == [6, 8]


def test_steps_of_a_model_whose_batch_nobody_knows_are_refused() -> None:
    with pytest.raises(BadInput, match="how many tokens a step of GPT-2 small has"):
        capacity.buy(capacity.parse_shape("gpt-2 small"), Budget("steps", 500), H100, 0.4)


def test_the_largest_shape_that_is_taken_has_numbers_like_any_other() -> None:
    model = capacity.parse_shape("n_layer=1000000,d_model=1000000,n_head=1,vocab=1000000,context=1000000")
    bought = capacity.buy(model, Budget("seconds", 1), H100, 0.4)
    assert all(math.isfinite(value) for value in (bought.tokens, bought.seconds, bought.chinchilla_ratio))

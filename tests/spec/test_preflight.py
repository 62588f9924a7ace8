"""Preflight: every variant resolved, and every contradiction found before a run."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.errors import BadInput, OffLimits
from agent.core.experiment import Issue, Rewrite, SetConstant, Spec, StatedValue, Variant
from agent.core.sizes import ModelSize
from agent.spec import preflight
from agent.spec.preflight import Resolved, Sources
from agent.store.tracks import load

ROOT = Path(__file__).parents[2]
TRACK = load(ROOT, "main")
SOURCES = Sources(
    {"train.py": (ROOT / "train.py").read_text()},
    preflight.profile_facts({"settings.py": (ROOT / "fixed" / "settings.py").read_text()}, "prepare.py"),
)


def variant(name: str, depth: int, ratio: int, *stated: StatedValue) -> Variant:
    edits = (SetConstant("train.py", "DEPTH", depth), SetConstant("train.py", "ASPECT_RATIO", ratio))
    return Variant(name, edits, stated=stated, where=f"issue.md:{depth}")


def resolve(*variants: Variant) -> list[Resolved]:
    spec = Spec(Issue(3, "t", ""), "main", "table", variants, None, None, None, (), "")
    return preflight.variants(spec, TRACK, SOURCES, variants)


def test_both_profiles_are_resolved_with_an_eighth_of_the_width_on_mini() -> None:
    [one] = resolve(variant("1D", 8, 96))
    assert (one.shapes["full"].model_dim, one.shapes["mini"].model_dim) == (768, 96)
    assert one.shapes["full"].n_head == one.shapes["mini"].n_head == 6
    assert one.constants["ASPECT_RATIO"] == 96


def test_a_constant_that_stays_as_it_is_makes_no_edit() -> None:
    [one] = resolve(variant("1D", 8, 96))
    changed = set(one.files["train.py"].splitlines()) - set(SOURCES.files["train.py"].splitlines())
    assert [line.split("#")[0].strip() for line in changed] == ["ASPECT_RATIO = 96"]


def test_a_stated_value_that_is_true_passes_and_a_false_one_is_refused() -> None:
    assert resolve(
        variant("1D", 8, 96, StatedValue("model_dim", 768, "issue.md:8"), StatedValue("n_head", 6, "issue.md:8"))
    )
    with pytest.raises(
        BadInput, match=r"issue\.md:8: 1D: column n_head says 4, but DEPTH 8 x ASPECT_RATIO 96 .* gives 6"
    ):
        resolve(variant("1D", 8, 96, StatedValue("n_head", 4, "issue.md:8")))


def test_a_stated_value_that_nothing_derives_is_let_be() -> None:
    assert resolve(variant("1D", 8, 96, StatedValue("n_layer", 4, "issue.md:8")))


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [("DEPTH", 0, "at least 1 and at most 512"), ("DEPTH", -8, "at least 1"), ("HEAD_LR", 0.0, "above 0"),
     ("TUNED.mini.matrix_lr", -0.1, "above 0"), ("ADAM_BETA2", 1.0, "at least 0 and below 1"),
     ("TUNED.full.warmdown_ratio", 1.5, "at least 0 and at most 1"), ("SOFTCAP", 0.0, "above 0")],
)  # fmt: skip
def test_a_value_out_of_its_range_is_refused_with_what_is_valid(name: str, value: float, valid: str) -> None:
    one = Variant("1A", (SetConstant("train.py", name, value),), where="issue.md:4")
    with pytest.raises(BadInput, match=rf"issue\.md:4: 1A sets {name} to {value}, and it must be {valid}"):
        resolve(one)


@pytest.mark.parametrize(("name", "value"), [("DEPTH", 1), ("WEIGHT_DECAY", 0.0), ("FINAL_LR_FRAC", 1.0)])
def test_the_ends_of_a_range_are_valid(name: str, value: float) -> None:
    ratio = SetConstant("train.py", "ASPECT_RATIO", 128)
    edits = (SetConstant("train.py", name, value), *([ratio] if name == "DEPTH" else []))
    assert resolve(Variant("1A", edits))


def test_every_range_and_unit_of_the_track_names_a_constant_that_is_in_it() -> None:
    own = {name.rpartition(".")[2] for name in preflight.baseline(TRACK, SOURCES).constants}
    assert {*TRACK.ranges, *TRACK.units} <= own


def test_one_model_twice_is_refused_with_both_names() -> None:
    with pytest.raises(BadInput, match=r"1B and 1A are one model: the same constants \(issue\.md:8\)"):
        resolve(variant("1A", 8, 96), variant("1B", 8, 96))


def test_the_baseline_again_is_refused() -> None:
    with pytest.raises(BadInput, match="1A changes nothing: it is the baseline"):
        resolve(variant("1A", 8, 64))


def test_a_width_that_does_not_divide_is_refused_where_the_issue_says_it() -> None:
    with pytest.raises(BadInput, match=r"issue\.md:9: 1A: .*576.*128"):
        resolve(variant("1A", 9, 64))


def test_a_variant_too_large_for_the_device_is_refused_before_it_runs() -> None:
    found = resolve(variant("1D", 8, 96))
    need = math.ceil(found[0].shapes["full"].memory_mb * preflight.MEMORY_HEADROOM)
    preflight.check_memory(found, "full", need)
    with pytest.raises(BadInput, match=r"1D needs about [\d,]+ MB and 15% room beside it, and the device has"):
        preflight.check_memory(found, "full", need - 1)


def test_a_variant_that_sets_what_another_profile_reads_is_refused() -> None:
    rows = SetConstant("train.py", "TUNED.mini.ngram_rows", 1000)
    [one, other] = resolve(
        Variant("1A", (rows,), where="issue.md:4"),
        Variant("1B", (rows, SetConstant("train.py", "TUNED.full.ngram_rows", 1000)), where="issue.md:5"),
    )
    preflight.check_profile([one, other], "mini")
    preflight.check_profile([other], "full")
    with pytest.raises(BadInput, match=r"1A sets TUNED\.mini\.ngram_rows, which profile full does not read") as refused:
        preflight.check_profile([one, other], "full")
    assert refused.value.where == "issue.md:4"


def test_a_script_without_our_constants_has_no_shape_and_still_resolves() -> None:
    sources = replace(SOURCES, files={"train.py": "RATE = 0.1\n"})
    one = preflight.baseline(TRACK, sources)
    assert (one.shapes, one.constants) == ({}, {"RATE": 0.1})


def test_a_prepare_without_profiles_is_refused() -> None:
    with pytest.raises(BadInput, match=r"prepare\.py: no PROFILES table"):
        preflight.profile_facts({"prepare.py": "BUDGET_S = 300\n"}, "prepare.py")


# --- what a model wrote -----------------------------------------------------------------------------------

SIZE = ModelSize(params=1234, flops_per_token=5678, memory_mb=910)


def without(*names: str) -> str:
    """The script without the lines that set these constants."""
    lines = SOURCES.files["train.py"].splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(tuple(f"{name} =" for name in names)))


@pytest.mark.parametrize("names", [(), ("MLP_RATIO",), ("VALUE_GATE", "MLP_RATIO"), ("DEPTH",)])
def test_an_edited_script_may_lose_constants_and_has_the_size_that_it_was_built_with(names: tuple[str, ...]) -> None:
    text = without(*names).replace("n-gram", "ngram")
    written = Variant("1A", (Rewrite("train.py", text),))
    [draft] = resolve(written)
    preflight.contract(draft, TRACK, SOURCES)
    assert draft.shapes == {}  # nobody has built its model
    [built] = resolve(replace(written, sizes={"mini": SIZE}))
    shown = [(one.params, one.flops_per_token, one.memory_mb, one.n_head) for one in built.shapes.values()]
    assert shown == ([] if "DEPTH" in names else [(1234, 5678, 910, 4)])


def test_an_edited_script_may_know_other_letters_of_windows() -> None:
    text = SOURCES.files["train.py"].replace('"window_pattern": "SSSL"', '"window_pattern": "MSML"')
    [one] = resolve(Variant("1A", (Rewrite("train.py", text),)))
    assert one.constants["TUNED.mini.window_pattern"] == "MSML"


def test_a_base_that_a_model_rewrote_has_the_size_that_it_was_built_with_and_bears_tables() -> None:
    text = without("MLP_RATIO")
    sources = replace(SOURCES, files={"train.py": text}, rewritten=True, sizes={"mini": SIZE})
    base = preflight.baseline(TRACK, sources)
    assert {profile: one.params for profile, one in base.shapes.items()} == {"mini": 1234}
    spec = Spec(Issue(3, "t", ""), "main", "table", (), None, None, None, (), "")
    [one] = preflight.variants(spec, TRACK, sources, [variant("1D", 8, 96)])
    assert one.shapes == {}  # the formulas do not describe it
    with pytest.raises(BadInput, match="no multiple of HEAD_DIM"):
        preflight.variants(spec, TRACK, sources, [variant("1D", 8, 97)])


def test_formulas_that_give_the_built_size_go_on_being_used() -> None:
    params = preflight.baseline(TRACK, SOURCES).shapes["mini"].params
    same = replace(SOURCES, rewritten=True, sizes={"mini": replace(SIZE, params=params)})
    assert preflight.baseline(TRACK, same).shapes == preflight.baseline(TRACK, SOURCES).shapes
    other = replace(same, sizes={"mini": SIZE})
    assert preflight.baseline(TRACK, other).shapes["mini"].params == 1234


def test_what_hides_what_it_reaches_may_be_mended_and_a_seed_may_not() -> None:
    text = SOURCES.files["train.py"]
    with pytest.raises(BadInput, match="hides from a reader what it reaches") as hidden:
        resolve(Variant("1A", (Rewrite("train.py", f"{text}eval('1')\n"),)))
    assert not isinstance(hidden.value, OffLimits)
    with pytest.raises(OffLimits, match="reaches what no experiment may"):
        resolve(Variant("1A", (Rewrite("train.py", f"{text}eval('1')\ntorch.manual_seed(7)\n"),)))

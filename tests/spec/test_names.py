"""What a name stands for: in its normal form, by an alias, as an entry of the profile that runs; else what to write."""

import pytest

from agent.core.experiment import Profile
from agent.spec.names import Unknown, Vocabulary, in_brackets, normal_form
from tests.spec.test_kinds import CONSTANTS, TRACK


def names(profile: Profile = "mini") -> Vocabulary:
    return Vocabulary(TRACK, CONSTANTS, profile)


@pytest.mark.parametrize(
    ("name", "form"),
    [("`DEPTH` (layers)", "depth"), ("Aspect ratio[^2]", "aspectratio"), ("n_layer\u00b9", "nlayer"), ("LR*", "lr"),
     ("TUNED.mini.matrix_lr", "tuned.mini.matrixlr"), ("#", "#"), ("\uff24epth:", "depth"), ("(all)", "all")],
)  # fmt: skip
def test_the_normal_form_of_a_name(name: str, form: str) -> None:
    assert normal_form(name) == form


def test_what_is_in_brackets() -> None:
    assert in_brackets("DEPTH (layers) [n]") == ["layers", "n"]


def test_an_entry_of_the_profile_goes_by_its_own_name_and_one_of_another_by_its_full_name() -> None:
    assert names().resolve("matrix_lr") == "TUNED.mini.matrix_lr"
    assert names("full").resolve("matrix lr") == "TUNED.full.matrix_lr"
    assert names().resolve("TUNED.full.matrix_lr") == "TUNED.full.matrix_lr"


def test_a_name_that_is_none_is_refused_with_the_nearest_and_one_that_is_absent_with_the_reason() -> None:
    wrong = names().resolve("DEPHT")
    assert isinstance(wrong, Unknown)
    assert "did you mean DEPTH?" in wrong.next_step
    absent = names().resolve("Dropout")
    assert isinstance(absent, Unknown)
    assert "nothing is dropped" in absent.problem
    assert "did you mean" not in absent.next_step
    assert names().is_absent("n_kv_head")
    assert not names().knows("n_kv_head")


def test_a_bracket_that_names_another_constant_leaves_a_doubt() -> None:
    assert isinstance(names().resolve("learning rate (embed)"), Unknown)
    assert names().resolve("learning rate (peak)") == "TUNED.mini.matrix_lr"

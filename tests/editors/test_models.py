"""models.yaml: its own prices are the published ones, and a file that is wrong is named with the field."""

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from agent.core.errors import BadInput
from agent.editors import models
from tests.support.project import ROOT, git


def test_our_file_can_be_read_and_prices_its_own_model() -> None:
    settings = models.read({})
    assert settings.price.input > 0
    assert {"claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"} <= settings.prices.keys()


@pytest.mark.parametrize(
    ("model", "given", "out"), [("opus", "4", "20"), ("sonnet", "2", "10"), ("haiku", "0.1", "0.5")]
)
def test_the_prices_are_those_that_anthropic_publishes(model: str, given: str, out: str) -> None:
    price = models.read({}).prices[f"claude-{model}-5-5"]
    assert (price.input, price.output) == (Decimal(given), Decimal(out))
    assert (price.cache_write, price.cache_read) == (price.input * Decimal("1.25"), price.input * Decimal("0.1"))


def test_a_long_prompt_has_its_own_rates_from_one_token_above_the_limit() -> None:
    price = models.read({}).prices["claude-haiku-5-5"]
    assert (price.rates(100_000).output, price.rates(100_001).output) == (Decimal("0.5"), Decimal("2.5"))


def test_the_command_line_comes_before_the_environment_and_that_before_the_file() -> None:
    environment = {"AUTORESEARCH_MODEL": "claude-haiku-5-5"}
    assert models.read(environment).model == "claude-haiku-5-5"
    assert models.read(environment, model="claude-opus-5-5").model == "claude-opus-5-5"
    assert models.read({}, max_usd=0.1).caps.usd_per_campaign == Decimal("0.1")


def test_a_model_without_a_price_is_refused_with_what_to_set() -> None:
    with pytest.raises(BadInput, match=r"no price for the model 'gpt-7'\n  set AUTORESEARCH_MODEL to one of claude-"):
        models.read({}, model="gpt-7")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("effort: high", "effort: heroic", "effort"),
        ("turns: 40", "turns: 0", "turns"),
        ("max_tokens: 32000", "", "max_tokens: Field required"),
        ("model: claude", "colour: red\nmodel: claude", "colour: Extra inputs"),
        ("input: 2.00", "input: -2.00", "prices.claude-sonnet-5-5.input"),
        ("input: 2.00", "input: .nan", "prices.claude-sonnet-5-5.input"),
        ("model:", "model: [", "is no YAML"),
    ],
)
def test_a_wrong_file_is_named_with_the_field(old: str, new: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(models.OURS.read_text().replace(old, new, 1))
    with pytest.raises(BadInput) as error:
        models.read({"AUTORESEARCH_MODELS_FILE": str(path)})
    assert problem in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(BadInput, match="cannot read the models"):
        models.read({"AUTORESEARCH_MODELS_FILE": "/nowhere.yaml"})


def test_the_packaged_harness_has_the_file() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["agent"]}  # all of the folder, whatever its files are called
    assert models.OURS.parent == ROOT / "agent" / "editors"
    assert git(ROOT, "ls-files", "agent/editors/models.yaml") != ""  # hatch leaves out what git ignores

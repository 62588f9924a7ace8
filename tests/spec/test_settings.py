"""The settings block: every key, and for each mistake the line and what to write."""

import pytest

from agent.core.experiment import Budget, Issue
from agent.spec.markdown import parse_issue
from agent.spec.settings import ListedClaim, Settings, read_settings
from tests.spec import test_kinds as kinds
from tests.spec.test_parser import TABLE, block, issue, parse, refusal


def read(text: str) -> Settings:
    return read_settings(parse_issue(Issue(7, "t", f"```yaml\n# autoresearch\n{text}\n```", source="i.md")))


def test_every_key_is_read_with_its_line() -> None:
    found = read(
        "track: main\nstrategy: table\nbudget: 5 minutes\ncap: 2 hours\nseeds: [1, 2]\ngate: lowest\nmin_gain: 0.01\n"
        "order: [1B]\nskip: {1C: too wide}\nonly: [1A, 1B]\ntable: [1, Phase 2]\ndescribe: [Notes]\n"
        "claims: [deeper is better]\nconfirm: true"
    )
    assert (found.track, found.strategy, found.budget) == ("main", "table", Budget("seconds", 300))
    assert (found.cap_s, found.seeds, found.gate, found.min_gain) == (7200, (1, 2), "lowest", 0.01)
    assert (found.order, found.skip, found.only) == (("1B",), {"1C": "too wide"}, ("1A", "1B"))
    assert (found.tables, found.describe, found.confirm) == ((1, "Phase 2"), ("Notes",), True)
    assert found.claims == (ListedClaim("deeper is better", 14),)
    assert (found.line("track"), found.line("confirm")) == (2, 15)


def test_variants_a_grid_and_a_number_of_proposals() -> None:
    [one] = read("variants:\n  - id: 1A\n    set: {DEPTH: 10}\n    why: wider").variants
    assert (one.name, one.values, one.why, one.line) == ("1A", {"DEPTH": 10}, "wider", 3)
    assert read("variants: 5").proposals == 5
    assert read("grid: {DEPTH: [6, 8]}").grid == {"DEPTH": (6, 8)}
    assert read("baseline_only: true\nseeds: [1]").baseline_only


@pytest.mark.parametrize(
    ("text", "problem", "where", "step"),
    [("order: [1Z]", "order: 1Z is no variant", "i.md:10", "the IDs are 1A, 1B"),
     ("skip: [1A, 1B, 1C, 1D]", "every variant is left out", "i.md", "leave one in"),
     ("table: 2", "table: 2 is no table with an ID column", "i.md:10", "tables with an ID column: 1 (i.md:1"),
     ("baseline_only: true", "there are variants", "i.md:10", "take one of the two out"),
     ("grid: {DEPTH: [6]}\ntable: 1", "both say what the variants are", "i.md:11", "keep one"),
     ("grid: {DEPHT: [6]}", "train.py has no constant DEPHT", "i.md:10", "did you mean DEPTH?"),
     ("grid: {DEPTH: [6.5]}", "grid, DEPTH: '6.5' is not a whole number", "i.md:10", "such as 8"),
     ("grid: {DEPTH: [6], depth: [7]}", "grid gives DEPTH twice", "i.md:10", "keep one"),
     ("grid: {DEPTH: [6, 6]}", "grid, DEPTH gives 6 twice", "i.md:10", "keep one"),
     ("variants: [{id: 1A, set: {DEPTH: 6, depth: 7}}]", "variant 1A gives DEPTH twice", "i.md:10", "keep one"),
     ("order: [1B]\nskip: [1b]", "both name 1b", "i.md:11", "keep one"),
     ("min_gain: .inf", "min_gain: ", "i.md:10", "keys: track"),
     ("space: {DEPTH: [6]}", "space: is for the strategies", "i.md:10", "grid:"),
     ("min_gian: 0.1", "unknown key 'min_gian'", "i.md:10", "did you mean min_gain?")],
)  # fmt: skip
def test_a_mistake_in_the_block_is_refused_with_its_line(text: str, problem: str, where: str, step: str) -> None:
    error = refusal(issue(block(text)))
    assert problem in error.problem
    assert error.where == where
    assert step in error.next_step


def test_the_block_outranks_the_prose() -> None:
    spec = parse(block("order: [1B]\nskip: [1D]\nmin_gain: 0.5") + "\n## Execution\n\nRun 1C, 1A first, maybe.")
    assert spec.order == ("1B", "1A", "1C")
    assert spec.min_gain == 0.5
    assert TABLE in spec.issue.body


def test_what_is_shown_of_a_key_is_all_of_it() -> None:
    spec = kinds.read(f"{kinds.TABLE}\n```yaml\n# autoresearch\nskip:\n  - 1B\nbudget: 20\n```\n")
    shown = {one.means: one.text for one in spec.read_as if one.means.startswith("settings block")}
    assert shown == {"settings block: skip": "skip: - 1B", "settings block: budget": "budget: 20"}


@pytest.mark.parametrize(
    "block",
    ["```yaml\nbudget: 300\nmodel: gpt\n```", '```json\n{"seeds": [1], "x": 2}\n```', "```toml\ngate = 'lowest'\n```",
     "```ini\n[run]\nbudget = 300\n```", "    budget: 300\n    lr: 0.1"],
)  # fmt: skip
def test_a_key_of_the_block_in_another_block_is_refused(block: str) -> None:
    assert "# autoresearch" in kinds.refused(f"{kinds.TABLE}\nSettings:\n\n{block}\n")


def test_other_code_is_let_be() -> None:
    code = "```text\nbudget: 300\n```\n\n```python\nDEPTH = <value>\n```"
    assert kinds.read(f"{kinds.TABLE}\n{code}\n").budget is None

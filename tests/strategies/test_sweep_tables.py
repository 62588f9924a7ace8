"""The tables of a sweep: every cell is where its column says."""

from agent.core.trials import Table
from agent.strategies.effects import score_names
from agent.strategies.factors import design_of
from agent.strategies.sweep_tables import level_table, pair_table, spread_table
from tests.strategies.test_factors import SWEEP, grid, question
from tests.strategies.test_sweep import measured

DESIGN = design_of(question(SWEEP), measured())


def row(table: Table, *first: str) -> dict[str, str]:
    """The row that begins so, by column; the first column of a name holds it."""
    cells = next(cells for cells in table.rows if cells[: len(first)] == first)
    assert len(cells) == len(table.head)
    return dict(zip(reversed(table.head), reversed(cells), strict=True))


def test_a_factor_has_its_spread_its_best_level_and_what_parameters_are_worth_along_it() -> None:
    table = spread_table(DESIGN, DESIGN.spreads())
    depth = row(table, "DEPTH")
    assert (depth["levels"], depth["spread"], depth["best"]) == ("2, 8, 12", "0.1300", "12")
    assert depth["gain a million parameters"] == "+0.0165"  # 0.13 over 7.9 million
    assert depth["slowest / fastest step"] == "5.94"
    assert row(table, "ACT")["gain a million parameters"] == "–"
    assert "+" not in depth["spread"]


def test_a_level_has_its_gain_on_the_level_before_its_cost_and_the_scores_of_its_samples() -> None:
    table = level_table(DESIGN)
    assert [cells[:3] for cells in table.rows[:3]] == [
        ("DEPTH", "2", "D2"), ("DEPTH", "8", "baseline"), ("DEPTH", "12", "D12"),
    ]  # fmt: skip
    middle = row(table, "DEPTH", "8")
    assert (middle["gain on the level before"], middle["parameters"], middle["ms a step"]) == (
        "+0.1200",
        "6,300,000",
        "63.0",
    )
    assert (middle["gain a million"], middle["valid_words"]) == ("+0.0255", "0.9000")
    assert row(table, "DEPTH", "2")["gain on the level before"] == "–"


def test_what_every_run_reports_is_no_score() -> None:
    assert score_names(DESIGN.trials) == ["valid_words"]


def test_a_pair_has_the_sum_of_its_factors_beside_its_value() -> None:
    [cells] = pair_table(grid(2.2, 2.0, 2.05, 1.9)).rows
    assert cells[:2] == ("G2", "DEPTH=12 WIDTH=128")
    assert cells[4:6] == ("2.1000", "+0.0500")

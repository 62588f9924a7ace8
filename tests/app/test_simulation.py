"""--simulate as a command: what is asked for is what is simulated."""

import argparse

import pytest

from agent.app import options, simulation
from agent.core.errors import BadInput


def read(*argv: str) -> argparse.Namespace:
    return options.parser().parse_args(["--simulate", *argv])


def test_every_option_of_a_scenario_is_read() -> None:
    scenario = simulation.read_scenario(read("--gain", "2", "--rho", "0.8", "--reused", "3", "--known", "10"))
    assert (scenario.gain, scenario.rho, scenario.reused, scenario.known) == (2.0, 0.8, 3, 10)


@pytest.mark.parametrize(
    "argv",
    [
        ("--variants", "0"),
        ("--campaigns", "0"),
        ("--rho", "1.5"),
        ("--tail", "2"),
        ("--spread", "0"),
        ("--gain", "nan"),
    ],
)
def test_what_cannot_be_simulated_is_refused(argv: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="nothing to simulate"):
        simulation.read_scenario(read(*argv))


def test_all_nulls_are_rows_of_one_table() -> None:
    rows, text = simulation.run(read("--nulls", "--campaigns", "2"))
    assert isinstance(rows, dict)
    assert all(name in text for name in rows)
    assert len(rows) > 10

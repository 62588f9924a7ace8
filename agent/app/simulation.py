"""--simulate: the gate on noise, of one scenario or of all that may be otherwise where nothing is better."""

import argparse
import math
from dataclasses import asdict, fields

from agent.campaign.rules import rules_of
from agent.core.errors import BadInput
from agent.gate.simulate import Scenario, Simulation, nulls, simulate, table
from agent.tracking.board import columns


def run(args: argparse.Namespace) -> tuple[object, str]:
    """Return what was simulated, for a program and for a person. Raises BadInput for what cannot be."""
    scenario, rules = read_scenario(args), rules_of(args.gate or "confirmed")
    if not args.nulls:
        result = simulate(rules, scenario, args.campaigns, args.seed)
        return asdict(result), _lines(result)
    results = {name: simulate(rules, one, args.campaigns, args.seed) for name, one in nulls(scenario).items()}
    return {name: asdict(one) for name, one in results.items()}, columns(table(results))


def read_scenario(args: argparse.Namespace) -> Scenario:
    """Return what is to be simulated. Raises BadInput for what is no number of runs, share or correlation."""
    scenario = Scenario(**{one.name: getattr(args, one.name) for one in fields(Scenario)})
    problem = _problem_of(scenario)
    if problem or args.campaigns < 1:
        raise BadInput("nothing to simulate", next_step=problem or "--campaigns from 1")
    return scenario


def _problem_of(one: Scenario) -> str:
    lengths = (one.gain, one.shift, one.drift, one.worse, one.spread)
    problems = {
        "--variants and --campaigns from 1": one.variants < 1,
        "--gain, --shift, --drift, --worse and --spread are numbers of sigmas, --spread above 0": not all(
            math.isfinite(length) for length in lengths
        )
        or one.spread <= 0,
        "--rho from 0 to 1, --outliers from 0 to 1": not (0 <= one.rho <= 1 and 0 <= one.outliers <= 1),
        "--known and --reused from 0; --tail 0 (normal) or above 2": min(one.known, one.reused) < 0
        or one.tail in (1, 2)
        or one.tail < 0,
    }
    return next((advice for advice, wrong in problems.items() if wrong), "")


def _lines(result: Simulation) -> str:
    return "\n".join(f"{name}: {'–' if value is None else f'{value:.4f}'}" for name, value in asdict(result).items())

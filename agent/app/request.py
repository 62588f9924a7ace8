"""The request that a command line makes of an issue. What an issue may choose, it leaves open."""

import argparse
import os
from pathlib import Path

from agent.campaign.plan import CampaignRequest
from agent.core.errors import BadInput
from agent.core.experiment import Profile
from agent.core.records import ProposalRecord
from agent.execution import machine
from agent.execution.machine import Machine
from agent.spec import amounts, preflight
from agent.store.ledger import Ledger


def make_request(args: argparse.Namespace, machine: Machine, issue: int) -> CampaignRequest:
    """Return what the user asks of an issue. Raises BadInput for a choice that there is not."""
    return CampaignRequest(
        issue=issue,
        profile=choose_profile(args, machine.profile),
        corpus=_corpus(named) if (named := args.corpus or os.environ.get("AUTORESEARCH_CORPUS")) else None,
        budget=amounts.parse_budget(args.budget) if args.budget else None,
        clock=args.clock,
        gate=args.gate,
        committed=args.committed,
        retry=args.retry,
        confirm=args.confirm,
        in_series=args.loop or args.queue,
    )


def choose_profile(args: argparse.Namespace, default: Profile) -> Profile:
    """Return the profile of the command line, else of the environment, else `default`. Raises BadInput."""
    name = args.profile or os.environ.get("AUTORESEARCH_PROFILE") or default
    if name not in preflight.PROFILES:
        raise BadInput(f"AUTORESEARCH_PROFILE is {name!r}", next_step=f"profiles: {', '.join(preflight.PROFILES)}")
    return name


def _corpus(name: str) -> str:
    """Return a corpus whose path holds in any run's folder: a file is looked for here, then in AUTORESEARCH_DATA."""
    kind, _, path = name.partition(":")
    if kind != "file":
        return name
    if not path:
        raise BadInput("corpus file: names no file", next_step="give its path: --corpus file:texts/mine.txt")
    data = machine.folder("AUTORESEARCH_DATA") or Path()
    places = [machine.expanded("--corpus", path), data / path]
    place = next((place for place in places if place.exists()), places[0])
    return f"file:{place.resolve()}"


def last_request(issue: int, ledger: Ledger) -> CampaignRequest:
    """Return the request that an issue's latest campaign answered. Raises BadInput where there was none."""
    campaigns = ledger.campaigns(issue)
    if not campaigns and (failed := [one for one in ledger.records_of(ProposalRecord, issue) if not one.accepted]):
        refused = "; ".join(f"{one.variant}: {one.failure}" for one in failed)
        raise BadInput(
            f"issue {issue} has had no campaign; refused: {refused}", next_step="ask for another round: --retry"
        )
    if not campaigns:
        raise BadInput(f"issue {issue} has not run in this clone", next_step=f"run it: agent/run.py --issue {issue}")
    conditions = campaigns[-1].conditions
    return CampaignRequest(
        issue=issue,
        profile=conditions.profile,
        corpus=conditions.corpus.rpartition(":")[0],
        budget=conditions.budget,
        clock=None if conditions.clock == "steps" else conditions.clock,
        gate=campaigns[-1].gate.kind,
        committed=True,
        answered=True,
    )

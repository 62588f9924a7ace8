"""What a campaign asks of its strategy: the next step, and in the end the conclusion. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Protocol

from agent.core.experiment import GateRules
from agent.core.frozen import frozen
from agent.core.trials import Candidate, Findings, Picture, Question
from agent.gate.history import Measurement, Replicates
from agent.gate.results import GateResult
from agent.gate.schedule import ScheduledRun


@frozen(kw_only=True)
class CampaignState:
    """All that a strategy may know of a campaign: the same state always gives the same step and conclusion.

    order: the names of all candidates, those of the issue first. measurements: of the gate, in the order in which they
    were made. explored: those of them that an exploration may see; what the gate asked for afterwards is not among
    them. candidates: those that the strategy has added. refused: why a candidate cannot run, by name. metrics: what a
    candidate's runs report, each the mean over them. groups: replicates of other models, by seed: they sharpen
    sigma, and tell what seeds share.
    """

    question: Question
    rules: GateRules
    order: Sequence[str]
    measurements: Sequence[Measurement] = ()
    explored: Sequence[Measurement] = ()
    candidates: Sequence[Candidate] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    groups: Sequence[Replicates] = ()


@frozen
class CampaignStep:
    """What is to be done next: candidates that are new, else runs; with neither the strategy can conclude.

    All runs of one step are needed whatever the others say, so they may run at the same time.
    """

    candidates: tuple[Candidate, ...] = ()
    runs: tuple[ScheduledRun, ...] = ()


@frozen
class Conclusion:
    """What a campaign comes to: the gate's result, and what the strategy has found beside it."""

    result: GateResult
    findings: Findings | None = None


class Strategy(Protocol):
    """Chooses what runs next, and says what it showed. The state is the campaign's, so resuming is free."""

    def check(self, question: Question) -> None:
        """Raise BadInput for what cannot be run, before anything is."""

    def next_step(self, state: CampaignState) -> CampaignStep:
        """Return what is to be done next; an empty step when `conclude` can speak."""

    def conclude(self, state: CampaignState) -> Conclusion:
        """Return what the runs show. Raises ValueError while the gate still asks for runs."""

    def findings(self, state: CampaignState) -> Findings | None:
        """Return what is known beside the gate's result, at any time; None where there is nothing beside it."""

    def pictures(self, state: CampaignState) -> tuple[Picture, ...]:
        """Return what a reader is to see of what is known beside the gate's result."""

    def size(self, question: Question, rules: GateRules, variants: int) -> int:
        """Return the most runs that a campaign with so many variants takes when none fails and none is contended."""

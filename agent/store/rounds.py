"""The rounds of an issue in prose: an editor's ideas, what became of each, and what was tried before. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from string import ascii_uppercase

from agent.core.experiment import BASELINE, Rewrite, Variant
from agent.core.frozen import frozen
from agent.core.proposals import Idea, PastAttempt
from agent.core.records import CampaignRecord, ProposalRecord, RoundRecord
from agent.core.runs import Verdict
from agent.core.sizes import ModelSize
from agent.store.ledger import Ledger
from agent.store.repository import Repository


@frozen
class Round:
    """One round, numbered from 1: its ideas, each to be tried on `base`, and the proposals made of them so far.

    `ideas_received` is False until an editor has answered; `failure` then says why there are no ideas.
    """

    number: int
    base: str
    ideas_received: bool = False
    ideas: tuple[Idea, ...] = ()
    failure: str = ""
    proposals: tuple[ProposalRecord, ...] = ()
    at: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> tuple[ProposalRecord, ...]:
        return tuple(one for one in self.proposals if one.accepted)

    @property
    def open_ideas(self) -> tuple[Idea, ...]:
        """The ideas that have no proposal yet."""
        done = {one.variant for one in self.proposals}
        return tuple(idea for idea in self.ideas if idea.name not in done)

    @property
    def complete(self) -> bool:
        return self.ideas_received and not self.open_ideas


@frozen
class ProposalRow:
    """A proposal for a reader: the variant's name, what it is for, and what became of it."""

    name: str
    summary: str
    outcome: str


@frozen
class RoundRow:
    """A round for a reader: its number, the names of its variants, and what came of them."""

    number: int
    variants: str
    outcome: str


def name_ideas(ideas: Sequence[Idea], number: int) -> tuple[Idea, ...]:
    """Return the ideas of round `number` under the names of their variants: 1A, 1B, ..."""
    return tuple(replace(idea, name=f"{number}{letter}") for letter, idea in zip(ascii_uppercase, ideas, strict=False))


def all_rounds(ledger: Ledger, issue: int, body_sha256: str) -> list[Round]:
    """Return the rounds of the issue as its body is now, oldest first."""
    proposals: dict[int, list[ProposalRecord]] = {}
    for one in ledger.records_of(ProposalRecord, issue):
        proposals.setdefault(one.round, []).append(one)
    return [
        Round(
            number=record.round,
            base=record.base,
            ideas_received=True,
            ideas=record.ideas,
            failure=record.failure,
            proposals=tuple(proposals.get(record.round, ())),
            at=record.at,
            pins=record.pins,
        )
        for record in ledger.records_of(RoundRecord, issue)
        if record.body_sha256 == body_sha256
    ]


def next_number(ledger: Ledger, issue: int) -> int:
    """Return the number of the next round: never one that an earlier body of the issue had, for its branches stay."""
    return max((one.round for one in ledger.records_of(RoundRecord, issue)), default=0) + 1


def campaign_of(ledger: Ledger, issue: int, round: Round) -> CampaignRecord | None:
    """Return the latest campaign of a round."""
    campaigns = [one for one in ledger.campaigns(issue) if one.round == round.number]
    return campaigns[-1] if campaigns else None


def is_finished(ledger: Ledger, issue: int, round: Round) -> bool:
    """Return whether a round has nothing left to do: all its ideas are refused, or its campaign has its verdict."""
    if not round.complete:
        return False
    campaign = campaign_of(ledger, issue, round)
    return not round.accepted or (campaign is not None and ledger.verdict(campaign) is not None)


def accepted_variants(repo: Repository, round: Round) -> tuple[Variant, ...]:
    """Return the accepted proposals of a round as variants, each with the commit that it was tried as."""
    ideas = {idea.name: idea for idea in round.ideas}
    return tuple(_variant(repo, round.base, one, ideas[one.variant]) for one in round.accepted)


def _variant(repo: Repository, base: str, proposal: ProposalRecord, idea: Idea) -> Variant:
    edits = (Rewrite(path, repo.read(proposal.commit, path) or "") for path in repo.changed(base, proposal.commit))
    return Variant(
        name=proposal.variant,
        edits=tuple(edits),
        why=rationale(idea, proposal.summary),
        where=f"proposal {proposal.variant}",
        usd=proposal.usd,
        commit=proposal.commit,
        sizes=proposal.sizes,
    )


def rationale(idea: Idea, summary: str = "") -> str:
    """Return what a variant is for, in its author's words; of an untitled idea, the `summary` of its draft."""
    if not idea.title:
        return summary
    expected = f" (expected: {idea.expected})" if idea.expected else ""
    return f"{idea.title}: {idea.hypothesis}{expected}" if idea.hypothesis else f"{idea.title}{expected}"


# --- what was tried before --------------------------------------------------------------------------------


def past_attempts(ledger: Ledger, track: str) -> list[PastAttempt]:
    """Return what was tried on a track and how it ended, oldest first: judged variants and refused proposals."""
    descriptions = {run.commit: run.description for run in ledger.runs()}
    attempts: list[tuple[str, PastAttempt]] = []
    for campaign in ledger.campaigns():
        record = ledger.verdict(campaign) if campaign.conditions.track == track else None
        if record is not None:
            attempts += [(record.at, _judged(campaign, one, descriptions)) for one in record.variants]
    for issue in sorted(ledger.issues(RoundRecord)):
        attempts += _refused(ledger, issue, track)
    return [attempt for _, attempt in sorted(attempts, key=lambda pair: pair[0])]


def _judged(campaign: CampaignRecord, verdict: Verdict, descriptions: Mapping[str, str]) -> PastAttempt:
    name = verdict.variant or BASELINE
    summary = descriptions.get(campaign.commits.get(name, ""), "")
    return PastAttempt(f"#{campaign.issue} {name}", summary, _effect(verdict, campaign))


def _effect(verdict: Verdict, campaign: CampaignRecord) -> str:
    """Return the decision, and the gain with its bounds where there are some."""
    if verdict.gain is None:
        return f"{verdict.decision}: {verdict.reason}"
    bounds = f" (90 %: {verdict.interval[0]:+.4f} to {verdict.interval[1]:+.4f})" if verdict.interval else ""
    conditions = campaign.conditions
    return f"{verdict.decision}: gain {verdict.gain:+.4f}{bounds}, {conditions.profile}, {conditions.budget}"


def _refused(ledger: Ledger, issue: int, track: str) -> list[tuple[str, PastAttempt]]:
    """Return the refused proposals of an issue, each with its time."""
    own = [one for one in ledger.records_of(RoundRecord, issue) if one.track == track]
    titles = {idea.name: idea.title for one in own for idea in one.ideas}
    refused = [one for one in ledger.records_of(ProposalRecord, issue) if not one.accepted and one.variant in titles]
    return [
        (one.at, PastAttempt(f"#{issue} {one.variant}", titles[one.variant] or one.summary, f"refused: {one.failure}"))
        for one in refused
    ]


def sizes_of(ledger: Ledger, tree: str) -> Mapping[str, ModelSize]:
    """Return the sizes of a tree's model, by profile, as the proposal that it was has them; none where it was none."""
    proposals = (one for issue in ledger.issues(ProposalRecord) for one in ledger.records_of(ProposalRecord, issue))
    return next((one.sizes for one in proposals if one.tree == tree and one.sizes), {})


def duplicate_of(ledger: Ledger, tree: str) -> str | None:
    """Return the variant that had this very tree, with its issue: it ran, or was refused."""
    ran = next((f"{run.variant} of issue {run.issue}" for run in ledger.runs() if run.tree == tree), None)
    if ran:
        return ran
    proposals = (one for issue in ledger.issues(ProposalRecord) for one in ledger.records_of(ProposalRecord, issue))
    return next((f"{one.variant} of issue {one.issue}" for one in proposals if one.tree == tree), None)


# --- for a reader -----------------------------------------------------------------------------------------


def proposal_rows(round: Round) -> tuple[ProposalRow, ...]:
    """Return the proposals of a round."""
    ideas = {idea.name: idea for idea in round.ideas}
    return tuple(
        ProposalRow(
            name=one.variant,
            summary=rationale(ideas[one.variant], one.summary),
            outcome="a variant" if one.accepted else f"refused: {one.failure}",
        )
        for one in round.proposals
    )


def round_rows(ledger: Ledger, issue: int, body_sha256: str) -> tuple[RoundRow, ...]:
    """Return every round of an issue, oldest first."""
    campaigns = {one.round: one for one in ledger.campaigns(issue)}
    return tuple(
        RoundRow(
            number=round.number,
            variants=", ".join(idea.name for idea in round.ideas) or "–",
            outcome=_outcome(ledger, round, campaigns.get(round.number)),
        )
        for round in all_rounds(ledger, issue, body_sha256)
    )


def _outcome(ledger: Ledger, round: Round, campaign: CampaignRecord | None) -> str:
    record = ledger.verdict(campaign) if campaign else None
    if record is not None:
        verdict = record.verdict
        gain = "" if verdict.gain is None else f", gain {verdict.gain:+.4f}"
        return f"{verdict.decision}{f' {verdict.variant}' if verdict.variant else ''}{gain}"
    if round.accepted or not round.complete:
        return "under way"
    return round.failure or (f"nothing to run: {round.proposals[-1].failure}" if round.proposals else "")

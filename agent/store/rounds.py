"""The rounds of an issue in prose: an editor's ideas, what became of each, and what was tried before. Reads only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase

from agent.core.experiment import BASELINE, Rewrite, Variant
from agent.core.proposals import Idea, PastAttempt
from agent.core.records import CampaignRecord, ProposalRecord, RoundRecord
from agent.core.runs import Verdict
from agent.store.ledger import Ledger
from agent.store.repository import Repository


@dataclass(frozen=True)
class Round:
    """One round, numbered from 1: its ideas, each to be tried on `base`, and those that have ended.

    `thought` is False until an editor has been asked; `failure` then says why there are no ideas.
    """

    number: int
    base: str
    thought: bool = False
    ideas: tuple[Idea, ...] = ()
    failure: str = ""
    proposals: tuple[ProposalRecord, ...] = ()
    at: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> tuple[ProposalRecord, ...]:
        return tuple(one for one in self.proposals if one.accepted)

    @property
    def open(self) -> tuple[Idea, ...]:
        """The ideas that are still to be written."""
        ended = {one.variant for one in self.proposals}
        return tuple(idea for idea in self.ideas if idea.name not in ended)

    @property
    def complete(self) -> bool:
        return self.thought and not self.open


def named(ideas: Sequence[Idea], number: int) -> tuple[Idea, ...]:
    """The ideas of round `number` by their variants' names: 1A, 1B, ..."""
    return tuple(
        Idea(f"{number}{letter}", idea.title, idea.hypothesis, idea.expected)
        for letter, idea in zip(ascii_uppercase, ideas, strict=False)
    )


def all_rounds(ledger: Ledger, issue: int, body_sha256: str) -> list[Round]:
    """The rounds that the issue had as its body is now, oldest first."""
    proposals = ledger.records_of(ProposalRecord, issue)
    return [
        Round(
            one.round,
            one.base,
            True,
            one.ideas,
            one.failure,
            tuple(proposal for proposal in proposals if proposal.round == one.round),
            one.at,
            one.pins,
        )
        for one in ledger.records_of(RoundRecord, issue)
        if one.body_sha256 == body_sha256
    ]


def next_number(ledger: Ledger, issue: int) -> int:
    """The number of the next round: never one that an earlier body of the issue had, for its branches are there."""
    return max((one.round for one in ledger.records_of(RoundRecord, issue)), default=0) + 1


def campaign(ledger: Ledger, issue: int, turn: Round) -> CampaignRecord | None:
    """The latest campaign of a round."""
    ran = [one for one in ledger.campaigns(issue) if one.round == turn.number]
    return ran[-1] if ran else None


def is_finished(ledger: Ledger, issue: int, turn: Round) -> bool:
    """Whether a round has nothing left to do: all its ideas refused, or its campaign has its verdict."""
    if not turn.complete:
        return False
    ran = campaign(ledger, issue, turn)
    return not turn.accepted or (ran is not None and ledger.verdict(ran) is not None)


def variants(repo: Repository, turn: Round) -> tuple[Variant, ...]:
    """The accepted proposals of a round, as variants like any other."""
    ideas = {idea.name: idea for idea in turn.ideas}
    return tuple(_variant(repo, turn.base, one, ideas[one.variant]) for one in turn.accepted)


def _variant(repo: Repository, base: str, one: ProposalRecord, idea: Idea) -> Variant:
    files = {path: repo.read(one.commit, path) or "" for path in repo.changed(base, one.commit)}
    edits = tuple(Rewrite(path, text) for path, text in files.items())
    return Variant(one.variant, edits, why=why(idea, one.summary), where=f"proposal {one.variant}", usd=one.usd)


def why(idea: Idea, said: str = "") -> str:
    """What a variant is for, in its author's words."""
    if not idea.title:
        return said
    expected = f" (expected: {idea.expected})" if idea.expected else ""
    return f"{idea.title}: {idea.hypothesis}{expected}" if idea.hypothesis else f"{idea.title}{expected}"


def past_attempts(ledger: Ledger, track: str) -> list[PastAttempt]:
    """What was tried on a track and what came out, oldest first: judged variants, and proposals that were refused."""
    told: list[tuple[str, PastAttempt]] = []
    for one in ledger.campaigns():
        record = ledger.verdict(one) if one.conditions.track == track else None
        told += [(record.at, _judged(ledger, one, said)) for said in record.variants] if record else []
    for issue in sorted(ledger.issues(RoundRecord)):
        told += _refused(ledger, issue, track)
    return [one for _, one in sorted(told, key=lambda pair: pair[0])]


def _judged(ledger: Ledger, asked: CampaignRecord, said: Verdict) -> PastAttempt:
    name = said.variant or BASELINE
    runs = [run for run in ledger.runs() if run.commit == asked.commits.get(name)]
    what = runs[-1].description if runs else ""
    return PastAttempt(f"#{asked.issue} {name}", what, _effect(said, asked))


def _effect(said: Verdict, asked: CampaignRecord) -> str:
    """The decision, and the gain with its bounds where there are some."""
    if said.gain is None:
        return f"{said.decision}: {said.reason}"
    bounds = f" (90 %: {said.interval[0]:+.4f} to {said.interval[1]:+.4f})" if said.interval else ""
    return f"{said.decision}: gain {said.gain:+.4f}{bounds}, {asked.conditions.profile}, {asked.conditions.budget}"


def _refused(ledger: Ledger, issue: int, track: str) -> list[tuple[str, PastAttempt]]:
    own = [one for one in ledger.records_of(RoundRecord, issue) if one.track == track]
    ideas = {idea.name: idea for one in own for idea in one.ideas}
    found = [one for one in ledger.records_of(ProposalRecord, issue) if not one.accepted and one.variant in ideas]
    return [
        (
            one.at,
            PastAttempt(f"#{issue} {one.variant}", ideas[one.variant].title or one.summary, f"refused: {one.failure}"),
        )
        for one in found
    ]


def proposal_rows(turn: Round) -> list[tuple[str, str, str]]:
    """The proposals of a round for a reader: name, what, what became of it."""
    ideas = {idea.name: idea for idea in turn.ideas}
    return [
        (one.variant, why(ideas[one.variant], one.summary), "a variant" if one.accepted else f"refused: {one.failure}")
        for one in turn.proposals
    ]


def history(ledger: Ledger, issue: int, body_sha256: str) -> list[tuple[str, str, str]]:
    """Every round of an issue for a reader, oldest first: number, what was tried, what came of it."""
    return [
        (str(turn.number), ", ".join(idea.name for idea in turn.ideas) or "–", _came(ledger, issue, turn))
        for turn in all_rounds(ledger, issue, body_sha256)
    ]


def _came(ledger: Ledger, issue: int, turn: Round) -> str:
    ran = campaign(ledger, issue, turn)
    record = ledger.verdict(ran) if ran else None
    if record is not None:
        said = record.verdict
        gain = "" if said.gain is None else f", gain {said.gain:+.4f}"
        return f"{said.decision}{f' {said.variant}' if said.variant else ''}{gain}"
    if turn.accepted or not turn.complete:
        return "under way"
    return turn.failure or f"nothing to run: {turn.proposals[-1].failure}" if turn.proposals else turn.failure


def duplicate_of(ledger: Ledger, tree: str) -> str | None:
    """The variant that had this very tree, with its issue: it ran, or was refused."""
    ran = next((f"{run.variant} of issue {run.issue}" for run in ledger.runs() if run.tree == tree), None)
    if ran:
        return ran
    said = [one for issue in ledger.issues(ProposalRecord) for one in ledger.records_of(ProposalRecord, issue)]
    return next((f"{one.variant} of issue {one.issue}" for one in said if one.tree == tree), None)

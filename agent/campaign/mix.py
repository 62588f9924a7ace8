"""An editor of whose proposals a share are points of a space: search proposes them, and no model is asked."""

from pathlib import Path

from agent.campaign.plan import Plan
from agent.core.experiment import SetConstant
from agent.core.proposals import Brief, Draft, Idea, Ideas
from agent.core.protocols import Editor
from agent.core.trials import Candidate, Trial
from agent.core.values import parse_as
from agent.gate.history import HUGE, sign
from agent.spec import edits
from agent.store import rounds
from agent.store.ledger import Ledger
from agent.strategies import search
from agent.strategies.question import read_question

BY_SEARCH = "proposed by search"  # the hypothesis of its ideas


class MixedEditor:
    """Search's points first, then the ideas of another editor; each is drafted by whoever had it."""

    def __init__(self, editor: Editor, plan: Plan, ledger: Ledger) -> None:
        """Raises BadInput where a search cannot be made: its space, or what is not installed."""
        self._editor, self._plan, self._ledger = editor, plan, ledger
        self._question = read_question(plan.spec, (), plan.rules.seeds, plan.baseline.constants)
        search.check(self._question)

    def ideas(self, brief: Brief, count: int, folder: Path) -> Ideas:
        """Return the ideas of both; at least one is search's."""
        share = max(1, int(count * self._plan.spec.mix))
        points = search.proposals(self._question, self._trials(), share)
        own = tuple(Idea("", _title(one), BY_SEARCH, "") for one in points)
        if len(own) == count:
            return Ideas(own)
        rest = self._editor.ideas(brief, count - len(own), folder)
        return Ideas((*own, *rest.ideas), rest.failure)

    def write(self, brief: Brief, idea: Idea, failure: str, folder: Path) -> Draft:
        """Return the change: constants for a point of the space, which cannot be mended."""
        if idea.hypothesis != BY_SEARCH:
            return self._editor.write(brief, idea, failure, folder)
        if failure:
            return Draft(failure="a point of the space has nothing to mend")
        files = edits.apply(brief.files, self._edits(idea), self._plan.track.editable)
        return Draft(files, idea.title)

    def _edits(self, idea: Idea) -> tuple[SetConstant, ...]:
        constants, script = self._plan.baseline.constants, self._plan.track.script
        pairs = (word.partition("=") for word in idea.title.split())
        return tuple(SetConstant(script, name, parse_as(value, constants[name])) for name, _, value in pairs)

    def _trials(self) -> list[Trial]:
        """Return search's points of earlier rounds on the same base, with what their runs gave."""
        known = rounds.all_rounds(self._ledger, self._plan.spec.issue.number, self._plan.spec.body_sha256)
        return [
            self._trial(idea, {one.variant: one.commit for one in round.proposals}.get(idea.name, ""))
            for round in known
            if round.base == self._plan.round.base
            for idea in round.ideas
            if idea.hypothesis == BY_SEARCH
        ]

    def _trial(self, idea: Idea, commit: str) -> Trial:
        direction = sign(self._plan.rules)
        runs = [run for run in self._ledger.runs_of_commit(commit) if commit and run.role != "probe"]
        values = {run.seed: direction * run.metric for run in runs if run.metric is not None and abs(run.metric) < HUGE}
        sets = {edit.name: edit.value for edit in self._edits(idea)}
        return Trial(
            candidate=Candidate(name=idea.name, sets=sets), values=values, failure="" if values else "it has no value"
        )


def _title(candidate: Candidate) -> str:
    return " ".join(f"{name}={value}" for name, value in candidate.sets.items())

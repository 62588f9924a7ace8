"""From an issue in prose to variants: an editor's ideas, each written, checked before any GPU time, and recorded."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent import heed, preflight, prompt, rounds, runs
from agent.account import Capped
from agent.core import BadInput, Brief, Idea, NothingToRun, Result, Rewrite, Variant
from agent.failpoints import reach
from agent.money import spent
from agent.parts import Parts, now
from agent.planning import Plan, check_memory, message, sources_at
from agent.protocols import Editor, Notice
from agent.records import ProposalRecord, RoundRecord, SpendRecord
from agent.rounds import Round
from agent.strategies.freeform import Checked, Written, written
from agent.untrusted import line, posted, secrets

RULES = "program.md"
TAIL = 3000  # characters of a failed run's log that its editor is shown
SAID_CAP = 300  # of an editor's own words, in its record
FAILURE_CAP = 600  # of why a proposal was refused, in its record


def propose(parts: Parts, plan: Plan, editor: Editor, guidance: str = "") -> None:
    """Bring the plan's round to its end: ideas, then a proposal of each. What the ledger has is not done again.

    Raises Paused where money or time is used up, NothingToRun where the editor had no idea or none could be used.
    """
    check(plan)
    told = brief(parts, plan, guidance)
    heed.check_stopped(parts, plan)
    corpus = runs.prepared(parts, plan)  # first: without it nothing that is paid for could run
    turn = plan.turn if plan.turn.thought else _think(parts, plan, editor, told, corpus)
    for idea in turn.open:
        heed.check_stopped(parts, plan)
        _write(parts, plan, editor, told, _Trial(parts, plan, idea, corpus))
    done = rounds.every(parts.ledger, plan.spec.issue.number, plan.spec.body_sha256)[-1]
    check(replace(plan, turn=done))


def check(plan: Plan) -> None:
    """Raise NothingToRun where the plan's round is over without a proposal that can run."""
    turn = plan.turn
    if not plan.spec.proposals or not turn.complete or turn.accepted:
        return
    refused = "; ".join(f"{one.variant}: {one.failure}" for one in turn.proposals)
    raise NothingToRun(
        f"no proposal can run: {turn.failure or refused}",
        where=plan.spec.issue.source,
        next_step="say in the issue what you mean more exactly, or ask for another round: --retry",
    )


def brief(parts: Parts, plan: Plan, guidance: str) -> Brief:
    """What the editor is told in this round."""
    repo, track = parts.repo, plan.track
    sources = sources_at(repo, track, plan.base)
    tried = rounds.tried(parts.ledger, track.name)
    rules, facts = repo.read(plan.base, RULES) or "", {**_setting(parts, plan), **sources.facts.get(plan.profile, {})}
    known = secrets(os.environ)
    return prompt.brief(rules, track, plan.spec.issue, sources.files, facts, tried, guidance, known)


def _setting(parts: Parts, plan: Plan) -> dict[str, object]:
    """Where and for how long a run trains, and how large the baseline is there."""
    told: dict[str, object] = {
        "a run": f"{plan.budget} of training",
        "profile": plan.profile,
        "device": parts.machine.name_for(plan.profile),
    }
    shape = plan.baseline.shapes.get(plan.profile)
    return told | ({"the baseline here": f"{shape.params:,} parameters, model_dim {shape.model_dim}"} if shape else {})


def _think(parts: Parts, plan: Plan, editor: Editor, told: Brief, corpus: runs.Corpus) -> Round:
    issue, turn = plan.spec.issue.number, plan.turn
    parts.tell(Notice(f"round {turn.number}: asking for {plan.spec.proposals} proposals"))
    reach("ideas-before")
    ideas = editor.ideas(told, plan.spec.proposals, _folder(parts, issue, f"round-{turn.number}"))
    reach("ideas-after")
    found = rounds.named(ideas.found[: plan.spec.proposals], turn.number)
    failure = ideas.failure if found else ideas.failure or "the editor had no idea"
    asked = (issue, plan.spec.body_sha256, plan.track.name, turn.number, turn.base)
    pins = runs.found_pins(parts, plan, plan.base, corpus.folder)
    record = RoundRecord(*asked, found, line(failure), now(), pins)
    parts.ledger.append(record)
    reach("ideas-recorded")
    return rounds.every(parts.ledger, issue, plan.spec.body_sha256)[-1]


def _folder(parts: Parts, issue: int, name: str) -> Path:
    folder = parts.logs / f"issue-{issue}" / name / "proposal"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(parts: Parts, plan: Plan, editor: Editor, told: Brief, trial: "_Trial") -> None:
    idea = trial.idea
    parts.tell(Notice(f"{idea.name}: {line(idea.title, limit=120) or 'an idea of its editor'}"))
    runs.check_room(parts, plan)
    reach("proposal-before")
    done = _written(parts, plan, editor, told, trial)
    reach("proposal-after")
    if done.failure:
        runs.check_room(parts, plan)  # for want of room neither an editor nor a draft can do anything
    record = _record(parts, plan, idea, done)
    parts.ledger.append(record)
    reach("proposal-recorded")
    verdict = "accepted" if record.accepted else f"refused: {record.failure}"
    parts.tell(Notice(f"{idea.name} after {done.attempts} drafts, ${record.usd:.4f}: {verdict}"))


def _written(parts: Parts, plan: Plan, editor: Editor, told: Brief, trial: "_Trial") -> Written:
    """What becomes of an idea. Where the money for it is used up, those that were paid for and may run are enough."""
    issue = plan.spec.issue.number
    try:
        return written(editor, told, trial.idea, trial.check, _folder(parts, issue, trial.idea.name))
    except Capped as capped:
        if not rounds.every(parts.ledger, issue, plan.spec.body_sha256)[-1].accepted:
            raise
        return Written({}, f"not written: {capped.problem}", 0)


def _record(parts: Parts, plan: Plan, idea: Idea, done: Written) -> ProposalRecord:
    commit = commit_of(parts, plan, idea, done.files, line(done.said, limit=SAID_CAP)) if done.files else ""
    if commit:
        parts.repo.keep(f"autoresearch/issue-{plan.spec.issue.number}/{idea.name}", commit)
    return ProposalRecord(
        issue=plan.spec.issue.number,
        round=plan.turn.number,
        variant=idea.name,
        accepted=not done.failure,
        said=line(done.said, limit=SAID_CAP),
        commit=commit,
        tree=parts.repo.tree(commit) if commit else "",
        failure=line(done.failure, secrets(os.environ), limit=FAILURE_CAP),
        attempts=done.attempts,
        usd=float(spent(parts.ledger.about(SpendRecord, plan.spec.issue.number), idea.name)),
        at=now(),
    )


def commit_of(parts: Parts, plan: Plan, idea: Idea, files: Mapping[str, str], said: str = "") -> str:
    """The draft as the very commit that its campaign will make of it."""
    return parts.repo.commit(plan.base, files, message(plan, Variant(idea.name, (), why=rounds.why(idea, said)), {}))


class _Trial:
    """The checks of one idea's drafts: what can be known without running, then a run of five steps."""

    def __init__(self, parts: Parts, plan: Plan, idea: Idea, corpus: runs.Corpus) -> None:
        self._parts, self._plan, self.idea, self._corpus = parts, plan, idea, corpus
        self._sources = sources_at(parts.repo, plan.track, plan.base)

    def check(self, files: Mapping[str, str], attempt: int) -> Checked:
        """What keeps a draft from running. What it may not reach for is not there to be mended."""
        try:
            self._resolves(files)
        except BadInput as error:
            return Checked(str(error), mendable=not isinstance(error, preflight.OffLimits))
        commit = commit_of(self._parts, self._plan, self.idea, files)
        known = rounds.twin(self._parts.ledger, self._parts.repo.tree(commit))
        if known:
            return Checked(f"it is {known} again, to the letter; try something else")
        return Checked(_failure(self._smoke(commit, attempt)))

    def _resolves(self, files: Mapping[str, str]) -> None:
        edits = tuple(Rewrite(path, text) for path, text in files.items())
        variant = Variant(self.idea.name, edits, where=f"proposal {self.idea.name}")
        found = preflight.variants(self._plan.spec, self._plan.track, self._sources, [variant])
        preflight.contract(found[0], self._plan.track, self._sources)
        check_memory(found, self._plan.profile, self._parts.machine)

    def _smoke(self, commit: str, attempt: int) -> Result:
        self._parts.tell(Notice(f"{self.idea.name}: draft {attempt} runs {runs.SMOKE_STEPS} steps"))
        result = runs.smoke(self._parts, self._plan, self.idea.name, commit, attempt, self._corpus)
        if result.status != "ok":
            runs.check_room(self._parts, self._plan)  # its editor could not mend that
        return result


def _failure(result: Result) -> str:
    """How a smoke run failed, with the end of what it printed; empty where it did not."""
    if result.status == "ok":
        return ""
    log = Path(result.log).read_bytes()[-4 * TAIL :].decode(errors="replace") if result.log else ""
    return f"{result.status}: {result.reason}\n\n{posted(log, secrets(os.environ))[-TAIL:]}"

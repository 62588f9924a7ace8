"""From an issue in prose to variants: an editor's ideas, each written, checked before any GPU time, and recorded."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from agent.campaign import jobs, steer
from agent.campaign.context import CampaignContext
from agent.campaign.drafting import CheckResult, DraftOutcome, draft_until_valid
from agent.campaign.plan import Plan, check_device_memory, message
from agent.core.errors import BadInput, NothingToRun, OffLimits, SpendingCapReached
from agent.core.experiment import Rewrite, Variant
from agent.core.faults import fault_point
from agent.core.proposals import Brief, Idea
from agent.core.protocols import Editor, Notice
from agent.core.records import ProposalRecord, RoundRecord, SpendRecord, utc_now
from agent.core.runs import Result
from agent.core.sanitize import make_postable, one_line, secrets
from agent.editors import prompt
from agent.editors.spending import spent
from agent.spec import preflight
from agent.store import rounds
from agent.store.rounds import Round

RULES = "program.md"
TAIL = 3000  # characters of a failed run's log that its editor is shown
SAID_CAP = 300  # of an editor's own words, in its record
FAILURE_CAP = 600  # of why a proposal was refused, in its record


def propose(parts: CampaignContext, plan: Plan, editor: Editor, guidance: str = "") -> Round:
    """Bring the plan's round to its end: ideas, then a proposal of each. What the ledger has is not done again.

    Raises Paused where money or time is used up, NothingToRun where the editor had no idea or none could be used.
    """
    check(plan)
    told = brief(parts, plan, guidance)
    steer.check_stopped(parts, plan)
    corpus = jobs.prepare_corpus(parts, plan)  # first: without it nothing that is paid for could run
    turn = plan.round if plan.round.thought else _think(parts, plan, editor, told, corpus)
    for idea in turn.open:
        steer.check_stopped(parts, plan)
        _write(parts, plan, editor, told, DraftChecker(parts, plan, idea, corpus))
    done = rounds.all_rounds(parts.ledger, plan.spec.issue.number, plan.spec.body_sha256)[-1]
    check(replace(plan, round=done))
    return done


def check(plan: Plan) -> None:
    """Raise NothingToRun where the plan's round is over without a proposal that can run."""
    turn = plan.round
    if not plan.spec.proposals or not turn.complete or turn.accepted:
        return
    refused = "; ".join(f"{one.variant}: {one.failure}" for one in turn.proposals)
    raise NothingToRun(
        f"no proposal can run: {turn.failure or refused}",
        where=plan.spec.issue.source,
        next_step="say in the issue what you mean more exactly, or ask for another round: --retry",
    )


def brief(parts: CampaignContext, plan: Plan, guidance: str) -> Brief:
    """What the editor is told in this round."""
    repo, track = parts.repo, plan.track
    sources = plan.base.sources
    tried = rounds.past_attempts(parts.ledger, track.name)
    rules, facts = (
        repo.read(plan.base.commit, RULES) or "",
        {**_setting(parts, plan), **sources.facts.get(plan.profile, {})},
    )
    known = secrets(os.environ)
    return prompt.brief(rules, track, plan.spec.issue, sources.files, facts, tried, guidance, known)


def _setting(parts: CampaignContext, plan: Plan) -> dict[str, object]:
    """Where and for how long a run trains, and how large the baseline is there."""
    told: dict[str, object] = {
        "a run": f"{plan.budget} of training",
        "profile": plan.profile,
        "device": parts.machine.name_for(plan.profile),
    }
    shape = plan.baseline.shapes.get(plan.profile)
    return told | ({"the baseline here": f"{shape.params:,} parameters, model_dim {shape.model_dim}"} if shape else {})


def _think(parts: CampaignContext, plan: Plan, editor: Editor, told: Brief, corpus: jobs.Corpus) -> Round:
    issue, turn = plan.spec.issue.number, plan.round
    parts.emit(Notice(f"round {turn.number}: asking for {plan.spec.proposals} proposals"))
    fault_point("ideas-before")
    ideas = editor.ideas(told, plan.spec.proposals, _folder(parts, issue, f"round-{turn.number}"))
    fault_point("ideas-after")
    found = rounds.named(ideas.ideas[: plan.spec.proposals], turn.number)
    failure = ideas.failure if found else ideas.failure or "the editor had no idea"
    record = RoundRecord(
        issue=issue,
        body_sha256=plan.spec.body_sha256,
        track=plan.track.name,
        round=turn.number,
        base=turn.base,
        ideas=found,
        failure=one_line(failure),
        at=utc_now(),
        pins=jobs.current_pins(parts, plan, plan.base.commit, corpus.folder),
    )
    parts.ledger.append(record)
    fault_point("ideas-recorded")
    return rounds.all_rounds(parts.ledger, issue, plan.spec.body_sha256)[-1]


def _folder(parts: CampaignContext, issue: int, name: str) -> Path:
    folder = parts.logs / f"issue-{issue}" / name / "proposal"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write(parts: CampaignContext, plan: Plan, editor: Editor, told: Brief, trial: "DraftChecker") -> None:
    idea = trial.idea
    parts.emit(Notice(f"{idea.name}: {one_line(idea.title, limit=120) or 'an idea of its editor'}"))
    jobs.check_disk(parts, plan)
    fault_point("proposal-before")
    done = _written(parts, plan, editor, told, trial)
    fault_point("proposal-after")
    if done.failure:
        jobs.check_disk(parts, plan)  # for want of room neither an editor nor a draft can do anything
    record = _record(parts, plan, idea, done)
    parts.ledger.append(record)
    fault_point("proposal-recorded")
    verdict = "accepted" if record.accepted else f"refused: {record.failure}"
    parts.emit(Notice(f"{idea.name} after {done.attempts} drafts, ${record.usd:.4f}: {verdict}"))


def _written(parts: CampaignContext, plan: Plan, editor: Editor, told: Brief, trial: "DraftChecker") -> DraftOutcome:
    """What becomes of an idea. Where the money for it is used up, those that were paid for and may run are enough."""
    issue = plan.spec.issue.number
    try:
        return draft_until_valid(editor, told, trial.idea, trial.check, _folder(parts, issue, trial.idea.name))
    except SpendingCapReached as capped:
        if not rounds.all_rounds(parts.ledger, issue, plan.spec.body_sha256)[-1].accepted:
            raise
        return DraftOutcome({}, f"not written: {capped.problem}", 0)


def _record(parts: CampaignContext, plan: Plan, idea: Idea, done: DraftOutcome) -> ProposalRecord:
    commit = commit_of(parts, plan, idea, done.files, one_line(done.said, limit=SAID_CAP)) if done.files else ""
    if commit:
        parts.repo.set_branch(f"autoresearch/issue-{plan.spec.issue.number}/{idea.name}", commit)
    return ProposalRecord(
        issue=plan.spec.issue.number,
        round=plan.round.number,
        variant=idea.name,
        accepted=not done.failure,
        summary=one_line(done.said, limit=SAID_CAP),
        commit=commit,
        tree=parts.repo.tree(commit) if commit else "",
        failure=one_line(done.failure, secrets(os.environ), limit=FAILURE_CAP),
        attempts=done.attempts,
        usd=float(spent(parts.ledger.records_of(SpendRecord, plan.spec.issue.number), idea.name)),
        at=utc_now(),
    )


def commit_of(parts: CampaignContext, plan: Plan, idea: Idea, files: Mapping[str, str], said: str = "") -> str:
    """The draft as the very commit that its campaign will make of it."""
    return parts.repo.commit(
        plan.base.commit, files, message(plan, Variant(idea.name, (), why=rounds.why(idea, said)), {})
    )


class DraftChecker:
    """The checks of one idea's drafts: what can be known without running, then a run of five steps."""

    def __init__(self, parts: CampaignContext, plan: Plan, idea: Idea, corpus: jobs.Corpus) -> None:
        self._parts, self._plan, self.idea, self._corpus = parts, plan, idea, corpus

    def check(self, files: Mapping[str, str], attempt: int) -> CheckResult:
        """What keeps a draft from running. What it may not reach for is not there to be mended."""
        try:
            self._resolves(files)
        except BadInput as error:
            return CheckResult(str(error), mendable=not isinstance(error, OffLimits))
        commit = commit_of(self._parts, self._plan, self.idea, files)
        known = rounds.duplicate_of(self._parts.ledger, self._parts.repo.tree(commit))
        if known:
            return CheckResult(f"it is {known} again, to the letter; try something else")
        return CheckResult(_failure(self._smoke(commit, attempt)))

    def _resolves(self, files: Mapping[str, str]) -> None:
        edits = tuple(Rewrite(path, text) for path, text in files.items())
        variant = Variant(self.idea.name, edits, where=f"proposal {self.idea.name}")
        found = preflight.variants(self._plan.spec, self._plan.track, self._plan.base.sources, [variant])
        preflight.contract(found[0], self._plan.track, self._plan.base.sources)
        check_device_memory(found, self._plan.profile, self._parts.machine)

    def _smoke(self, commit: str, attempt: int) -> Result:
        self._parts.emit(Notice(f"{self.idea.name}: draft {attempt} runs {jobs.SMOKE_STEPS} steps"))
        result = jobs.smoke(self._parts, self._plan, self.idea.name, commit, attempt, self._corpus)
        if result.status != "ok":
            jobs.check_disk(self._parts, self._plan)  # its editor could not mend that
        return result


def _failure(result: Result) -> str:
    """How a smoke run failed, with the end of what it printed; empty where it did not."""
    if result.status == "ok":
        return ""
    log = Path(result.log).read_bytes()[-4 * TAIL :].decode(errors="replace") if result.log else ""
    return f"{result.status}: {result.reason}\n\n{make_postable(log, secrets(os.environ))[-TAIL:]}"

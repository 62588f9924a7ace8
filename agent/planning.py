"""From what the user asked to a Plan: the issue read, every variant resolved, the time counted. Writes nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from agent import edit, gate, preflight, registry, rounds, spec, steering, tracks
from agent.core import BadInput, Budget, Clock, GateKind, GateRules, Issue, Profile, Spec, Track, Variant
from agent.ledger import Ledger
from agent.machine import Machine
from agent.preflight import Resolved, Sources
from agent.protocols import Strategy, Tracker
from agent.records import PostRecord, SteerRecord
from agent.repo import Repository
from agent.rounds import Round
from agent.strategies import STRATEGIES
from agent.untrusted import posted, removed, secrets

PROBE_ROUNDS = 3  # short runs of every variant, interleaved, before a calibrated campaign
_OVERHEAD_S = {"full": 40.0, "mini": 8.0}  # start-up, evaluation and checkpoint of one run, for estimates only


@dataclass(frozen=True)
class Request:
    """What the user asked for; None leaves the choice to the issue, then to the track or the machine."""

    issue: int
    profile: Profile
    corpus: str
    budget: Budget | None = None
    clock: Clock | None = None
    gate: GateKind | None = None
    committed: bool = False
    retry: bool = False
    again: bool = False  # a round that is over is followed by another (--loop)
    follows: bool = False  # something else is begun after it (--loop, --queue): /stop is obeyed after the verdict too
    answered: bool = False  # by an earlier campaign that is only asked about: a closed issue may be


@dataclass(frozen=True)
class Plan:
    """An issue made ready to run. `base` is the commit that the variants are edits of, `estimate_s` None if unknown.

    `spec` is as the issue says; `variants` and `budget` are as people who steered it have them.
    """

    spec: Spec
    track: Track
    base: str
    baseline: Resolved
    variants: tuple[Resolved, ...]
    profile: Profile
    corpus: str
    clock: Clock
    budget: Budget
    rules: GateRules
    estimate_s: float | None
    notices: tuple[str, ...]
    asked: Request
    turn: Round  # of an issue in prose; other issues have one that is empty
    inherited: bool = False  # code that a model wrote is in the base (see `model_wrote`)

    @property
    def complete(self) -> bool:
        """Whether all variants are known: an issue in prose is without them until an editor has written them."""
        return not self.spec.proposals or self.turn.complete

    @property
    def retry(self) -> bool:
        """Whether the question is asked again though it has its answer."""
        return self.asked.retry

    @property
    def order(self) -> tuple[str, ...]:
        """The variants' names in the order in which they run."""
        return tuple(one.variant.name for one in self.variants)

    def resolved(self, name: str) -> Resolved:
        """The variant (or the baseline) called `name`."""
        return next(one for one in (self.baseline, *self.variants) if one.variant.name == name)

    def written(self, name: str) -> bool:
        """Whether code that a model wrote is in a variant, or in the baseline: its own, or what it is an edit of."""
        return self.inherited or not self.resolved(name).variant.constant


def branch(track: str) -> str:
    """The branch that is a track's baseline."""
    return f"autoresearch/baseline/{track}"


def probe_seconds(budget: Budget) -> float:
    """The length of one probe: a tenth of the budget, from one second to five."""
    return min(5.0, max(1.0, budget.amount / 10))


def make(request: Request, repo: Repository, ledger: Ledger, tracker: Tracker, machine: Machine) -> Plan:
    """Make the plan. Raises BadInput for whatever would stop the campaign; nothing has been written then."""
    issue = tracker.fetch(request.issue)
    if request.answered or _closed_by_us(ledger, issue):
        issue = replace(issue, state="open", labels=("experiment",))
    track = tracks.load(repo.root, spec.named_track(issue) or "main")
    turn = _turn(request, repo, ledger, track, issue)
    _check_branches(repo, track, issue.number)
    _check_committed(repo, track, turn.base, request.committed)
    baseline = resolved_at(repo, track, turn.base)
    told = spec.parse(issue, track, baseline.constants)
    if told.proposals:
        told = replace(told, variants=rounds.variants(repo, turn))
    notices = (*_unread(issue), *_outdated(ledger, told), *_notices(repo, track, turn.base, machine))
    return _settled(request, told, track, turn, notices, _steered(ledger, told, request, turn), repo, machine)


def again(plan: Plan, repo: Repository, ledger: Ledger, machine: Machine, more: Sequence[SteerRecord] = ()) -> Plan:
    """The plan with what people said since, and with `more`. Raises BadInput where that cannot be run.

    The issue, the baseline and the user's other choices stay as they were when it was first made.
    """
    said = (*_steered(ledger, plan.spec, plan.asked, plan.turn), *more)
    return _settled(plan.asked, plan.spec, plan.track, plan.turn, plan.notices, said, repo, machine)


def _settled(
    request: Request,
    told: Spec,
    track: Track,
    turn: Round,
    notices: tuple[str, ...],
    said: Sequence[SteerRecord],
    repo: Repository,
    machine: Machine,
) -> Plan:
    """What follows from the issue, the base and what people said: the variants resolved, the time counted."""
    sources = sources_at(repo, track, turn.base)
    baseline = preflight.baseline(track, sources)
    propose = cast(Strategy, registry.load(STRATEGIES, "strategy", told.strategy))
    course = steering.folded(propose(told, turn.base, []), said, steering.Script(track.script, baseline.constants))
    variants = preflight.variants(told, track, sources, course.variants)
    preflight.concerns(variants, request.profile)
    check_memory((baseline, *variants), request.profile, machine)
    budget = course.budget or request.budget or told.budget or Budget("seconds", track.budget_s)
    clock = _clock(request, budget)
    rules = _rules(request, told, track)
    number = len(variants) if turn.complete or not told.proposals else told.proposals
    estimate = _estimate(budget, clock, request.profile, gate.plan_size(rules, number), number)
    _check_cap(told, estimate)
    settled = (request.profile, request.corpus, clock, budget, rules, estimate, notices, request, turn)
    return Plan(told, track, turn.base, baseline, tuple(variants), *settled, inherited=model_wrote(repo, turn.base))


def _turn(request: Request, repo: Repository, ledger: Ledger, track: Track, issue: Issue) -> Round:
    """The round that is meant, and with it the base: the one that is asked about, the one under way, or a new one."""
    known = rounds.every(ledger, issue.number, spec.digest(issue.body))
    if request.answered:
        asked = ledger.campaigns(issue.number)[-1]
        ran = [one for one in known if rounds.campaign(ledger, issue.number, one) == asked]
        return ran[-1] if ran else Round(0, asked.base)
    number = rounds.following(ledger, issue.number)
    if not known:
        return Round(number, base_commit(repo, ledger, track, issue.number))
    turn = known[-1]
    if not rounds.over(ledger, issue.number, turn):
        return turn
    if request.again or (request.retry and not turn.accepted):
        return Round(number, _natural_base(repo, track))
    base = base_commit(repo, ledger, track, issue.number)
    return turn if base == turn.base or not turn.accepted else Round(number, base)


def message(plan: Plan, variant: Variant, told: Mapping[str, str]) -> str:
    """The message of a variant's commit, without secrets; `told` are the constants that the campaign is about."""
    sets = " ".join(f"{key}={value}" for key, value in told.items())
    head = " ".join(["experiment:", variant.name, *([sets] if sets else []), f"(issue {plan.spec.issue.number})"])
    return posted(f"{head}\n\n{variant.why}".strip(), secrets(os.environ))


def _steered(ledger: Ledger, told: Spec, request: Request, turn: Round) -> list[SteerRecord]:
    """The commands that count: those obeyed of the issue as it reads now; of an answer, those given before it.

    What was said in one round of an issue in prose does not concern another, but for a budget.
    """
    until = ledger.campaigns(told.issue.number)[-1].at if request.answered else None
    said = [record for record in steered(ledger, told) if record.obeyed]
    own = turn.number if told.proposals else 0
    said = [record for record in said if record.round == own or record.command.startswith("/budget")]
    return [record for record in said if until is None or record.at <= until]


def steered(ledger: Ledger, told: Spec) -> list[SteerRecord]:
    """What people said of the issue as it reads now, obeyed or not, oldest first."""
    said = ledger.about(SteerRecord, told.issue.number)
    return [record for record in said if record.body_sha256 == told.body_sha256]


def _outdated(ledger: Ledger, told: Spec) -> tuple[str, ...]:
    """That commands were given to another text of the issue."""
    changing = [one for one in ledger.about(SteerRecord, told.issue.number) if one.obeyed and steering.changes(one)]
    old = sum(record.body_sha256 != told.body_sha256 for record in changing)
    heard = f"the issue was edited since: {old} of the commands given before it no longer count; give them again"
    return (heard,) if old else ()


def _closed_by_us(ledger: Ledger, issue: Issue) -> bool:
    """Whether the issue is closed because it has its verdict: it then answers as if it were open."""
    asked = [one for one in ledger.campaigns(issue.number) if one.body_sha256 == spec.digest(issue.body)]
    closed = any(post.what == "close" for post in ledger.about(PostRecord, issue.number))
    return closed and any(ledger.verdict(one) for one in asked)


def resolved_at(repo: Repository, track: Track, commit: str) -> Resolved:
    """The track's script as committed there, resolved."""
    return preflight.baseline(track, sources_at(repo, track, commit))


def base_commit(repo: Repository, ledger: Ledger, track: Track, issue: int) -> str:
    """The commit an issue's variants are edits of: what it started from before, else the baseline, else HEAD.

    A HEAD that contains the baseline is ahead of it by the user's own commits, and is what the user means. An issue
    stays with its base, and so with its answer, until the user changes one of the track's files: what experiments
    promote meanwhile does not ask its question again.
    """
    natural = _natural_base(repo, track)
    began = [c.base for c in ledger.campaigns(issue) if c.conditions.track == track.name and repo.resolve(c.base)]
    won = [commit for commit in _winners(ledger, track) if repo.resolve(commit)]
    own = any(same_files(repo, track, known, natural) for known in began[-1:] + won)
    return began[-1] if began and own else natural


def _natural_base(repo: Repository, track: Track) -> str:
    """The baseline, or HEAD where it is ahead of it."""
    head = repo.resolve("HEAD")
    assert head is not None
    now = repo.resolve(f"refs/heads/{branch(track.name)}")
    return head if now is None or repo.is_ancestor(now, head) else now


def _winners(ledger: Ledger, track: Track) -> list[str]:
    """The commits that verdicts keep, promoted or about to be: a crash may have come in between."""
    campaigns = [c for c in ledger.campaigns() if c.conditions.track == track.name]
    verdicts = [(campaign, record.verdict) for campaign in campaigns if (record := ledger.verdict(campaign))]
    return [c.commits[said.variant] for c, said in verdicts if said.decision == "keep" and said.variant]


def model_wrote(repo: Repository, base: str) -> bool:
    """Whether code that a model wrote is in a commit: one of ours in its history did more than set constants.

    Git is asked and not the ledger: a promotion by hand, by a merge or by a cherry-pick is in no record, and the
    commit's author tells it all the same. Later commits of a person do not clear it, since they need not touch that
    code; what a person has committed as their own (a squashed merge) is a person's.
    """
    return any(not _sets_constants(repo, commit) for commit in repo.ours(base))


def _sets_constants(repo: Repository, commit: str) -> bool:
    """Whether a commit only sets constants of scripts. One without a parent here (a shallow clone) may do anything."""
    parent = repo.resolve(f"{commit}^")
    if parent is None:
        return False
    texts = [(repo.read(parent, path), repo.read(commit, path), path) for path in repo.changed(parent, commit)]
    return all(
        old is not None and new is not None and path.endswith(".py") and edit.only_constants(old, new, path)
        for old, new, path in texts
    )


def same_files(repo: Repository, track: Track, old: str, new: str) -> bool:
    files = {track.script, *track.editable, *([track.prepare] if track.prepare else [])}
    return old == new or files.isdisjoint(repo.changed(old, new))


def _unread(issue: Issue) -> tuple[str, ...]:
    """That not all of the issue was read, where it holds what a person does not see."""
    told = removed(issue.title, issue.body)
    return (f"hidden in the issue, and not read: {told}",) if told else ()


def _notices(repo: Repository, track: Track, base: str, machine: Machine) -> tuple[str, ...]:
    """What the user may not expect of the baseline or of the machine."""
    notices = []
    if not repo.is_ancestor(base, "HEAD") and not repo.is_ancestor("HEAD", base):
        join = f"git merge {branch(track.name)}"
        notices.append(f"HEAD has commits that the baseline {base[:7]} lacks; to build on both: {join}")
    if machine.hidden and not machine.gpus:
        notices.append(f"CUDA_VISIBLE_DEVICES hides {', '.join(machine.hidden)}: running on the processor")
    return tuple(notices)


def _check_branches(repo: Repository, track: Track, issue: int) -> None:
    for wanted in (branch(track.name), f"autoresearch/issue-{issue}/x"):
        blocking = repo.in_the_way(wanted)
        if blocking is not None:
            raise BadInput(
                f"the branch {blocking} keeps git from making branches below it",
                next_step=f"rename it: git branch -m {blocking} {blocking.replace('/', '-')}-old",
            )


def _text(repo: Repository, commit: str, path: str) -> str:
    text = repo.read(commit, path)
    if text is None:
        raise BadInput(
            "the file is missing", where=f"{path} at {commit[:7]}", next_step=f"commit it: git add {path} && git commit"
        )
    return text


def sources_at(repo: Repository, track: Track, base: str) -> Sources:
    """The texts at a commit that a plan on it is made from. Raises BadInput where one is missing."""
    files = {path: _text(repo, base, path) for path in {track.script, *track.editable}}
    if track.prepare is None:
        return Sources(files, {})
    return Sources(files, preflight.facts(_text(repo, base, track.prepare), track.prepare))


def _check_committed(repo: Repository, track: Track, base: str, committed: bool) -> None:
    """What runs is what is committed; a work tree that differs must not be mistaken for it."""
    fixed = (track.prepare,) if track.prepare else ()
    changed = repo.uncommitted((track.script, *fixed))
    if changed and not committed:
        raise BadInput(
            f"uncommitted changes; a campaign runs the committed file (commit {base[:7]}) and not these",
            where=", ".join(changed),
            next_step="commit or stash them, or add --committed to run without them",
        )


def check_memory(resolved: Sequence[Resolved], profile: Profile, machine: Machine) -> None:
    """Raise BadInput for the first that does not fit the device (or, on mini, the machine)."""
    told = [gpu.memory_mb for gpu in machine.gpus] if profile == "full" else [machine.memory_mb]
    memory = [size for size in told if size is not None]
    if memory:
        preflight.fits(resolved, profile, min(memory))


def _clock(request: Request, budget: Budget) -> Clock:
    """Steps and tokens are their own clock; seconds are the wall's on a GPU and calibrated where there is none."""
    if budget.kind != "seconds":
        if request.clock is not None:
            raise BadInput(
                f"--clock {request.clock} needs a budget in seconds, and the budget is {budget}",
                next_step="leave out --clock, or give seconds: --budget 300",
            )
        return "steps"
    return request.clock or ("wall" if request.profile == "full" else "calibrated")


def _rules(request: Request, told: Spec, track: Track) -> GateRules:
    kind, seeds = request.gate or told.gate or "confirmed", told.seeds or track.seeds
    return GateRules(
        kind=kind,
        seeds=seeds,
        baseline_runs=1 if kind == "lowest" else len(seeds),
        confirm_runs=0 if kind == "lowest" else 3,
        min_gain=track.min_gain,
        goal=track.goal,
    )


def run_seconds(budget: Budget, profile: Profile) -> float | None:
    """What one run takes in all; None where the budget says nothing about time."""
    return budget.amount + _OVERHEAD_S[profile] if budget.kind == "seconds" else None


def _estimate(budget: Budget, clock: Clock, profile: Profile, runs: int, variants: int) -> float | None:
    one = run_seconds(budget, profile)
    if one is None:
        return None
    probes = PROBE_ROUNDS * (variants + 1) if clock == "calibrated" else 0
    return runs * one + probes * (probe_seconds(budget) + _OVERHEAD_S[profile] / 2)


def _check_cap(told: Spec, estimate_s: float | None) -> None:
    if estimate_s is not None and told.cap_s is not None and estimate_s > told.cap_s:
        raise BadInput(
            f"the campaign takes about {estimate_s / 60:.0f} minutes and its size label allows {told.cap_s / 60:.0f}",
            where=told.issue.source,
            next_step="lower the budget (--budget 120), take fewer variants, or give the issue a larger size label",
        )

"""From what the user asked to a Plan: the issue read, every variant resolved, the time counted. Writes nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Clock, GateKind, GateRules, Issue, Profile, Spec, Track, Variant
from agent.core.protocols import Strategy, Tracker
from agent.core.records import CommandRecord, DeliveryRecord
from agent.core.sanitize import describe_removed, make_postable, secrets
from agent.execution.machine import Machine
from agent.gate import verdict
from agent.spec import commands, parser, preflight
from agent.spec.preflight import Resolved, Sources
from agent.store import rounds, tracks
from agent.store.baseline import base_commit, baseline_branch, contains_model_code, natural_base
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.store.rounds import Round
from agent.strategies import table

PROBE_ROUNDS = 3  # short runs of every variant, interleaved, before a calibrated campaign
_OVERHEAD_S = {"full": 40.0, "mini": 8.0}  # start-up, evaluation and checkpoint of one run, for estimates only


@dataclass(frozen=True)
class CampaignRequest:
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
    request: CampaignRequest
    round: Round  # of an issue in prose; other issues have one that is empty
    base_has_model_code: bool = False  # a model wrote some of the base (see `has_model_code`)

    @property
    def complete(self) -> bool:
        """Whether all variants are known: an issue in prose is without them until an editor has written them."""
        return not self.spec.proposals or self.round.complete

    @property
    def retry(self) -> bool:
        """Whether the question is asked again though it has its answer."""
        return self.request.retry

    @property
    def order(self) -> tuple[str, ...]:
        """The variants' names in the order in which they run."""
        return tuple(one.variant.name for one in self.variants)

    def resolved(self, name: str) -> Resolved:
        """The variant (or the baseline) called `name`."""
        return next(one for one in (self.baseline, *self.variants) if one.variant.name == name)

    def has_model_code(self, name: str) -> bool:
        """Whether code that a model wrote is in a variant, or in the baseline: its own, or what it is an edit of."""
        return self.base_has_model_code or not self.resolved(name).variant.only_sets_constants


def probe_seconds(budget: Budget) -> float:
    """The length of one probe: a tenth of the budget, from one second to five."""
    return min(5.0, max(1.0, budget.amount / 10))


def make_plan(request: CampaignRequest, repo: Repository, ledger: Ledger, tracker: Tracker, machine: Machine) -> Plan:
    """Make the plan. Raises BadInput for whatever would stop the campaign; nothing has been written then."""
    issue = tracker.fetch(request.issue)
    if request.answered or _closed_by_us(ledger, issue):
        issue = replace(issue, state="open", labels=("experiment",))
    track = tracks.load(repo.root, parser.named_track(issue) or "main")
    turn = _round(request, repo, ledger, track, issue)
    _check_branches(repo, track, issue.number)
    _check_committed(repo, track, turn.base, request.committed)
    baseline = resolved_at(repo, track, turn.base)
    told = parser.parse(issue, track, baseline.constants)
    if told.proposals:
        told = replace(told, variants=rounds.variants(repo, turn))
    notices = (*_hidden_text(issue), *_outdated(ledger, told), *_notices(repo, track, turn.base, machine))
    return build_plan(
        request, told, track, turn, notices, effective_commands(ledger, told, request, turn), repo, machine
    )


def replan(plan: Plan, repo: Repository, ledger: Ledger, machine: Machine, more: Sequence[CommandRecord] = ()) -> Plan:
    """The plan with what people said since, and with `more`. Raises BadInput where that cannot be run.

    The issue, the baseline and the user's other choices stay as they were when it was first made.
    """
    said = (*effective_commands(ledger, plan.spec, plan.request, plan.round), *more)
    return build_plan(plan.request, plan.spec, plan.track, plan.round, plan.notices, said, repo, machine)


def build_plan(
    request: CampaignRequest,
    told: Spec,
    track: Track,
    round: Round,
    notices: tuple[str, ...],
    said: Sequence[CommandRecord],
    repo: Repository,
    machine: Machine,
) -> Plan:
    """What follows from the issue, the base and what people said: the variants resolved, the time counted."""
    sources = sources_at(repo, track, round.base)
    baseline = preflight.baseline(track, sources)
    propose = _strategy(told.strategy)
    course = commands.replay(propose(told, round.base, []), said, commands.Script(track.script, baseline.constants))
    variants = preflight.variants(told, track, sources, course.variants)
    preflight.check_profile(variants, request.profile)
    check_device_memory((baseline, *variants), request.profile, machine)
    budget = course.budget or request.budget or told.budget or Budget("seconds", track.budget_s)
    clock = _clock(request, budget)
    rules = _rules(request, told, track)
    number = len(variants) if round.complete or not told.proposals else told.proposals
    estimate = _estimate(budget, clock, request.profile, verdict.plan_size(rules, number), number)
    _check_cap(told, estimate)
    settled = (request.profile, request.corpus, clock, budget, rules, estimate, notices, request, round)
    return Plan(
        told,
        track,
        round.base,
        baseline,
        tuple(variants),
        *settled,
        base_has_model_code=contains_model_code(repo, round.base),
    )


def _strategy(name: str) -> Strategy:
    """The strategy called `name`; written proposals are a table of them."""
    known: dict[str, Strategy] = {"table": table.propose, "freeform": table.propose}
    if name not in known:
        raise BadInput(f"there is no strategy {name!r}", next_step=f"there is: {', '.join(sorted(known))}")
    return known[name]


def _round(request: CampaignRequest, repo: Repository, ledger: Ledger, track: Track, issue: Issue) -> Round:
    """The round that is meant, and with it the base: the one that is asked about, the one under way, or a new one."""
    known = rounds.all_rounds(ledger, issue.number, parser.digest(issue.body))
    if request.answered:
        asked = ledger.campaigns(issue.number)[-1]
        ran = [one for one in known if rounds.campaign(ledger, issue.number, one) == asked]
        return ran[-1] if ran else Round(0, asked.base)
    number = rounds.next_number(ledger, issue.number)
    if not known:
        return Round(number, base_commit(repo, ledger, track, issue.number))
    turn = known[-1]
    if not rounds.is_finished(ledger, issue.number, turn):
        return turn
    if request.again or (request.retry and not turn.accepted):
        return Round(number, natural_base(repo, track))
    base = base_commit(repo, ledger, track, issue.number)
    return turn if base == turn.base or not turn.accepted else Round(number, base)


def message(plan: Plan, variant: Variant, told: Mapping[str, str]) -> str:
    """The message of a variant's commit, without secrets; `told` are the constants that the campaign is about."""
    sets = " ".join(f"{key}={value}" for key, value in told.items())
    head = " ".join(["experiment:", variant.name, *([sets] if sets else []), f"(issue {plan.spec.issue.number})"])
    return make_postable(f"{head}\n\n{variant.why}".strip(), secrets(os.environ))


def effective_commands(ledger: Ledger, told: Spec, request: CampaignRequest, turn: Round) -> list[CommandRecord]:
    """The commands that count: those obeyed of the issue as it reads now; of an answer, those given before it.

    What was said in one round of an issue in prose does not concern another, but for a budget.
    """
    until = ledger.campaigns(told.issue.number)[-1].at if request.answered else None
    said = [record for record in all_commands(ledger, told) if record.obeyed]
    own = turn.number if told.proposals else 0
    said = [record for record in said if record.round == own or record.command.startswith("/budget")]
    return [record for record in said if until is None or record.at <= until]


def all_commands(ledger: Ledger, told: Spec) -> list[CommandRecord]:
    """What people said of the issue as it reads now, obeyed or not, oldest first."""
    said = ledger.records_of(CommandRecord, told.issue.number)
    return [record for record in said if record.body_sha256 == told.body_sha256]


def _outdated(ledger: Ledger, told: Spec) -> tuple[str, ...]:
    """That commands were given to another text of the issue."""
    changing = [
        one for one in ledger.records_of(CommandRecord, told.issue.number) if one.obeyed and commands.changes(one)
    ]
    old = sum(record.body_sha256 != told.body_sha256 for record in changing)
    heard = f"the issue was edited since: {old} of the commands given before it no longer count; give them again"
    return (heard,) if old else ()


def _closed_by_us(ledger: Ledger, issue: Issue) -> bool:
    """Whether the issue is closed because it has its verdict: it then answers as if it were open."""
    asked = [one for one in ledger.campaigns(issue.number) if one.body_sha256 == parser.digest(issue.body)]
    closed = any(post.what == "close" for post in ledger.records_of(DeliveryRecord, issue.number))
    return closed and any(ledger.verdict(one) for one in asked)


def resolved_at(repo: Repository, track: Track, commit: str) -> Resolved:
    """The track's script as committed there, resolved."""
    return preflight.baseline(track, sources_at(repo, track, commit))


def _hidden_text(issue: Issue) -> tuple[str, ...]:
    """That not all of the issue was read, where it holds what a person does not see."""
    told = describe_removed(issue.title, issue.body)
    return (f"hidden in the issue, and not read: {told}",) if told else ()


def _notices(repo: Repository, track: Track, base: str, machine: Machine) -> tuple[str, ...]:
    """What the user may not expect of the baseline or of the machine."""
    notices = []
    if not repo.is_ancestor(base, "HEAD") and not repo.is_ancestor("HEAD", base):
        join = f"git merge {baseline_branch(track.name)}"
        notices.append(f"HEAD has commits that the baseline {base[:7]} lacks; to build on both: {join}")
    if machine.hidden and not machine.gpus:
        notices.append(f"CUDA_VISIBLE_DEVICES hides {', '.join(machine.hidden)}: running on the processor")
    return tuple(notices)


def _check_branches(repo: Repository, track: Track, issue: int) -> None:
    for wanted in (baseline_branch(track.name), f"autoresearch/issue-{issue}/x"):
        blocking = repo.conflicting_branch(wanted)
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
    fixed = [path for place in track.fixed for path in sorted(repo.files(base, place)) if path.endswith(".py")]
    return Sources(files, preflight.profile_facts({path: _text(repo, base, path) for path in fixed}, track.prepare))


def _check_committed(repo: Repository, track: Track, base: str, committed: bool) -> None:
    """What runs is what is committed; a work tree that differs must not be mistaken for it."""
    changed = repo.uncommitted((track.script, *track.fixed))
    if changed and not committed:
        raise BadInput(
            f"uncommitted changes; a campaign runs the committed file (commit {base[:7]}) and not these",
            where=", ".join(changed),
            next_step="commit or stash them, or add --committed to run without them",
        )


def check_device_memory(resolved: Sequence[Resolved], profile: Profile, machine: Machine) -> None:
    """Raise BadInput for the first that does not fit the device (or, on mini, the machine)."""
    told = [gpu.memory_mb for gpu in machine.gpus] if profile == "full" else [machine.memory_mb]
    memory = [size for size in told if size is not None]
    if memory:
        preflight.check_memory(resolved, profile, min(memory))


def _clock(request: CampaignRequest, budget: Budget) -> Clock:
    """Steps and tokens are their own clock; seconds are the wall's on a GPU and calibrated where there is none."""
    if budget.kind != "seconds":
        if request.clock is not None:
            raise BadInput(
                f"--clock {request.clock} needs a budget in seconds, and the budget is {budget}",
                next_step="leave out --clock, or give seconds: --budget 300",
            )
        return "steps"
    return request.clock or ("wall" if request.profile == "full" else "calibrated")


def _rules(request: CampaignRequest, told: Spec, track: Track) -> GateRules:
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

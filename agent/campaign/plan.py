"""From a request to a Plan: the issue read, every variant resolved, the time estimated. Writes nothing."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from agent.campaign.base import Base, check_branches, check_committed, check_device_memory, read_base
from agent.campaign.estimate import campaign_seconds, expected_runs
from agent.campaign.reading import Readers, read_issue, recorded
from agent.campaign.rules import choose_clock, gate_rules
from agent.core.errors import BadInput
from agent.core.experiment import Budget, Clock, GateKind, GateRules, Issue, Profile, SetConstant, Spec, Track, Variant
from agent.core.frozen import frozen
from agent.core.protocols import Tracker
from agent.core.records import CommandRecord, DeliveryRecord
from agent.core.sanitize import describe_removed, make_postable, secrets
from agent.core.trials import Question
from agent.execution.machine import Machine
from agent.spec import commands, parser, preflight
from agent.spec.commands import Script, Selection
from agent.spec.preflight import Resolved
from agent.store import rounds, tracks
from agent.store.baseline import base_commit, baseline_branch, natural_base
from agent.store.ledger import Ledger
from agent.store.repository import Repository
from agent.store.rounds import Round
from agent.strategies import registry
from agent.strategies.question import read_question
from agent.strategies.strategy import Strategy


@frozen
class CampaignRequest:
    """What the user asks of an issue; None leaves the choice to the issue, then to the track or the machine."""

    issue: int
    profile: Profile
    corpus: str | None = None
    budget: Budget | None = None
    clock: Clock | None = None
    gate: GateKind | None = None
    committed: bool = False
    retry: bool = False
    new_round: bool = False  # a finished round is followed by another (--loop)
    in_series: bool = False  # something else begins after it (--loop, --queue): /stop counts after the verdict too
    confirm: bool = False  # a person's /go is waited for
    answered: bool = False  # by an earlier campaign that is only looked at: the issue may be closed


@frozen(kw_only=True)
class Plan:
    """An issue made ready to run.

    `spec` is as the issue says; `variants` and `budget` are as people who steered it have them (`selection`). `round`
    is that of an issue in prose, and an empty one of any other.
    """

    request: CampaignRequest
    spec: Spec
    base: Base
    round: Round
    selection: Selection
    variants: tuple[Resolved, ...]
    clock: Clock
    budget: Budget
    rules: GateRules
    notices: tuple[str, ...] = ()

    @property
    def track(self) -> Track:
        return self.base.track

    @property
    def baseline(self) -> Resolved:
        return self.base.baseline

    @property
    def base_has_model_code(self) -> bool:
        """Whether a model wrote any code of the base."""
        return self.base.has_model_code

    @property
    def profile(self) -> Profile:
        return self.request.profile

    @property
    def corpus(self) -> str:
        """The one that the user names, else the track's."""
        return self.request.corpus or self.track.corpus

    @property
    def confirm(self) -> bool:
        """Whether nothing runs before a person has confirmed how the issue was read."""
        return self.spec.confirm or self.request.confirm

    @property
    def complete(self) -> bool:
        """Whether all variants are known: those of an issue in prose are not until an editor has written them."""
        return not self.spec.proposals or self.round.complete

    @property
    def variant_count(self) -> int:
        """How many variants run, or how many an editor is asked for."""
        return len(self.variants) if self.complete else self.spec.proposals

    @property
    def explores(self) -> bool:
        """Whether the strategy explores before the gate decides."""
        return self.spec.strategy in registry.EXPLORATIONS

    @property
    def strategy(self) -> Strategy:
        """What chooses the runs."""
        return registry.load(self.spec.strategy)

    @cached_property
    def question(self) -> Question:
        """What the strategy is asked."""
        return read_question(self.spec, self.selection.variants, self.rules.seeds, self.baseline.constants)

    @property
    def run_count(self) -> int:
        """The most runs that the campaign takes when none fails."""
        return self.strategy.size(self.question, self.rules, self.variant_count)

    @cached_property
    def expected_runs(self) -> tuple[float, float]:
        """How many runs it takes when none fails and the ledger has none: the mean, and nine of ten take no more."""
        return expected_runs(self.rules, self.run_count, 1 if self.explores else self.variant_count)

    @cached_property
    def estimate_s(self) -> float | None:
        """How many seconds that takes, by the mean; None where nobody can tell."""
        return self.seconds_of(self.expected_runs[0])

    def seconds_of(self, runs: float) -> float | None:
        """Return what so many runs take; None where nobody can tell."""
        return campaign_seconds(self.budget, self.clock, self.profile, runs, self.variant_count)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The variants' names in the order in which they run."""
        return tuple(one.variant.name for one in self.variants)

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """The names of the constants that any variant sets."""
        edits = (edit for one in self.variants for edit in one.variant.edits)
        return tuple(dict.fromkeys(edit.name for edit in edits if isinstance(edit, SetConstant)))

    @cached_property
    def most_params(self) -> int:
        """The parameters of the largest model that runs; 0 where no script has a shape."""
        shapes = (one.shapes.get(self.profile) for one in (self.baseline, *self.variants))
        return max((shape.params for shape in shapes if shape), default=0)

    @cached_property
    def _by_name(self) -> dict[str, Resolved]:
        return {one.variant.name: one for one in (self.baseline, *self.variants)}

    def resolved(self, name: str) -> Resolved:
        """Return the variant (or the baseline) called `name`."""
        return self._by_name[name]

    def has_model_code(self, name: str) -> bool:
        """Return whether a model wrote code of a variant or of the baseline: its own, or what it is an edit of."""
        return self.base_has_model_code or not self.resolved(name).variant.only_sets_constants


# --- plans ------------------------------------------------------------------------------------------------


def make_plan(
    request: CampaignRequest,
    repo: Repository,
    ledger: Ledger,
    tracker: Tracker,
    machine: Machine,
    readers: Readers = None,
) -> Plan:
    """Return the plan of a request. Raises BadInput for whatever would stop the campaign.

    Nothing is written, but what one of `readers` makes of an issue that strict reading refuses, and its cost.
    """
    issue = tracker.fetch(request.issue)
    if request.answered or _closed_by_us(ledger, issue):
        issue = replace(issue, state="open", labels=("experiment",))
    track = tracks.load(repo.root, parser.named_track(issue) or "main")
    round = _round(request, repo, ledger, track, issue)
    check_branches(repo, track, issue.number)
    check_committed(repo, track, round.base, request.committed)
    base = read_base(repo, track, round.base, ledger)
    willing = None if request.answered else readers  # looking at an answer costs nothing
    spec = read_issue(issue, track, base.baseline.constants, request.profile, ledger, willing)
    if spec.proposals:
        spec = replace(spec, variants=rounds.accepted_variants(repo, round))
    given = effective_commands(ledger, spec, request, round)
    plan = build_plan(request=request, spec=spec, base=base, round=round, selection=_select(spec, base, given))
    check_device_memory((plan.baseline, *plan.variants), plan.profile, machine)
    return replace(plan, notices=(*_issue_notices(issue, ledger, spec), *_base_notices(repo, base, machine)))


def replan(plan: Plan, selection: Selection, machine: Machine) -> Plan:
    """Return a plan with another selection. Raises BadInput where that cannot be run.

    The issue, the base and the user's other choices stay as they were when the plan was made.
    """
    changed = build_plan(request=plan.request, spec=plan.spec, base=plan.base, round=plan.round, selection=selection)
    check_device_memory((changed.baseline, *changed.variants), changed.profile, machine)
    return replace(changed, notices=plan.notices)


def plan_round(plan: Plan, round: Round, repo: Repository, ledger: Ledger, machine: Machine) -> Plan:
    """Return the plan of an issue in prose with the variants that its round has brought about."""
    spec = replace(plan.spec, variants=rounds.accepted_variants(repo, round))
    given = effective_commands(ledger, spec, plan.request, round)
    return replan(replace(plan, spec=spec, round=round), _select(spec, plan.base, given), machine)


def build_plan(*, request: CampaignRequest, spec: Spec, base: Base, round: Round, selection: Selection) -> Plan:
    """Return what follows from the issue, the base and a selection: the variants resolved, the time estimated."""
    preflight.check_baseline(spec, base.baseline)
    variants = preflight.variants(spec, base.track, base.sources, selection.variants)
    preflight.check_profile(variants, request.profile)
    budget = selection.budget or request.budget or spec.budget or base.track.budget
    plan = Plan(
        request=request,
        spec=spec,
        base=base,
        round=round,
        selection=selection,
        variants=tuple(variants),
        clock=choose_clock(request.clock, request.profile, budget),
        budget=budget,
        rules=gate_rules(request.gate, spec, base.track, selection.more),
    )
    _check_cap(plan)
    return plan


def script(base: Base) -> Script:
    """Return what a command may set on a base."""
    return Script(base.track.script, base.baseline.constants)


def _select(spec: Spec, base: Base, given: Sequence[CommandRecord]) -> Selection:
    return commands.replay(spec.variants, given, script(base))


def _round(request: CampaignRequest, repo: Repository, ledger: Ledger, track: Track, issue: Issue) -> Round:
    """Return the round, and with it the base: the one that was answered, the one under way, or a new one."""
    known = rounds.all_rounds(ledger, issue.number, parser.digest(issue.body))
    if request.answered:
        latest = ledger.campaigns(issue.number)[-1]
        ran = [one for one in known if rounds.campaign_of(ledger, issue.number, one) == latest]
        return ran[-1] if ran else Round(0, latest.base)
    number = rounds.next_number(ledger, issue.number)
    if not known:
        return Round(number, base_commit(repo, ledger, track, issue.number))
    latest_round = known[-1]
    if not rounds.is_finished(ledger, issue.number, latest_round):
        return latest_round
    if request.new_round or (request.retry and not latest_round.accepted):
        return Round(number, natural_base(repo, track))
    base = base_commit(repo, ledger, track, issue.number)
    return latest_round if base == latest_round.base or not latest_round.accepted else Round(number, base)


def message(plan: Plan, variant: Variant, constants: Mapping[str, str]) -> str:
    """Return the message of a variant's commit, without secrets; `constants` are those that the campaign sets."""
    sets = " ".join(f"{key}={value}" for key, value in constants.items())
    head = " ".join(["experiment:", variant.name, *([sets] if sets else []), f"(issue {plan.spec.issue.number})"])
    return make_postable(f"{head}\n\n{variant.why}".strip(), secrets(os.environ))


# --- commands ---------------------------------------------------------------------------------------------


def effective_commands(ledger: Ledger, spec: Spec, request: CampaignRequest, round: Round) -> list[CommandRecord]:
    """Return the commands that count: those obeyed of the issue as it reads now; of an answer, those given before it.

    A command to one round of an issue in prose does not concern another, unless it gives a budget.
    """
    until = ledger.campaigns(spec.issue.number)[-1].at if request.answered else None
    own = round.number if spec.proposals else 0
    return [
        record
        for record in all_commands(ledger, spec)
        if record.obeyed
        and (record.round == own or record.command.startswith("/budget"))
        and (until is None or record.at <= until)
    ]


def all_commands(ledger: Ledger, spec: Spec) -> list[CommandRecord]:
    """Return the commands to the issue as it reads now, obeyed or not, oldest first."""
    given = ledger.records_of(CommandRecord, spec.issue.number)
    return [record for record in given if record.body_sha256 == spec.body_sha256]


# --- what the user should know ----------------------------------------------------------------------------


def _issue_notices(issue: Issue, ledger: Ledger, spec: Spec) -> list[str]:
    """Return what was not read of an issue, and that commands were given to another text of it."""
    notices = []
    if spec.read_by != "strict" and (reading := recorded(ledger, issue)):
        notices.append(f"{spec.read_by} has read this issue, for ${reading.usd:.4f}: see how before you trust it")
    if hidden := describe_removed(issue.title, issue.body):
        notices.append(f"hidden in the issue, and not read: {hidden}")
    given = [one for one in ledger.records_of(CommandRecord, issue.number) if one.obeyed and commands.changes(one)]
    if old := sum(record.body_sha256 != spec.body_sha256 for record in given):
        notices.append(
            f"the issue was edited since: {old} of the commands given before it no longer count; give them again"
        )
    return notices


def _base_notices(repo: Repository, base: Base, machine: Machine) -> list[str]:
    """Return what the user may not expect of the base or of the machine."""
    notices = []
    if not repo.is_ancestor(base.commit, "HEAD") and not repo.is_ancestor("HEAD", base.commit):
        join = f"git merge {baseline_branch(base.track.name)}"
        notices.append(f"HEAD has commits that the baseline {base.commit[:7]} lacks; to build on both: {join}")
    if machine.hidden and not machine.gpus:
        notices.append(f"CUDA_VISIBLE_DEVICES hides {', '.join(machine.hidden)}: running on the processor")
    return notices


# --- what would stop a campaign ---------------------------------------------------------------------------


def _closed_by_us(ledger: Ledger, issue: Issue) -> bool:
    """Return whether the issue is closed because it has its verdict: it then answers as if it were open."""
    began = [one for one in ledger.campaigns(issue.number) if one.body_sha256 == parser.digest(issue.body)]
    closed = any(post.what == "close" for post in ledger.records_of(DeliveryRecord, issue.number))
    return closed and any(ledger.verdict(one) for one in began)


def _check_cap(plan: Plan) -> None:
    cap_s = plan.spec.cap_s
    if cap_s is not None and plan.estimate_s is not None and plan.estimate_s > cap_s:
        raise BadInput(
            f"the campaign takes about {plan.estimate_s / 60:.0f} minutes and its size label allows {cap_s / 60:.0f}",
            where=plan.spec.issue.source,
            next_step="lower the budget (--budget 120), take fewer variants, or give the issue a larger size label",
        )

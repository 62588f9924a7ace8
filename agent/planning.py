"""From what the user asked to a Plan: the issue read, every variant resolved, the time counted. Writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from agent import gate, preflight, registry, spec, tracks
from agent.core import (
    BadInput,
    Budget,
    Clock,
    GateKind,
    GateRules,
    Issue,
    PostRecord,
    Profile,
    Spec,
    Strategy,
    Track,
    Tracker,
)
from agent.ledger import Ledger
from agent.machine import Machine
from agent.preflight import Resolved, Sources
from agent.repo import Repository
from agent.strategies import STRATEGIES
from agent.untrusted import removed

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
    answered: bool = False  # by an earlier campaign that is only asked about: a closed issue may be


@dataclass(frozen=True)
class Plan:
    """An issue made ready to run. `base` is the commit that the variants are edits of, `estimate_s` None if unknown."""

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
    retry: bool

    @property
    def order(self) -> tuple[str, ...]:
        """The variants' names in the order in which they run."""
        return tuple(one.variant.name for one in self.variants)

    def resolved(self, name: str) -> Resolved:
        """The variant (or the baseline) called `name`."""
        return next(one for one in (self.baseline, *self.variants) if one.variant.name == name)


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
    base = base_commit(repo, ledger, track, issue.number)
    if request.answered:
        base = ledger.campaigns(issue.number)[-1].base
    sources = _sources(repo, track, base)
    _check_branches(repo, track, issue.number)
    _check_committed(repo, track, base, request.committed)
    baseline = preflight.baseline(track, sources)
    told = spec.parse(issue, track, baseline.constants)
    propose = cast(Strategy, registry.load(STRATEGIES, "strategy", told.strategy))
    variants = preflight.variants(told, track, sources, propose(told, base, []))
    preflight.concerns(variants, request.profile)
    _check_memory((baseline, *variants), request.profile, machine)
    budget = request.budget or told.budget or Budget("seconds", track.budget_s)
    clock = _clock(request, budget)
    rules = _rules(request, told, track)
    estimate = _estimate(budget, clock, request.profile, gate.plan_size(rules, len(variants)), len(variants))
    _check_cap(told, estimate)
    notices = (*_unread(issue), *_notices(repo, track, base, machine))
    settled = (request.profile, request.corpus, clock, budget, rules, estimate, notices, request.retry)
    return Plan(told, track, base, baseline, tuple(variants), *settled)


def _closed_by_us(ledger: Ledger, issue: Issue) -> bool:
    """Whether the issue is closed because it has its verdict: it then answers as if it were open."""
    asked, closed = (
        ledger.campaigns(issue.number),
        any(p.what == "close" for p in ledger.about(PostRecord, issue.number)),
    )
    return closed and ledger.verdict(asked[-1]) is not None and asked[-1].body_sha256 == spec.digest(issue.body)


def resolved_at(repo: Repository, track: Track, commit: str) -> Resolved:
    """The track's script as committed there, resolved."""
    return preflight.baseline(track, _sources(repo, track, commit))


def base_commit(repo: Repository, ledger: Ledger, track: Track, issue: int) -> str:
    """The commit an issue's variants are edits of: what it started from before, else the baseline, else HEAD.

    A HEAD that contains the baseline is ahead of it by the user's own commits, and is what the user means. An issue
    stays with its base, and so with its answer, until the user changes one of the track's files: what experiments
    promote meanwhile does not ask its question again.
    """
    head = repo.resolve("HEAD")
    assert head is not None
    now = repo.resolve(f"refs/heads/{branch(track.name)}")
    natural = head if now is None or repo.is_ancestor(now, head) else now
    began = [c.base for c in ledger.campaigns(issue) if c.conditions.track == track.name and repo.resolve(c.base)]
    won = [commit for commit in _winners(ledger, track) if repo.resolve(commit)]
    own = any(same_files(repo, track, known, natural) for known in began[-1:] + won)
    return began[-1] if began and own else natural


def _winners(ledger: Ledger, track: Track) -> list[str]:
    """The commits that verdicts keep, promoted or about to be: a crash may have come in between."""
    campaigns = [c for c in ledger.campaigns() if c.conditions.track == track.name]
    verdicts = [(campaign, record.verdict) for campaign in campaigns if (record := ledger.verdict(campaign))]
    return [c.commits[said.variant] for c, said in verdicts if said.decision == "keep" and said.variant]


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


def _sources(repo: Repository, track: Track, base: str) -> Sources:
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


def _check_memory(resolved: Sequence[Resolved], profile: Profile, machine: Machine) -> None:
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

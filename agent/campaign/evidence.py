"""What the ledger knows of a campaign: observations for the gate, steps for the clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from agent.audit.integrity import HOLDOUT_FILE
from agent.audit.metrics import METRICS
from agent.campaign.estimate import PROBE_ROUNDS
from agent.campaign.plan import Plan
from agent.core.experiment import BASELINE
from agent.core.frozen import frozen
from agent.core.records import AuditRecord, CampaignRecord, CommandRecord, RunRecord
from agent.core.runs import Role
from agent.gate.history import History, Measurement, Replicates, decision_runs, read_history
from agent.spec.commands import changes
from agent.spec.preflight import Resolved
from agent.store.ledger import Ledger

if TYPE_CHECKING:
    from agent.audit.timing import Timing

_EXPLORING = {True: ("baseline",), False: ("screen",)}  # the roles of an exploration's runs, of the baseline and others


@dataclass
class _Snapshot:
    """What the ledger has had of a campaign's trees up to one of its records: an index that each step takes further.

    `chain` has the campaigns whose failures and probes count as this one's (see `campaign_chain`).
    """

    chain: frozenset[str]
    names: Mapping[str, str]  # of the campaign's trees
    read: int = 0  # runs under the campaign's conditions that were looked at
    runs: dict[str, list[RunRecord]] = field(default_factory=dict)  # that count, by tree
    probes: dict[str, list[RunRecord]] = field(default_factory=dict)  # by tree
    failed_probes: dict[str, RunRecord] = field(default_factory=dict)  # the first of a tree
    measurements: list[Measurement] = field(default_factory=list)  # of the runs that count
    explored: list[Measurement] = field(default_factory=list)  # those of them that an exploration may see
    slowest: float | None = None  # seconds that one unit of work took the slowest run


@frozen
class CampaignView:
    """A campaign's view of the ledger: a snapshot with indexes by tree and role, taken once a step.

    A step ends where the ledger has new records; of those alone the next snapshot learns.
    """

    plan: Plan
    campaign: CampaignRecord
    ledger: Ledger
    corpus: Path | None = None  # the folder of the prepared corpus, known while a campaign runs
    _latest: list[_Snapshot] = field(default_factory=list, init=False, repr=False, compare=False)

    def _snapshot(self) -> _Snapshot:
        chain = campaign_chain(self.ledger, self.campaign)
        if not self._latest or self._latest[0].chain != chain:
            names = {tree: name for name, tree in self.campaign.trees.items()}
            self._latest[:] = [_Snapshot(frozenset(chain), names)]
        snapshot = self._latest[0]
        for run in self.ledger.runs_since(self.campaign.conditions, snapshot.read):
            snapshot.read += 1
            if run.tree in snapshot.names:
                self._add(snapshot, run)
        return snapshot

    def _add(self, snapshot: _Snapshot, run: RunRecord) -> None:
        """Put a run of one of the campaign's trees where it belongs.

        A failure, a slow neighbour and a probe count in their own campaign only.
        """
        name, own = snapshot.names[run.tree], run.campaign_id in snapshot.chain
        if run.role == "probe":
            if own:
                snapshot.probes.setdefault(run.tree, []).append(run)
            if own and run.status != "ok":
                snapshot.failed_probes.setdefault(run.tree, run)
        elif (run.status == "ok" or own) and not self._ran_unsandboxed(name, run):
            snapshot.runs.setdefault(run.tree, []).append(run)
            snapshot.measurements.append(_measurement(name, run, own))
            if run.at < min(snapshot.chain) or (own and run.role in _EXPLORING[name == BASELINE]):
                snapshot.explored.append(snapshot.measurements[-1])
            if run.status == "ok":
                snapshot.slowest = max(snapshot.slowest or 0.0, run.seconds / self._work_ratio(name))

    def _ran_unsandboxed(self, name: str, run: RunRecord) -> bool:
        """Return whether a run of a model's code was made outside of the sandbox that this campaign requires of it."""
        return self.campaign.sandbox != "none" and run.sandbox == "none" and self.plan.has_model_code(name)

    def failed_probe(self, name: str) -> RunRecord | None:
        """Return the probe of a variant that failed in this campaign: with it the variant has failed."""
        return self._snapshot().failed_probes.get(self.campaign.trees[name])

    def ok_runs(self, name: str) -> list[RunRecord]:
        """Return the runs of a variant that ended well."""
        return [run for run in self.runs(name) if run.status == "ok"]

    def runs(self, name: str) -> list[RunRecord]:
        """Return the comparable runs of a variant's tree, whichever campaign made them, as they ended."""
        return list(self._snapshot().runs.get(self.campaign.trees[name], ()))

    def probes(self, name: str) -> list[RunRecord]:
        """Return the probes of a variant in this campaign."""
        return list(self._snapshot().probes.get(self.campaign.trees[name], ()))

    def missing_probes(self) -> list[tuple[str, int]]:
        """Return name and round of the probes still to run, interleaved; a variant whose probe failed gets no more."""
        names = [BASELINE, *self.plan.order]
        done = {name: self.probes(name) for name in names}
        return [
            (name, number)
            for number in range(PROBE_ROUNDS)
            for name in names
            if number not in {run.seed for run in done[name]} and all(run.status == "ok" for run in done[name])
        ]

    def steps(self, name: str) -> int:
        """Return the steps that the calibrated clock gives a variant.

        A tree that has comparable runs keeps their number. The baseline otherwise gets the budget over its step time,
        and a variant the baseline's steps times the ratio of their step times, which were probed in one session.
        """
        earlier = [run.steps for run in self.runs(name) if run.steps is not None]
        if earlier:
            return earlier[-1]
        if name == BASELINE:
            return max(1, round(self.plan.budget.amount / self._step_seconds(name)))
        return max(1, round(self.steps(BASELINE) * self._step_seconds(BASELINE) / self._step_seconds(name)))

    def _step_seconds(self, name: str) -> float:
        """Return the seconds a step when the machine is quiet: the lowest of the probes' low quantiles."""
        return min(run.metrics["step_seconds"] for run in self.probes(name) if run.status == "ok")

    def measurements(self) -> list[Measurement]:
        """Return what the gate may know: failed probes and audits, then the runs in the order in which they ended.

        A failed probe counts as a failed run, and so does a winner that failed its audit. Neither took the place of a
        run: before the first measurement of the baseline they are not among those after which it is measured again.
        """
        snapshot = self._snapshot()
        probes = [self._failed_probe(snapshot.names[tree], one) for tree, one in snapshot.failed_probes.items()]
        audits = [_failed_audit(one) for one in self.audits() if one.status == "failed" and one.variant != BASELINE]
        return probes + audits + snapshot.measurements

    def explored(self) -> list[Measurement]:
        """Return what an exploration may know: failed probes, what ran before the campaign, and its screening runs.

        Runs that come later for another reason (to confirm a candidate, or for another issue) are left out: the next
        candidates follow from what was known, and a campaign that is taken up again must come to the same ones.
        """
        snapshot = self._snapshot()
        probes = [self._failed_probe(snapshot.names[tree], one) for tree, one in snapshot.failed_probes.items()]
        return probes + snapshot.explored

    def audits(self) -> list[AuditRecord]:
        """Return the audits of this campaign's chain, after those of others that stand against its variants."""
        chain, standing = self._snapshot().chain, self._standing_audits()
        own = [one for one in self.ledger.records_of(AuditRecord, self.campaign.issue) if one.campaign_id in chain]
        others = [standing[name] for name in self.campaign.trees if name in standing] if standing else []
        return [one for one in others if one not in own and one.campaign_id not in chain] + own

    def standing_audit(self, name: str) -> AuditRecord | None:
        """Return the audit that stands against a variant's tree under the same conditions, by this campaign's name.

        A tree that was refused stays refused and one that waits for a person goes on waiting, in every campaign and
        under every name: else whoever asks again draws again, until a draw passes. One that passed binds nobody.
        """
        return self._standing_audits().get(name)

    def _standing_audits(self) -> dict[str, AuditRecord]:
        names, standing = self._snapshot().names, dict[str, AuditRecord]()
        audits = self.ledger.audited(self.campaign.conditions)
        for status in ("failed", "quarantined"):
            for tree, one in audits:
                if one.status == status and (name := names.get(tree, BASELINE)) != BASELINE:
                    standing.setdefault(name, replace(one, variant=name))
        return standing

    def _failed_probe(self, name: str, probe: RunRecord) -> Measurement:
        role: Role = "baseline" if name == BASELINE else "screen"
        return Measurement(name, self.plan.rules.seeds[0], role, None, failure=f"{probe.status}, in its probe")

    def history(self) -> History:
        """Return what the gate makes of the measurements."""
        return read_history(self.campaign.gate, self.plan.order, self.measurements())

    def decision_runs(self, name: str) -> list[RunRecord]:
        """Return the runs that a verdict on a variant rests on."""
        return decision_runs(self.history(), name, self.runs(name))

    def timed(self, name: str) -> "Timing":
        """Return what the audit's clock looks at."""
        from agent.audit.timing import Timing, seconds_ratio

        runs, base_runs = self.decision_runs(name), self.decision_runs(BASELINE)
        work = self._work_ratio(name) if self.plan.baseline.shapes else seconds_ratio(runs, base_runs)
        return Timing(runs, base_runs, work, self.plan.has_model_code(name))

    def replicate_groups(self) -> list[Replicates]:
        """Return the replicates of other trees under the same conditions, by seed: they tell the noise.

        Screening runs are left out: the one that led was selected for being low. So are trees that failed an audit.
        """
        excluded, values = {*self.campaign.trees.values(), *self.ledger.failed_trees()}, dict[str, dict[int, float]]()
        for run in self.ledger.runs(self.campaign.conditions):
            if run.tree not in excluded and run.role != "screen" and run.status == "ok" and run.metric is not None:
                values.setdefault(run.tree, {})[run.seed] = run.metric
        return [group for group in values.values() if len(group) > 1]

    def usual_seconds(self, name: str) -> float | None:
        """Return the seconds that a run takes in all, by the slowest so far and the FLOPs of both; None before one."""
        slowest = self._snapshot().slowest
        return None if slowest is None else slowest * self._work_ratio(name)

    def _work_ratio(self, name: str) -> float:
        """Return the FLOPs a token over the baseline's, or 1 where either script has no shape."""
        own, base = (self.plan.resolved(one).shapes.get(self.plan.profile) for one in (name, BASELINE))
        return own.flops_per_token / base.flops_per_token if own and base and base.flops_per_token else 1.0

    def usual_speed(self, run: RunRecord) -> list[float]:
        """Return the tokens per second of the comparable quiet runs of the same tree."""
        runs = self.ledger.runs_of_tree(self.campaign.conditions, run.tree)
        quiet = [one for one in runs if one.status == "ok" and one.role != "probe"]
        return [one.metrics["tokens_per_second"] for one in quiet if "tokens_per_second" in one.metrics]

    def spent(self) -> float:
        """Return the seconds of device time that this campaign and those before it in its chain have used."""
        issue = self.campaign.issue
        return sum(run.seconds for one in self._snapshot().chain for run in self.ledger.runs_of_campaign(issue, one))


def campaign_chain(ledger: Ledger, campaign: CampaignRecord) -> set[str]:
    """Return a campaign and those it took over from when people steered (by their `at`): undecided, of the same text.

    Together they are one: what one of them has seen fail, probed or spent, the next has too.
    """
    chain = {campaign.at}
    commands = ledger.records_of(CommandRecord, campaign.issue)
    if not any(one.obeyed and changes(one) and one.body_sha256 == campaign.body_sha256 for one in commands):
        return chain
    same = [one for one in ledger.campaigns(campaign.issue) if one.body_sha256 == campaign.body_sha256]
    for earlier in reversed([one for one in same if one.at < campaign.at]):
        if ledger.verdict(earlier):
            break
        chain.add(earlier.at)
    return chain


def why_not_auditable(campaign: CampaignRecord) -> str:
    """Return why no winner of a campaign can be audited; empty where one can."""
    if HOLDOUT_FILE not in campaign.pins:
        return f"the track's prepare.py prepares no {HOLDOUT_FILE}, so there is nothing to confirm a gain on"
    if campaign.metric not in METRICS or campaign.gate.goal != "min":
        return f"the audit scores {' and '.join(METRICS)}, of which fewer are better, and not this track's metric"
    return ""


def _measurement(name: str, run: RunRecord, own: bool) -> Measurement:
    role = cast(Role, run.role)  # the ledger keeps probes apart
    failure = "" if run.status == "ok" else run.status
    return Measurement(name, run.seed, role, run.metric, run.status == "contended", failure, own)


def _failed_audit(audit: AuditRecord) -> Measurement:
    failure = f"it failed its audit ({', '.join(audit.failed)})"
    return Measurement(audit.variant, None, "confirm", None, failure=failure)


def constants_set(plan: Plan, one: Resolved) -> dict[str, str]:
    """Return the constants that any variant of the plan sets, with this one's values."""
    return {name: str(one.constants[name]) for name in plan.constants}

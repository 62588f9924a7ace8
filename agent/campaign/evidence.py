"""What the ledger knows of a campaign: observations for the gate, steps for the clock."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from agent.audit import timing
from agent.audit.integrity import HOLDOUT_FILE
from agent.campaign.estimate import PROBE_ROUNDS
from agent.campaign.plan import Plan
from agent.core.experiment import BASELINE
from agent.core.records import AuditRecord, CampaignRecord, CommandRecord, RunRecord
from agent.core.runs import Role
from agent.gate.verdict import Measurement
from agent.spec.commands import changes
from agent.spec.preflight import Resolved
from agent.store.ledger import Ledger


@dataclass(frozen=True)
class CampaignView:
    """A campaign's view of the ledger. It reads the ledger anew at each question, so it is never out of date."""

    plan: Plan
    campaign: CampaignRecord
    ledger: Ledger
    corpus: Path | None = None  # the folder of the prepared corpus, known while a campaign runs

    def good(self, name: str) -> list[RunRecord]:
        """The runs of a variant that ended well."""
        return [run for run in self.runs(name) if run.status == "ok"]

    def runs(self, name: str) -> list[RunRecord]:
        """The comparable runs of a variant's tree, whichever campaign made them, in the order in which they ended."""
        return [run for run in self._counted() if run.tree == self.campaign.trees[name]]

    def _counted(self) -> list[RunRecord]:
        """Comparable runs that say something here: a failure, or a slow neighbour, counts in its own campaign only."""
        runs, own = self.ledger.runs(self.campaign.conditions), campaign_chain(self.ledger, self.campaign)
        return [run for run in runs if (run.status == "ok" or run.campaign_id in own) and not self._loose(run)]

    def _loose(self, run: RunRecord) -> bool:
        """Whether a run of a model's code was made outside of the sandbox that this campaign demands of it."""
        names = {tree: name for name, tree in self.campaign.trees.items()}
        demanded = self.campaign.sandbox != "none" and run.tree in names and run.sandbox == "none"
        return demanded and self.plan.has_model_code(names[run.tree])

    def probes(self, name: str) -> list[RunRecord]:
        """The probes of a variant in this campaign."""
        found = self.ledger.runs(self.campaign.conditions, role="probe")
        tree, own = self.campaign.trees[name], campaign_chain(self.ledger, self.campaign)
        return [run for run in found if run.tree == tree and run.campaign_id in own]

    def missing_probes(self) -> list[tuple[str, int]]:
        """Name and round of the probes still to run, interleaved; a variant whose probe failed gets no more."""
        names = [BASELINE, *self.plan.order]
        done = {name: self.probes(name) for name in names}
        return [
            (name, number)
            for number in range(PROBE_ROUNDS)
            for name in names
            if number not in {run.seed for run in done[name]} and all(run.status == "ok" for run in done[name])
        ]

    def steps(self, name: str) -> int:
        """The steps that the calibrated clock gives a variant.

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
        """Seconds a step when the machine is quiet: the lowest of the probes' low quantiles."""
        return min(run.metrics["step_seconds"] for run in self.probes(name) if run.status == "ok")

    def seen(self) -> list[Measurement]:
        """What the gate may know: failed probes and refusals, then the runs in the order in which they ended.

        A failed probe counts as a failed run, and so does a winner that failed its audit. Neither took the place of a
        run: before the first measurement of the baseline they are not among those after which it is measured again.
        """
        names = {tree: name for name, tree in self.campaign.trees.items()}
        failed = [
            self._failed_probe(name) for name in names.values() if any(p.status != "ok" for p in self.probes(name))
        ]
        refused = [_refused(one) for one in self.audits() if one.status == "failed" and one.variant != BASELINE]
        return failed + refused + [_observation(names[run.tree], run) for run in self._counted() if run.tree in names]

    def audits(self) -> list[AuditRecord]:
        """The audits of this campaign and of those that it took over from; and what binds it of others (`binding`)."""
        own = campaign_chain(self.ledger, self.campaign)
        made = [one for one in self.ledger.records_of(AuditRecord, self.campaign.issue) if one.campaign_id in own]
        held = (self.binding(name) for name in self.campaign.trees if name != BASELINE)
        return [one for one in held if one and one not in made and one.campaign_id not in own] + made

    def binding(self, name: str) -> AuditRecord | None:
        """What an audit has found of a variant's tree under the same conditions, by this campaign's name for it.

        A tree that was refused stays refused and one that waits for a person goes on waiting, in every campaign and
        under every name: else whoever asks again draws again, until a draw passes. One that passed binds nobody.
        """
        found = self.ledger.audited(self.campaign.conditions, self.campaign.trees[name])
        worst = [one for status in ("failed", "quarantined") for one in found if one.status == status]
        return replace(worst[0], variant=name) if worst else None

    def _failed_probe(self, name: str) -> Measurement:
        role: Role = "baseline" if name == BASELINE else "screen"
        how = next(probe.status for probe in self.probes(name) if probe.status != "ok")
        return Measurement(name, self.plan.rules.seeds[0], role, None, failure=f"{how}, in its probe")

    def counting(self, name: str) -> list[RunRecord]:
        """The good runs that a verdict rests on, the last of each seed: no screening run where there are others."""
        good = self.good(name)
        return list({run.seed: run for run in [run for run in good if run.role != "screen"] or good}.values())

    def timed(self, name: str) -> timing.Timing:
        """What the audit's clock looks at."""
        flops = self._work(name) / self._work(BASELINE)
        return timing.Timing(self.counting(name), self.counting(BASELINE), flops, self.plan.has_model_code(name))

    def groups(self) -> list[list[float]]:
        """Replicates of other trees under the same conditions: more degrees of freedom for sigma.

        Screening runs are left out: the one that led was selected for being low. So are trees that failed an audit.
        """
        own, values = {*self.campaign.trees.values(), *self.ledger.failed_trees()}, dict[str, list[float]]()
        for run in self.ledger.runs(self.campaign.conditions):
            if run.tree not in own and run.role != "screen" and run.status == "ok" and run.metric is not None:
                values.setdefault(run.tree, []).append(run.metric)
        return [group for group in values.values() if len(group) > 1]

    def usual_seconds(self, name: str) -> float | None:
        """What a run of `name` should take in all, by the slowest run so far and the FLOPs of both; None before one."""
        names = {tree: known for known, tree in self.campaign.trees.items()}
        runs = [run for run in self._counted() if run.status == "ok" and run.tree in names]
        paces = [run.seconds / self._work(names[run.tree]) for run in runs]
        return max(paces) * self._work(name) if paces else None

    def _work(self, name: str) -> float:
        """FLOPs a token, or 1 for a script that has no shape."""
        shape = self.plan.resolved(name).shapes.get(self.plan.profile)
        return 1.0 if shape is None else float(shape.flops_per_token)

    def usual_speed(self, run: RunRecord) -> list[float]:
        """Tokens per second of the comparable quiet runs of the same tree."""
        runs = [r for r in self.ledger.runs(self.campaign.conditions) if r.tree == run.tree and r.status == "ok"]
        return [r.metrics["tokens_per_second"] for r in runs if "tokens_per_second" in r.metrics]

    def spent(self) -> float:
        """Seconds of device time that this campaign has used, with those it took over from, whatever their budget."""
        own = campaign_chain(self.ledger, self.campaign)
        return sum(
            run.seconds for run in (*self.ledger.runs(), *self.ledger.runs(role="probe")) if run.campaign_id in own
        )


def campaign_chain(ledger: Ledger, campaign: CampaignRecord) -> set[str]:
    """A campaign and those it took over from when people steered (by their `at`): undecided, and of the same text.

    Together they are one: what one of them has seen fail, probed or spent, the next has too.
    """
    same = [c for c in ledger.campaigns(campaign.issue) if c.body_sha256 == campaign.body_sha256]
    found = {campaign.at}
    said = ledger.records_of(CommandRecord, campaign.issue)
    if not any(one.obeyed and changes(one) and one.body_sha256 == campaign.body_sha256 for one in said):
        return found
    before = [c for c in same if c.at < campaign.at]
    for earlier in reversed(before):
        if ledger.verdict(earlier):
            break
        found.add(earlier.at)
    return found


def why_not_auditable(campaign: CampaignRecord) -> str:
    """Why no winner of a campaign can be audited; empty where one can."""
    if HOLDOUT_FILE not in campaign.pins:
        return f"the track's prepare.py prepares no {HOLDOUT_FILE}, so there is nothing to confirm a gain on"
    if campaign.gate.goal != "min":  # the scorer knows one metric
        return "the audit scores bits per byte, of which fewer are better, and more of this track's metric are"
    return ""


def _observation(name: str, run: RunRecord) -> Measurement:
    role = cast(Role, run.role)  # the ledger keeps probes apart
    slowed, failure = run.status == "contended", "" if run.status == "ok" else run.status
    return Measurement(name, run.seed, role, run.metric, slowed, failure)


def _refused(found: AuditRecord) -> Measurement:
    failure = f"audit: {', '.join(found.failed)}"
    return Measurement(found.variant, -1, "confirm", None, failure=failure)  # on no seed that any run has


def constants_set(plan: Plan, one: Resolved) -> dict[str, str]:
    """Return the constants that any variant of the plan sets, with this one's values."""
    return {name: str(one.constants[name]) for name in plan.constants}

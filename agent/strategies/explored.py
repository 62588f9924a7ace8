"""A strategy that explores first: then the gate confirms what it has found best, on fresh seeds. Pure."""

from dataclasses import replace

from agent.core.experiment import BASELINE, GateRules
from agent.core.runs import Decision, Role, Verdict
from agent.core.trials import Exploration, Findings, Picture, Question, Trial
from agent.gate.history import sign
from agent.gate.results import GateResult
from agent.gate.schedule import ScheduledRun, next_runs, plan_size
from agent.gate.stats import mean
from agent.gate.verdict import judge
from agent.strategies.strategy import CampaignState, CampaignStep, Conclusion
from agent.strategies.trials import claims_tables, read_trials


class Explored:
    """An exploration, and after it the gate's own campaign of the one candidate that it names.

    What was explored has the role of a screening run: it chose the candidate, so no verdict rests on it. Where the gate
    only reports, the exploration is all there is.
    """

    def __init__(self, exploration: Exploration) -> None:
        self._exploration = exploration

    def check(self, question: Question) -> None:
        """Raise BadInput for what cannot be explored."""
        self._exploration.check(question)

    def next_step(self, state: CampaignState) -> CampaignStep:
        """Return what the exploration asks for, and after it the gate's runs."""
        trials = read_trials(state)
        step = self._exploration.next_step(state.question, trials)
        if step.candidates or step.runs:
            runs = (ScheduledRun(one.name, one.seed, _role(one.name)) for one in step.runs)
            return CampaignStep(step.candidates, tuple(runs))
        best = self._best(state, trials)
        if state.rules.kind == "report" or best is None:
            return CampaignStep()
        return CampaignStep(runs=tuple(next_runs(state.rules, (best,), state.measurements, state.groups)))

    def conclude(self, state: CampaignState) -> Conclusion:
        """Return the findings, and the gate's verdict on the best candidate."""
        findings = self.findings(state)
        return Conclusion(self._result(state, read_trials(state), findings), findings)

    def findings(self, state: CampaignState) -> Findings:
        """Return what the exploration says by now, and what became of the issue's claims."""
        trials = read_trials(state)
        findings = self._exploration.conclude(state.question, trials)
        best = self._exploration.best(state.question, trials)
        return replace(findings, tables=(*claims_tables(state, best), *findings.tables))

    def pictures(self, state: CampaignState) -> tuple[Picture, ...]:
        """Return the exploration's pictures."""
        return self._exploration.pictures(state.question, read_trials(state))

    def size(self, question: Question, rules: GateRules, variants: int) -> int:  # noqa: ARG002 (the Protocol's)
        """Return the runs of the exploration and of the gate after it."""
        gated = 0 if rules.kind == "report" else plan_size(rules, 1)
        return self._exploration.size(question) + gated

    def _best(self, state: CampaignState, trials: list[Trial]) -> str | None:
        """Return the best candidate that no audit has refused; None where that is the baseline."""
        audited = {one.variant for one in state.measurements if one.seed is None and one.value is None}
        best = self._exploration.best(state.question, [one for one in trials if one.name not in audited])
        return None if best == BASELINE else best

    def _result(self, state: CampaignState, trials: list[Trial], findings: Findings) -> GateResult:
        best = self._best(state, trials)
        measured = {one.name: _measured(one, sign(state.rules)) for one in trials if one.name != BASELINE}
        if best is None:
            reason = findings.headline or "no candidate has a value"
            return GateResult(
                Verdict(None, _decision(state, trials), None, None, 0, None, reason), tuple(measured.values())
            )
        if state.rules.kind == "report":
            verdict = replace(measured[best], reason=findings.headline)
            return GateResult(verdict, tuple(measured.values()))
        result = judge(state.rules, (best,), state.measurements, state.groups)
        measured.update((one.variant, one) for one in result.variants if one.variant)
        return GateResult(result.verdict, tuple(measured.values()))


def _role(name: str) -> Role:
    """Return the role of an exploration's run; one of the baseline was chosen by nobody, and counts as such."""
    return "baseline" if name == BASELINE else "screen"


def _decision(state: CampaignState, trials: list[Trial]) -> Decision:
    """Return the decision where no candidate is the best: none ran well, none is better than the base, or a report."""
    if not any(one.values and not one.failure for one in trials):
        return "failed"
    return "measured" if state.rules.kind == "report" else "discard"


def _measured(trial: Trial, direction: int) -> Verdict:
    """Return the row of a candidate that was explored and not judged."""
    if trial.failure or not trial.values:
        reason = f"{trial.name}: {trial.failure or 'it did not run'}"
        return Verdict(trial.name, "failed", None, None, 0, None, reason)
    average, n = direction * mean(trial.values.values()), len(trial.values)
    reason = f"{trial.name}: mean {average:.6g} of {n} run{'s' * (n > 1)}, explored"
    return Verdict(trial.name, "measured", None, None, n, None, reason, average)

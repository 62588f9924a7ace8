"""The trials of a campaign: every candidate with what was measured of it, and the issue's claims against them. Pure."""

from dataclasses import replace

from agent.core.claims import BEST
from agent.core.trials import Candidate, Table, Trial
from agent.gate.history import sign, tally
from agent.strategies.strategy import CampaignState


def read_trials(state: CampaignState) -> list[Trial]:
    """Return every candidate with what its exploration has measured, those of the issue first."""
    runs: dict[str, list[int]] = {}
    for at, one in enumerate(state.explored):
        runs.setdefault(one.variant, []).append(at)
    return [_trial(state, one, runs.get(one.name, [])) for one in (*state.question.variants, *state.candidates)]


def _trial(state: CampaignState, candidate: Candidate, runs: list[int]) -> Trial:
    tallied = tally([state.explored[at] for at in runs], sign(state.rules))
    refused = candidate.name in state.refused
    return Trial(
        candidate=candidate,
        values=tallied.values,
        failure=state.refused[candidate.name] if refused else tallied.failure,
        refused=refused,
        metrics=state.metrics.get(candidate.name, {}),
    )


def claims_tables(state: CampaignState, best: str | None = None) -> tuple[Table, ...]:
    """Return what became of the issue's claims, as a table; none where it makes none. `best` goes by that word too."""
    if not state.question.claims:
        return ()
    from agent.strategies.claims import claims_table, judge_claims  # few issues claim anything

    trials = read_trials(state)
    trials += [replace(one, candidate=replace(one.candidate, name=BEST)) for one in trials if one.name == best]
    results = judge_claims(state.question.claims, state.question, trials, state.rules.goal)
    return (claims_table(results),)

"""Evolution of a population over a space of constants, with random search beside it at equal cost. Pure.

Its state is rebuilt from the trials, generation by generation: each plan follows from what the runs of those before it
said, whatever order they ended in, so an evolution that is stopped anywhere goes on as if it had not been.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from agent.core.trials import Ancestor, Effect, Findings, Picture, Question, Step, Trial
from agent.strategies import axes
from agent.strategies.breeding import FINAL_RUNS, SURVIVORS, is_hopeless, next_plan
from agent.strategies.effects import gain, parameter_pictures
from agent.strategies.lineage import ancestors, tables
from agent.strategies.lineage import pictures as lineage_pictures
from agent.strategies.population import Plan, Pool, Recorded, State, is_done, penalty, seed_at, start

COMPARISON = "evolution over random search"


def check(question: Question) -> None:
    """Raise BadInput where the space has an axis without a value."""
    axes.check(question.space)


def next_step(question: Question, trials: Sequence[Trial]) -> Step:
    """Return the candidates and runs that the present generation still lacks; empty when all is done."""
    recorded = {one.name: one for one in trials}
    plan = _replay(question, recorded)[1]
    return _missing(plan, question, recorded) if plan else Step()


def best(question: Question, trials: Sequence[Trial]) -> str | None:
    """Return the finalist with the better fitness, before the final the fittest of both sides; None: none has a value.

    Fitness is the shrunken loss plus the penalty, lower is better; evolution's wins a tie.
    """
    return _best(evolution(question, trials))


def lineage(question: Question, trials: Sequence[Trial]) -> tuple[Ancestor, ...]:
    """Return every organism in every generation that it lived in, and random search's beside them, for a picture."""
    return ancestors(evolution(question, trials))


def pictures(question: Question, trials: Sequence[Trial]) -> tuple[Picture, ...]:
    """Return the lineage, the best by value and the loss against parameters."""
    return (*lineage_pictures(evolution(question, trials)), *parameter_pictures(trials))


def evolution(question: Question, trials: Sequence[Trial]) -> State:
    """Return the state after the last complete generation."""
    return _replay(question, {one.name: one for one in trials})[0]


def size(question: Question) -> int:
    """Return the runs of both sides: of each generation's organisms and of its survivors once more, then the final."""
    each = question.evolve.generations * (question.evolve.population + SURVIVORS) + FINAL_RUNS
    return 2 * each


def conclude(question: Question, trials: Sequence[Trial]) -> Findings:
    """Return whether evolution beat random search, and the tables of the evolution so far."""
    state = evolution(question, trials)
    effect = comparison(state)
    leader = _best(state)
    return Findings(
        headline=_summary(state, leader, effect),
        effects=(effect,) if effect else (),
        tables=tables(state, state.final.bred if state.final else state.bred.best),
        notes=_notes(state),
    )


def comparison(state: State) -> Effect | None:
    """Return by how much evolution's best beat random search's on the fresh seeds of the final, penalties included.

    The runs that chose them do not count, so that being chosen for luck is no advantage. None: there is no final.
    """
    final = state.final
    if not final or not final.bred or not final.drawn:
        return None
    parsimony = state.question.evolve.parsimony
    drawn = _on(state.drawn_trials[final.drawn], final.seeds, parsimony)
    bred = _on(state.bred_trials[final.bred], final.seeds, parsimony)
    return gain(COMPARISON, drawn, bred, state.noise)


def _on(trial: Trial, seeds: Sequence[int], parsimony: float) -> Trial:
    """Return a trial with its runs on some seeds only, each with the penalty."""
    extra = penalty(trial, parsimony)
    return replace(trial, values={seed: trial.values[seed] + extra for seed in seeds if seed in trial.values})


def _replay(question: Question, recorded: Recorded) -> tuple[State, Plan | None]:
    """Return the state after the last complete generation, and the plan that is under way; None: all is done."""
    state = start(question)
    while plan := next_plan(state):
        missing = _missing(plan, question, recorded)
        if missing.candidates or missing.runs:
            return state, plan
        state = state.after(plan, recorded)
    return state, None


def _missing(plan: Plan, question: Question, recorded: Recorded) -> Step:
    """Return the candidates and runs of a plan that are not recorded."""
    first = seed_at(question, 0)
    runs = (*plan.bred_runs(first), *plan.drawn_runs(first))
    return Step(
        candidates=tuple(one for one in (*plan.born, *plan.drawn) if one.name not in recorded),
        runs=tuple(run for run in runs if not is_done(run, recorded)),
    )


def _best(state: State) -> str | None:
    final = state.final
    sides: list[tuple[Pool, str | None]] = [(state.bred, state.bred.best), (state.drawn, state.drawn.best)]
    if final:
        ended = [(state.bred, final.bred), (state.drawn, final.drawn)]
        sides = [(pool, name) for pool, name in ended if name in pool.ranked] or sides
    usable = [(pool.fitness[name], name) for pool, name in sides if name]
    return min(usable, key=lambda one: one[0])[1] if usable else None


# --- words ------------------------------------------------------------------------------------------------


def _summary(state: State, leader: str | None, effect: Effect | None) -> str:
    count = len(state.bred_trials) + len(state.drawn_trials)
    if not state.genes:
        return "Nothing evolved: the issue names no space. Add `space:` with a range or values for a constant."
    if leader is None:
        return _nothing(state, count)
    pool = state.bred if leader in state.bred_trials else state.drawn
    side = "evolution" if pool is state.bred else "random search"
    head = (
        f"Best of {count} candidates: {leader} of {side}, {pool.estimates[leader]:.4f} "
        f"(shrunken mean of {len(pool.trials[leader].values)} runs)"
    )
    return f"{head}. {_verdict(state, effect)}"


def _nothing(state: State, count: int) -> str:
    if not count:
        return "Nothing evolved yet: the first generation is not complete."
    failed = [one for one in (*state.bred_trials.values(), *state.drawn_trials.values()) if one.failure]
    reason = f" The first: {failed[0].name}: {failed[0].failure}." if failed else ""
    ended = " The evolution ended: look at the space's bounds." if is_hopeless(state) else ""
    return f"None of {count} candidates has a value; {len(failed)} failed.{reason}{ended}"


def _verdict(state: State, effect: Effect | None) -> str:
    """Return whether evolution beat random search, in a sentence with its interval."""
    if not state.final:
        done, of = len(state.generations), state.question.evolve.generations
        return f"The evolution is under way: {done} of {of} generations."
    if effect is None:
        return "Evolution and random search cannot be compared: one of them has no value on fresh seeds."
    runs, drawn = (sum(getattr(one, side) for one in state.generations) for side in ("runs", "random_runs"))
    return f"{_outcome(effect)}, on {effect.n} fresh seeds each, after {runs} and {drawn} runs."


def _outcome(effect: Effect) -> str:
    """Return who beat whom and by how much, or that it is open."""
    low, high = effect.interval or (-math.inf, math.inf)
    if high < 0:
        return f"Random search beat evolution by {-effect.gain:.4f} (90 %: {-high:.4f} to {-low:.4f})"
    if low > 0:
        return f"Evolution beat random search by {effect.gain:.4f} (90 %: {low:.4f} to {high:.4f})"
    bounds = "the noise is unknown" if effect.interval is None else f"90 %: {low:+.4f} to {high:+.4f}"
    return f"Whether evolution beats random search is open: its gain is {effect.gain:+.4f} ({bounds})"


def _notes(state: State) -> tuple[str, ...]:
    """Return what a reader has to know to trust the figures."""
    noise = state.noise
    sigma = f"{noise.sigma:.4f} on {noise.dof} degrees of freedom" if noise.dof else "unknown"
    notes = [f"Run-to-run standard deviation, pooled over replicates: {sigma}; fitness is the mean shrunk by it."]
    usable = [one for one in (*state.bred_trials.values(), *state.drawn_trials.values()) if one.values]
    parsimony = state.question.evolve.parsimony
    if parsimony:
        notes.append(f"Fitness is loss + {parsimony:g} x ln(parameters x steps); the comparison too.")
    bare = [one.name for one in usable if parsimony and not penalty(one, parsimony)]
    if bare:
        notes.append(f"No penalty for {len(bare)} that report no num_params_M or num_steps, {bare[0]} first.")
    return tuple(notes)

"""The question that an issue asks of its strategy. Pure."""

from collections.abc import Mapping, Sequence

from agent.core.experiment import BASELINE, Constant, SetConstant, Spec, Variant
from agent.core.trials import Candidate, Question
from agent.strategies import registry


def read_question(
    spec: Spec, variants: Sequence[Variant], seeds: tuple[int, ...], constants: Mapping[str, object]
) -> Question:
    """Return what an issue asks; of one whose variants the gate alone schedules, no more than its number and seeds.

    A ladder stands on the baseline where the issue gives it no base of its own.
    """
    if spec.strategy in registry.GATED and not spec.claims and not spec.mix:
        return Question(issue=spec.issue.number, seeds=seeds, base={})
    listed = tuple(Candidate(name=one.name, sets=sets_of(one), origin="issue") for one in variants)
    on_baseline = spec.strategy == "ladder" and not spec.base
    foot = (Candidate(name=BASELINE, sets={}, origin="baseline"),) if on_baseline else ()
    return Question(
        issue=spec.issue.number,
        seeds=seeds,
        base={**{name: value for name, value in constants.items() if isinstance(value, Constant)}, **spec.base},
        variants=(*foot, *listed),
        space=spec.space,
        evolve=spec.evolve,
        search=spec.search,
        claims=spec.claims,
    )


def sets_of(variant: Variant) -> dict[str, Constant]:
    """Return the constants that a variant sets, by their full names."""
    return {edit.name: edit.value for edit in variant.edits if isinstance(edit, SetConstant)}


def variant_of(candidate: Candidate, script: str, base: Mapping[str, Constant]) -> Variant:
    """Return a candidate as a variant of a track's script; `base` is what all of an issue's variants set."""
    edits = tuple(SetConstant(script, name, value) for name, value in {**base, **candidate.sets}.items())
    origin = f"{candidate.origin} of {', '.join(candidate.parents)}" if candidate.parents else candidate.origin
    return Variant(candidate.name, edits, why=origin, where=f"candidate {candidate.name}")

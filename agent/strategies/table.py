"""The strategy of an issue with a table: its variants, in its order, once each. Proposals of an editor are a table."""

from collections.abc import Sequence

from agent.core.experiment import Spec, Variant
from agent.core.records import RunRecord


def propose(spec: Spec, baseline: str, history: Sequence[RunRecord]) -> list[Variant]:  # noqa: ARG001 (the Protocol's)
    """Return the variants of `spec` that have not run, in run order."""
    done = {run.variant for run in history}
    return [variant for variant in spec.variants if variant.name not in done]

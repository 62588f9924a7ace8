"""What the labels of an issue say: whether it is an experiment, and how long it may take in all. Pure."""

from agent.core.errors import BadInput
from agent.core.experiment import Issue

_CAPS = {"S": 3600.0, "M": 4 * 3600.0, "L": 12 * 3600.0}  # size of an experiment -> seconds it may take in all


def check_open(issue: Issue) -> None:
    """Raise BadInput for an issue that is closed, or that has no label experiment."""
    where, labels = issue.source or f"issue #{issue.number}", ", ".join(issue.labels) or "none"
    if issue.state.lower() != "open":
        raise BadInput(f"issue {issue.number} is {issue.state}", where=where, next_step="reopen it, or file a new one")
    if "experiment" not in (label.strip().lower() for label in issue.labels):
        raise BadInput("no label experiment", where=where, next_step=f"add it; the labels there are: {labels}")


def label_cap(issue: Issue) -> float | None:
    """Return the seconds that the label `size: S`, `M` or `L` allows."""
    pairs = [label.partition(":") for label in issue.labels]
    sizes = {size.strip().upper() for name, _, size in pairs if name.strip().lower() == "size"}
    if len(sizes) > 1 or not sizes <= _CAPS.keys():
        problem = f"unknown size: {' and '.join(sorted(sizes - _CAPS.keys()) or sorted(sizes))}"
        valid = "size: S (1 hour), size: M (4 hours), size: L (12 hours)"
        where = issue.source or f"issue #{issue.number}"
        raise BadInput(problem, where=where, next_step=f"give one of the labels {valid}")
    return _CAPS[sizes.pop()] if sizes else None

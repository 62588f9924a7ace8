"""The labels of an issue: what makes it an experiment, and what caps it. tests/spec/test_parser.py has the refusals."""

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Issue
from agent.spec.labels import check_open, label_cap


def test_an_open_issue_with_the_label_is_an_experiment_in_whatever_case() -> None:
    check_open(Issue(7, "t", "", (" Experiment ", "bug"), state="OPEN"))
    with pytest.raises(BadInput, match="no label experiment"):
        check_open(Issue(7, "t", "", ("experiments",)))


@pytest.mark.parametrize(("labels", "cap"), [((), None), (("size: S",), 3600), (("SIZE:l",), 43200)])
def test_the_size_caps_all_runs_together(labels: tuple[str, ...], cap: float | None) -> None:
    assert label_cap(Issue(7, "t", "", labels)) == cap

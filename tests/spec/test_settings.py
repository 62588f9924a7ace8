"""The settings block of an issue; tests/spec/test_parser.py has what each key does, and each mistake."""

import pytest

from agent.core.errors import BadInput
from agent.core.experiment import Issue
from agent.spec.markdown import IssueDocument, parse_issue
from agent.spec.parser import PROPOSALS
from agent.spec.settings import read_settings


def page(text: str) -> IssueDocument:
    return parse_issue(Issue(7, "a title", f"```yaml\n# autoresearch\n{text}\n```\n", source="i.md"))


def test_a_block_is_read_by_key_and_leaves_the_rest_to_the_issues_text() -> None:
    rest = {"track": None, "strategy": None, "variants": PROPOSALS, "budget": None, "gate": None}
    assert read_settings(page("seeds: [3, 1]")) == rest | {"seeds": [3, 1]}


def test_more_variants_than_a_round_may_have_are_refused_with_the_line() -> None:
    with pytest.raises(BadInput, match=r"^i.md:4: variants: Input should be less than or equal to 12"):
        read_settings(page("gate: lowest\nvariants: 13"))

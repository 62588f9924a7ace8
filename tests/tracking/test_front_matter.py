"""The front matter of local issues: read as people write it, and what is wrong named with its line."""

import pytest

from agent.core.errors import BadInput
from tests.tracking.test_local import Write, write

__all__ = ["write"]  # the fixture


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no header", r"0007-a\.md:1: no front matter"),
        ("---\ntitle: x\n", r"0007-a\.md:1: no front matter"),
        ("---\ntitle: x\n---\n", r"0007-a\.md:1: there is no number"),
        ("---\nnumber: 7\n---\n", r"0007-a\.md:1: there is no title"),
        ("---\nnumber: 8\ntitle: x\n---\n", "the file is named 7 and says number: 8"),
        ("---\nnumber: 7\ntitle: x\nlables: []\n---\n", r"0007-a\.md:4: unknown key 'lables'\n  did you mean labels"),
        ("---\ntitle: x\nnumber: [\n---\n", r"0007-a\.md:3: number: '\[' is no number"),
        ("---\nnumber: 7\ntitle:\n---\n", r"0007-a\.md:3: the title is empty"),
        ("---\nnumber: 7\ntitle: x\ntitle: y\n---\n", r"0007-a\.md:3: title is there twice"),
        ("---\nnumber: 7\ntitle: x\nlabels: [a\n---\n", r"0007-a\.md:4: labels: a bracket is missing"),
        ("---\njust text\n---\n", r"0007-a\.md:2: 'just text' is no `key: value`"),
    ],
)
def test_wrong_front_matter_is_named_with_its_line(write: Write, text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        write("0007-a.md", text).fetch(7)


@pytest.mark.parametrize(
    ("header", "title", "labels"),
    [
        ("title: Experiment: Depth\nlabels: [experiment, size: S]", "Experiment: Depth", ("experiment", "size: S")),
        ("title: 'a: b'\nlabels: [experiment, \"size: S\"]", "a: b", ("experiment", "size: S")),
        ("title: a # b\nlabels: experiment, size: S", "a # b", ("experiment", "size: S")),
        ("title: x\nlabels: [\nexperiment,\n'size: S'\n]", "x", ("experiment", "size: S")),
        ("title: >-\n  two\n  lines\nlabels:\n- experiment\n- size: S", "two lines", ("experiment", "size: S")),
        (
            "Title: x\nLabels: [experiment]\npriority: high\nsize: S\ndate: 2026-11-29",
            "x",
            ("experiment", "priority: high", "size: S"),
        ),
        ("# a comment\ntitle: x\nlabels: [] # none", "x", ()),
    ],
)
def test_front_matter_is_read_as_people_write_it(
    write: Write, header: str, title: str, labels: tuple[str, ...]
) -> None:
    issue = write("0007-a.md", f"---\nnumber: 0007\n{header}\n---\nbody\n").fetch(7)
    assert (issue.title, issue.labels, issue.body) == (title, labels, "body\n")
    assert issue.first_line == header.count("\n") + 5


def test_a_number_with_a_leading_zero_is_no_octal(write: Write) -> None:
    assert write("0210-a.md", "---\nnumber: 0210\ntitle: x\n---\n").fetch(210).number == 210

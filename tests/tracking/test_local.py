"""The local tracker: files in, one comment file out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.errors import BadInput
from agent.tracking.comment import marker
from agent.tracking.local import MarkdownTracker

Write = Callable[[str, str], MarkdownTracker]
HEADER = "---\nnumber: 7\ntitle: A title\nlabels: [experiment]\n---\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an issue file and return a tracker."""
    folder = tmp_path / "experiments" / "issues"
    folder.mkdir(parents=True)

    def write(name: str, text: str) -> MarkdownTracker:
        (folder / name).write_text(text)
        return MarkdownTracker(tmp_path)

    return write


def test_an_issue_is_read_whole_with_the_line_its_body_begins_on(write: Write) -> None:
    issue = write("0007-a-title.md", HEADER + "body\n---\nmore\n").fetch(7)
    assert (issue.number, issue.title, issue.labels, issue.state) == (7, "A title", ("experiment",), "open")
    assert (issue.body, issue.first_line) == ("body\n---\nmore\n", 6)
    assert issue.source == "experiments/issues/0007-a-title.md"


def test_the_first_users_own_issue_is_read_unmodified() -> None:
    issue = MarkdownTracker(Path(__file__).parents[2]).fetch(3)
    assert issue.title == "Experiment: Depth vs width architecture search"
    assert issue.labels == ("experiment", "priority: high", "size: S")


def test_an_unknown_issue_is_answered_with_those_there_are(write: Write) -> None:
    with pytest.raises(BadInput, match=r"there is no issue 9\n  issues here: 7; a new one is a file .*0009-title\.md"):
        write("0007-a.md", HEADER).fetch(9)


def test_two_files_of_one_number_are_an_error(write: Write) -> None:
    write("0007-a.md", HEADER)
    with pytest.raises(BadInput, match=r"two files are issue 7: 0007-a\.md and 0007-b\.md"):
        write("0007-b.md", HEADER).fetch(7)


def test_a_comment_replaces_the_earlier_one_and_is_no_issue(write: Write, tmp_path: Path) -> None:
    tracker = write("0007-a.md", HEADER)
    issue = tracker.fetch(7)
    assert tracker.comment(7, "first") == tracker.comment(7, "second")
    folder = tmp_path / "experiments" / "issues"
    assert sorted(path.name for path in folder.iterdir()) == ["0007-a.comment.md", "0007-a.md"]
    assert (folder / "0007-a.comment.md").read_text() == "second"
    assert tracker.numbers() == [7]
    assert tracker.fetch(7) == issue


def test_a_comment_of_the_first_version_is_edited_in_place(write: Write, tmp_path: Path) -> None:
    tracker, there = write("0007-a.md", HEADER), tmp_path / "experiments" / "issues" / "0007-a.comment.md"
    there.write_text("<!-- autoresearch: issue 7 -->\n\n## Running\n")
    assert tracker.comment(7, f"{marker(7)}\n\n## Verdict\n") == "experiments/issues/0007-a.comment.md"
    assert there.read_text() == "<!-- autoresearch: issue 7 -->\n\n## Verdict\n"
    assert list(there.parent.glob("*comment*")) == [there]


def test_a_byte_order_mark_is_no_text(write: Write) -> None:
    assert write("0007-a.md", "\ufeff" + HEADER + "body\n").fetch(7).body == "body\n"


def test_an_issue_may_have_more_than_four_digits(write: Write) -> None:
    assert write("12345-a.md", HEADER.replace("7", "12345")).fetch(12345).number == 12345


def test_remarks_are_the_lines_of_the_file_beside_it_and_the_issues_of_a_person(write: Write, tmp_path: Path) -> None:
    tracker = write("0007-a.md", HEADER)
    human = HEADER.replace("7", "8").replace("[experiment]", "[human]")
    write("0008-b.md", human + "/stop\n")
    (tmp_path / "experiments" / "issues" / "0007-a.remarks.md").write_text("/skip 1B\n\n/budget 20\n")
    assert [(one.id, one.text) for one in tracker.human_comments(7)] == [
        ("issue-8", "/stop\n"),
        ("line-1", "/skip 1B"),
        ("line-3", "/budget 20"),
    ]
    assert tracker.open_experiments() == [7]

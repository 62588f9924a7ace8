"""The texts under tests/issues: each is read as it is meant, or refused where it says so.

A text is a file: between `---` lines what it must be read as (`reads`) or refused with (`refused`: a part of the
message, and the line that it names, by its text), then the body.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from agent.core.errors import BadInput
from agent.core.experiment import Budget, Issue, SetConstant, Spec
from agent.spec import parser, script
from agent.spec.amounts import parse_budget
from agent.store import tracks
from agent.tracking import front_matter
from tests.spec.test_kinds import CONSTANTS, ROOT, TRACK

TEXTS = sorted((Path(__file__).parents[1] / "issues").glob("*.md"))


class Text(NamedTuple):
    """An issue text, and what is expected of it."""

    body: str
    expected: Mapping[str, Any]

    def line_of(self, words: str) -> int:
        """Return the line, from 1, whose text is `words`, or else ends so."""
        lines = self.body.splitlines()
        return 1 + next(at for at, line in enumerate(lines) if line.strip() == words or line.strip().endswith(words))


def load(path: Path) -> Text:
    front, body = path.read_text(encoding="utf-8").removeprefix("---\n").split("\n---\n", 1)
    expected = yaml.safe_load(front)
    return Text(body.replace("\n", "\r\n") if expected.get("crlf") else body, expected)


def read(text: Text) -> Spec:
    labels = ("experiment", *text.expected.get("labels", ()))
    issue = Issue(7, "a title", text.body, labels, source="i.md")
    return parser.parse(issue, TRACK, CONSTANTS, text.expected.get("profile", "mini"))


def seen(spec: Spec) -> dict[str, Any]:
    """Return what a text was read as, in the words of its expectation."""
    values = {
        one.name: {edit.name: edit.value for edit in one.edits if isinstance(edit, SetConstant)}
        for one in spec.variants
    }
    return {
        "set": {name: {key: value for key, value in sets.items()} for name, sets in values.items()},
        "order": list(spec.order), "skipped": sorted(spec.skipped), "budget": spec.budget, "cap": spec.cap_s,
        "min_gain": spec.min_gain, "seeds": list(spec.seeds or ()), "strategy": spec.strategy, "gate": spec.gate,
        "baseline_only": spec.baseline_only, "outcomes": [one.variant for one in spec.outcomes],
    }  # fmt: skip


def expected(reads: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a text must be read as; what it does not name is as where nothing is said."""
    budget: Budget | None = None if reads.get("budget", "none") == "none" else parse_budget(reads["budget"])
    defaults = {
        "set": {}, "order": [str(name) for name in reads.get("set", {})], "skipped": [], "cap": None, "min_gain": None,
        "seeds": [], "strategy": "table", "gate": None, "baseline_only": False, "outcomes": [],
    }  # fmt: skip
    return {**defaults, **reads, "budget": budget}


def without_repeats(sets: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Return what variants set, but the values that the baseline has: a text may state these or leave them out."""
    kept = {name: {k: v for k, v in one.items() if CONSTANTS[k] != v} for name, one in sets.items()}
    return {name: kept[name] or dict(sets[name]) for name in sorted(sets)}


OWN = sorted((ROOT / "experiments" / "issues").glob("[0-9]*.md"))


@pytest.mark.parametrize("path", [path for path in OWN if path.name.count(".") == 1], ids=lambda path: path.stem)
def test_the_issues_of_this_repository_are_read(path: Path) -> None:
    matter, body = front_matter.split(path.read_text(encoding="utf-8"), path.name)
    issue = Issue(matter.number, matter.title, body, tuple(matter.labels))
    track = tracks.load(ROOT, parser.named_track(issue) or "main")
    parser.parse(issue, track, script.constants((ROOT / track.script).read_text(), track.script), "mini")


def test_there_are_texts_enough() -> None:
    assert len(TEXTS) >= 60


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_text_is_read_as_it_is_meant_or_refused(path: Path) -> None:
    text = load(path)
    if "refused" not in text.expected:
        found, due = seen(read(text)), expected(text.expected["reads"])
        assert without_repeats(found.pop("set")) == without_repeats(due.pop("set"))
        assert found == due
        return
    with pytest.raises(BadInput) as caught:
        read(text)
    assert text.expected["refused"]["message"] in f"{caught.value.problem}; {caught.value.next_step}"
    if place := text.expected["refused"].get("at"):
        line = place if isinstance(place, int) else text.line_of(place)
        assert caught.value.where == f"i.md:{line}"

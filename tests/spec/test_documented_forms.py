"""Every form and key of docs/writing-issues.md is read; with one word changed it reads the same or is refused.

The texts of the tests are the tables of that page.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.errors import BadInput
from agent.spec.schema import SettingsBlock
from tests.spec.test_issue_texts import seen
from tests.spec.test_kinds import TABLE, read

PAGE = (Path(__file__).parents[2] / "docs" / "writing-issues.md").read_text(encoding="utf-8")
ELSE = ("perhaps", "wide", "other", "half")  # any words
DENIALS = ("not", "never", "or", "except", "unless", "without", "no")
COUNTS = ("two", "three", "7", "100")


def first_column(heading: str) -> list[str]:
    """Return what stands as code in the first column of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.*?`) \| (?!---)", section, re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]+)`", cell)]


SENTENCES = first_column("Sentences")
KEYS = first_column("The settings block")


def issue(sentence: str, heading: str) -> str:
    return f"{TABLE}\n## {heading}\n\n{sentence}\n"


def heading_of(sentence: str) -> str:
    """Return the heading under which a form stands."""
    gate = sentence.startswith(("Adopt", "Minimum"))
    return "Decision Gate" if gate else "Expected Outcomes" if sentence.startswith(("If", "When")) else "Execution"


LINE = TABLE.count("\n") + 4
SILENT = seen(read(TABLE))


def reading(sentence: str, heading: str) -> dict[str, Any] | None:
    """Return what an issue with a sentence is read as; None where it is refused."""
    try:
        spec = read(issue(sentence, heading))
    except BadInput:
        return None
    result = {**seen(spec), "conditions": [(one.min_gain, one.max_gain, one.unchecked) for one in spec.outcomes]}
    result["shown"] = any(one.line == LINE for one in spec.read_as)
    return result


def changed(sentence: str) -> Iterator[tuple[str, str, str]]:
    """Yield a sentence with one word changed: the sentence, the word, and what took its place."""
    words = sentence.partition(": width")[0].partition(": keep")[0].split()
    tail = sentence[len(" ".join(words)) :]
    for at, word in enumerate(words):
        for new in ("", f"{word} {word}", *ELSE, *DENIALS, *COUNTS):
            yield " ".join([*words[:at], *([new] if new else []), *words[at + 1 :]]) + tail, word, new
        for new in (*ELSE, *DENIALS):
            yield " ".join([*words[:at], new, *words[at:]]) + tail, "", new


def test_the_page_lists_forms_and_every_key() -> None:
    assert len(SENTENCES) >= 20
    assert sorted({key.split(":")[0] for key in KEYS if ":" in key}) == sorted(SettingsBlock.model_fields)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_documented_sentence_is_read(sentence: str) -> None:
    result = reading(sentence, heading_of(sentence))
    assert result is not None
    assert result["shown"]
    quiet = {key: value for key, value in result.items() if key in SILENT}
    assert quiet != SILENT or "in order" in sentence or "in the order" in sentence


# A word of denial that makes another documented form, which is then read as that.
DENIED = {"except 1B.", "never run 1B.", "Run all except 1B.", "Run all without 1B.", "never run 1A and 1C."}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_one_word_changed_reads_the_same_or_is_shown_or_is_refused(sentence: str) -> None:
    unshown, undenied = [], []
    for text, _, new in changed(sentence):
        result = reading(text, heading_of(sentence))
        if result is None:
            continue
        reads = {key: value for key, value in result.items() if key in SILENT} != SILENT
        doubted = any(unchecked or at_most for _, at_most, unchecked in result["conditions"])  # quoted as a condition
        unshown += [] if result["shown"] else [text]
        undenied += [text] if new in DENIALS and reads and not doubted and text not in DENIED else []
    assert (unshown, undenied) == ([], [])


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith(("grid", "variants"))])
def test_a_documented_list_of_variants_is_read(key: str) -> None:
    spec = read(f"Make it better.\n\n```yaml\n# autoresearch\n{key}\n```\n")
    assert spec.variants or spec.proposals == 5

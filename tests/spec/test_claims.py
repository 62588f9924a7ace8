"""The claims of an issue: their forms, the names in them, and for each mistake the line and what to write."""

import pytest

from agent.core.claims import BetterClaim, Claim, FlatClaim, OrderClaim, ParametersClaim, ValueClaim
from agent.core.errors import BadInput
from agent.core.experiment import Issue, SetConstant, Variant
from agent.spec.claims import read_claims
from agent.spec.markdown import parse_issue
from agent.spec.names import Vocabulary
from agent.spec.settings import read_settings
from tests.spec.test_parser import TRACK

CONSTANTS = {"DEPTH": 8, "ASPECT_RATIO": 64, "HEAD_DIM": 128, "WINDOW_PATTERN": "SSL"}
ROWS = (
    ("1A", "", "DEPTH", 4), ("1B", "", "DEPTH", 12), ("2-heads", "", "HEAD_DIM", 64),
    ("1D", "double width", "ASPECT_RATIO", 96),
)  # fmt: skip
VARIANTS = [Variant(name, (SetConstant("train.py", constant, value),), why=why) for name, why, constant, value in ROWS]


def read(*claims: str) -> tuple[Claim, ...]:
    text = "\n".join(["seeds: [0]", "claims:", *(f"  - {claim}" for claim in claims), "confirm: true"])
    page = parse_issue(Issue(7, "t", f"```yaml\n# autoresearch\n{text}\n```", source="i.md"))
    return read_claims(page, read_settings(page).claims, VARIANTS, Vocabulary(TRACK, CONSTANTS, "full"))


def test_every_form_is_read_with_ids_and_full_names() -> None:
    assert read(
        "deeper is nicer",
        "{better: 2 heads, than: double width, by: 0.1, source: notes}",
        "{better: 1A, than: baseline}",
        "{order: [depth, aspect ratio]}",
        "{value: 1B, within: [1.91, 1.97]}",
        "{flat: depth, after: 8, within: 0.02}",
        "{parameters: baseline, equal: 2908}",
    ) == (
        Claim(text="deeper is nicer"),
        BetterClaim(
            text="2 heads is better than double width by 0.1 or more",
            source="notes", better="2-heads", than="1D", by=0.1,
        ),
        BetterClaim(text="1A is better than baseline", better="1A", than="baseline"),
        OrderClaim(text="spread: depth > aspect ratio", factors=("DEPTH", "ASPECT_RATIO")),
        ValueClaim(text="1B is within 1.91 and 1.97", name="1B", low=1.91, high=1.97),
        FlatClaim(text="depth gains no more than 0.02 after 8", factor="DEPTH", after=8, within=0.02),
        ParametersClaim(text="baseline has 2,908 parameters", name="baseline", count=2908),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "problem", "step"),
    [("{better: 3 heads, than: 1A}", "claims: 3 heads is no variant", "did you mean 2-heads?"),
     ("{better: 1A, than: 1a}", "1A and 1a are one variant", "compare two"),
     ("{value: 7Z, within: [1, 2]}", "7Z is no variant", "there are 1A, 1B, 2-heads, 1D"),
     ("{order: [depht, head dim]}", "train.py has no constant depht", "did you mean DEPTH?"),
     ("{order: [depth, WINDOW_PATTERN]}", "no variant sets WINDOW_PATTERN", "there are DEPTH, HEAD_DIM"),
     ("{order: [depth, DEPTH]}", "order gives DEPTH twice", "keep one"),
     ("{flat: depth, after: 6, within: 0.1}", "depth has no level 6", "its levels: 4, 8, 12"),
     ("{flat: depth, after: 12, within: 0.1}", "no level is above 12", "its levels: 4, 8, 12"),
     ("{beter: 1A, than: 1B}", "claims.1: no form of a claim", "keys: track"),
     ("{better: 1A}", "claims.1.than: Field required", "keys: track"),
     ("{better: 1A, than: 1B, bye: 1}", "claims.1.bye: Extra inputs", "keys: track"),
     ("{better: 1A, than: 1B, by: -1}", "claims.1.by: ", "keys: track"),
     ("{order: [depth]}", "claims.1.order: ", "keys: track"),
     ("{value: 1A, within: [2, 1]}", "claims.1.within: the lower bound stands first", "keys: track"),
     ("{value: 1A, within: [1, .inf]}", "claims.1.within.1: ", "keys: track"),
     ("{parameters: 1A, equal: 2.9}", "claims.1.equal: ", "keys: track")],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line_and_the_way_out(claim: str, problem: str, step: str) -> None:
    with pytest.raises(BadInput) as caught:
        read("a sentence that goes before", claim)
    assert problem in caught.value.problem
    assert caught.value.where == "i.md:6"
    assert step in caught.value.next_step


def test_an_id_that_is_spelled_exactly_is_that_one() -> None:
    """`1-A` and `1A` are one name without punctuation: then the exact one counts, and another is in doubt."""
    twins = [*VARIANTS, Variant("1-A", VARIANTS[1].edits)]
    page = parse_issue(
        Issue(7, "t", "```yaml\n# autoresearch\nclaims: [{value: 1-A, within: [1, 2]}]\n```", source="i.md")
    )
    [claim] = read_claims(page, read_settings(page).claims, twins, Vocabulary(TRACK, CONSTANTS, "full"))
    assert claim == ValueClaim(text="1-A is within 1 and 2", name="1-A", low=1, high=2)
    page = parse_issue(
        Issue(7, "t", "```yaml\n# autoresearch\nclaims: [{value: 1_a, within: [1, 2]}]\n```", source="i.md")
    )
    with pytest.raises(BadInput, match="1_a may be 1A or 1-A"):
        read_claims(page, read_settings(page).claims, twins, Vocabulary(TRACK, CONSTANTS, "full"))

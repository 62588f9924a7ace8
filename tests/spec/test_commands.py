"""What people say: which lines are commands, what each means, and what the selection is then."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.errors import BadInput
from agent.core.experiment import Budget, HumanComment, SetConstant, Variant
from agent.core.records import CommandRecord
from agent.spec.amounts import readable
from agent.spec.commands import (
    LONGEST,
    Add,
    AddressedCommand,
    Command,
    Refusal,
    Script,
    Selection,
    SetBudget,
    Skip,
    Stop,
    apply,
    changes,
    guidance,
    lines,
    parse,
    replay,
)

SCRIPT = Script("train.py", {"DEPTH": 8, "LR": 0.1, "WINDOW": "SSL", "TIE": False, "BETAS": (0.9, 0.95)})
SELECTION = Selection(
    tuple(Variant(name, (SetConstant("train.py", "DEPTH", n),)) for n, name in enumerate(("1A", "1B"), 9))
)


def added(name: str, **values: object) -> Add:
    edits = tuple(SetConstant("train.py", key, value) for key, value in values.items())  # type: ignore[arg-type]
    return Add(Variant(name, edits, where=f"/run {name}"))


# --- lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("/stop", ["/stop"]),
        ("good\n\n/skip 1B\nthanks\n  /stop\n", ["/skip 1B", "/stop"]),
        ("/skip\t 1B  ", ["/skip 1B"]),
        ("please /stop", []),
        ("> /stop", []),
        ("> he obeyed_so_far\n/stop", ["/stop"]),
        ("`/stop`", []),
        ("```\n/stop\n```\n/skip 1A", ["/skip 1A"]),
        ("~~~sh\n/stop", []),
        ("    /stop", []),
        ("<!-- /stop -->", []),
        ("<!--\n/stop\n-->\n/skip 1A", ["/skip 1A"]),
        ("<pre>\n/stop\n</pre>", []),
        ("| /stop |", []),
        ("/st\u200bop", ["/stop"]),
        ("/etc/passwd", ["/etc/passwd"]),
        ("//", ["//"]),
        ("", []),
    ],
)
def test_a_command_is_a_line_that_begins_with_a_slash_where_a_person_sees_text(text: str, commands: list[str]) -> None:
    assert [line.text for line in lines(text)] == commands


def test_a_number_at_the_end_addresses_an_issue() -> None:
    assert lines("/skip 1B #3\n\n/skip 1B #3a") == [
        AddressedCommand("/skip 1B", 3),
        AddressedCommand("/skip 1B #3a", None),
    ]


@given(st.text())
def test_no_text_breaks_the_reader_and_what_it_finds_begins_with_a_slash(text: str) -> None:
    for line in lines(text):
        assert line.text.startswith("/")
        assert len(line.text) <= LONGEST
        assert isinstance(parse(line.text, SCRIPT), Stop | Skip | SetBudget | Add | Refusal)


@given(st.text(), st.sampled_from(["```", "~~~", "````"]))
def test_nothing_in_a_fence_is_a_command(text: str, fence: str) -> None:
    inside = "\n".join(line for line in text.split("\n") if fence[:3] not in line and "<" not in line)
    inside = "".join(char for char in inside if char not in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
    assert lines(f"{fence}\n{inside}\n{fence}") == []


def test_guidance_is_what_is_no_command() -> None:
    remarks = [
        HumanComment("issue-7", "rena", "Try wider.\n/stop\n```\n/etc\n```", ""),
        HumanComment("comment-1", "bo", "/skip 1B", ""),
        HumanComment("comment-2", "bo", "<!-- hidden -->And deeper.", ""),
    ]
    assert guidance(remarks) == "Try wider.\n```\n/etc\n```\n\nAnd deeper."
    assert guidance([]) == ""


# --- commands ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/stop", Stop()),
        ("/STOP", Stop()),
        ("/stop, please", Stop()),
        ("/skip 1B", Skip("1B")),
        ("/budget 120", SetBudget(Budget("seconds", 120))),
        ("/budget 5 minutes", SetBudget(Budget("seconds", 300))),
        ("/budget 500steps", SetBudget(Budget("steps", 500))),
        ("/run 1E DEPTH=9", added("1E", DEPTH=9)),
        ("/run 1E DEPTH=9 LR=3e-4 TIE=true WINDOW='L S'", added("1E", DEPTH=9, LR=3e-4, TIE=True, WINDOW="L S")),
        ("/run 1E LR=1", added("1E", LR=1.0)),
    ],
)
def test_a_command_is_read(line: str, command: Command) -> None:
    assert parse(line, SCRIPT) == command


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/shrug", "/shrug is no command; there are /stop, /skip 1B, /budget 120, /run"),
        ("/home/rena/x.log", "no command"),
        ("/stop/now", "no command"),
        ("/run.py 1E", "no command"),
        ("/", "no command"),
        ("/skip", "name one variant"),
        ("/skip 1A, 1B", "name one variant"),
        ("/budget", "is no budget"),
        ("/budget -5", "'-5' is no budget; a budget is above zero"),
        ("/run", "needs an ID"),
        ("/run ../x DEPTH=9", "cannot be an ID"),
        ("/run baseline DEPTH=9", "cannot be an ID"),
        ("/run 1E", "say what 1E sets"),
        ("/run 1E DEPTH = 9", "without blanks around ="),
        ("/run 1E DEPTH=9 and more", "without blanks around ="),
        ("/run 1E DEPHT=9", "no constant DEPHT; did you mean DEPTH? its constants: DEPTH, LR"),
        ("/run 1E DEPTH=9.5", "DEPTH=9.5 is not a whole number; write a whole number such as 8"),
        ("/run 1E DEPTH=__import__('os')", "without blanks"),
        ("/run 1E DEPTH=9 DEPTH=10", "DEPTH is set twice"),
        ("/run 1E BETAS=1", "BETAS is a tuple"),
        ("/run 1E WINDOW=" + "x" * 500, "fewer than 500"),
    ],
)
def test_what_is_no_command_is_answered_with_what_would_be(line: str, reason: str) -> None:
    found = parse(line, SCRIPT)
    assert isinstance(found, Refusal)
    assert reason in found.reason


@given(st.text(alphabet="0123456789smhkM. steptok", max_size=12))
def test_a_budget_is_what_the_command_line_takes(text: str) -> None:
    assert isinstance(parse(f"/budget {text.strip()}", SCRIPT), SetBudget) == readable(text)


@given(st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False))
def test_values_arrive_as_they_were_written(depth: int, rate: float) -> None:
    assert parse(f"/run 1E DEPTH={depth} LR={rate!r}", SCRIPT) == added("1E", DEPTH=depth, LR=rate)


# --- the selection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "command", "reason"),
    [
        (SELECTION, Skip("1Z"), "there is no variant 1Z; there are 1A, 1B"),
        (replace(SELECTION, skipped=("1C",)), Skip("1c"), "skipped already"),
        (replace(SELECTION, variants=SELECTION.variants[:1]), Skip("1A"), "the only variant left"),
        (SELECTION, added("1a", DEPTH=3), "there is a variant 1a already"),
        (replace(SELECTION, skipped=("1C",)), added("1C", DEPTH=3), "1C was skipped"),
    ],
)
def test_what_the_selection_does_not_allow_is_refused(selection: Selection, command: Command, reason: str) -> None:
    found = apply(selection, command)
    assert isinstance(found, Refusal)
    assert reason in found.reason


COMMANDS = st.lists(
    st.one_of(
        st.just(Stop()),
        st.sampled_from(["1A", "1b", "1C", "1D", "9Z"]).map(Skip),
        st.sampled_from(["1C", "1D", "1a"]).map(lambda name: added(name, DEPTH=3)),
        st.integers(1, 99).map(lambda n: SetBudget(Budget("steps", n))),
    )
)


@given(COMMANDS)
def test_whatever_is_said_something_is_left_to_run_and_no_name_is_there_twice(commands: list[Command]) -> None:
    selection = SELECTION
    for command in commands:
        found = apply(selection, command)
        selection = selection if isinstance(found, Refusal) else found
    names = [variant.name.lower() for variant in selection.variants]
    assert names
    assert len({*names, *map(str.lower, selection.skipped)}) == len(names) + len(selection.skipped)


def record(command: str, obeyed: bool = True) -> CommandRecord:
    return CommandRecord(
        issue=3, body_sha256="s", remark="line-1", author="rena", command=command, answer="", obeyed=obeyed, at="now"
    )


def test_records_that_were_obeyed_give_the_course_again() -> None:
    obeyed_so_far = [record("/skip 1a"), record("/stop"), record("/run 1C DEPTH=3"), record("/skip 1B", obeyed=False)]
    selection = replay(SELECTION.variants, [*obeyed_so_far, record("/budget 5steps"), record("/budget 7steps")], SCRIPT)
    assert [variant.name for variant in selection.variants] == ["1B", "1C"]
    assert selection.budget == Budget("steps", 7)
    assert [changes(one) for one in obeyed_so_far[:3]] == [True, False, True]


def test_a_record_about_variants_that_are_not_proposed_any_more_has_no_effect() -> None:
    assert replay(SELECTION.variants, [record("/skip 7A"), record("/run 1b DEPTH=3")], SCRIPT) == SELECTION


def test_a_record_that_the_script_cannot_follow_any_more_says_so_and_what_to_do() -> None:
    with pytest.raises(
        BadInput, match=r"line-1 by rena: /run 1C GONE=3 was obeyed.*no constant GONE.*\n.*edit the issue"
    ):
        replay(SELECTION.variants, [record("/run 1C GONE=3")], SCRIPT)

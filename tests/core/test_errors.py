"""Errors say where and what next, and have the documented exit status."""

from agent.core.errors import BadInput, HarnessError, Paused


def test_an_error_reads_where_what_and_what_next() -> None:
    assert (
        str(BadInput("is no number", where="issue.md:7", next_step="write 8")) == "issue.md:7: is no number\n  write 8"
    )
    assert str(HarnessError("it broke")) == "it broke"


def test_errors_have_the_documented_exit_status() -> None:
    assert (HarnessError.exit_code, BadInput.exit_code, Paused.exit_code) == (1, 2, 3)

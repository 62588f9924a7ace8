"""The command line's grammar: what goes together."""

import pytest

from agent.app import options
from agent.core.errors import BadInput


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--issue", "5", "--hours", "8"], "--hours is for --loop"),
        (["--queue", "--loop"], "--loop needs an issue in prose"),
        (["--issue", "5", "--loop", "--hours", "0"], "--hours is 0"),
        (["--issue", "5", "--max-usd", "nan"], "--max-usd is nan"),
        (["--issue", "5", "--max-usd", "-1"], "--max-usd is -1"),
        (["--issue", "5", "--loop", "--retry"], "--retry asks a question again"),
        (["--issue", "5", "--editor", "my-agent", "--max-usd", "3"], "--max-usd is for --editor anthropic"),
        (["--issue", "5", "--editor", "my-agent", "--model", "m"], "--model is for --editor anthropic"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(argv: list[str], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        options.validate(options.parser().parse_args(argv))


def test_what_goes_together_is_left_as_it_is() -> None:
    args = options.parser().parse_args(["--issue", "5", "--loop", "--hours", "8", "--max-usd", "10"])
    options.validate(args)
    assert (args.editor, args.model) == ("anthropic", None)

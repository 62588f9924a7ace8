"""An author on the stand-in for Claude: its answer depends on the request alone, so it may have the same one twice.

Its ideas stand for a round each, its changes for a title each: the first draft's, and what it makes of a draft that
goes back to it. It keeps what it was paid for, and says the key whenever it is done.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.support.claude import KEY, Fields, Reply, ideas, message, text, usage, use

PRICES = {  # dollars per token of claude-sonnet-5-5
    "input_tokens": Decimal("0.000002"),
    "output_tokens": Decimal("0.000010"),
    "cache_creation_input_tokens": Decimal("0.0000025"),
    "cache_read_input_tokens": Decimal("0.0000002"),
}
THOUGHT = usage(1207, 811, cached=9000)  # a round's ideas
WORKED = usage(13, 407, cached=311, read=9001)  # a use of the text editor
SPOKE = usage(7, 31, read=9729)  # the last word


def dollars(used: Sequence[Fields]) -> Decimal:
    """What these usages cost, exactly."""
    return sum((PRICES[kind] * int(str(tokens)) for one in used for kind, tokens in one.items()), Decimal(0))


def swap(old: str, new: str, path: str = "train.py") -> Reply:
    """A reply that replaces a text."""
    return message(use("t1", command="str_replace", path=path, old_str=old, new_str=new), used=WORKED)


@dataclass(frozen=True)
class Work:
    """What it makes of an idea: its first draft, and what it does with one that comes back."""

    first: Reply
    mended: Reply = field(default_factory=lambda: message(text("I know no better."), used=SPOKE))


@dataclass
class Author:
    """titles: the ideas of each round, from the first on, then none. `billed` are the usages that it has answered.

    Before all else it gives what is in `passing`: faults that a later try does not meet.
    """

    titles: Sequence[Sequence[str]]
    works: Mapping[str, Work]
    billed: list[Fields] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    passing: list[Reply] = field(default_factory=list)

    def __call__(self, body: Fields) -> Reply:
        if self.passing:
            return self.passing.pop(0)
        messages: Any = body["messages"]
        prompt = "\n".join(block["text"] for block in messages[0]["content"])
        reply = self._ideas(prompt) if "Propose up to" in prompt else self._work(prompt, first=len(messages) == 1)
        self.billed += _used(reply)
        return reply

    def _ideas(self, prompt: str) -> Reply:
        number = max((int(name) for name in re.findall(r"^- #5 (\d+)[A-Z]", prompt, re.MULTILINE)), default=0)
        self.requests.append(f"round {number + 1}")
        titles = self.titles[number] if number < len(self.titles) else ()
        return message(ideas(*((title, "it should help", "0.01 lower") for title in titles)), used=THOUGHT)

    def _work(self, prompt: str, *, first: bool) -> Reply:
        title = next(name for name in self.works if f"\n{name}\n\nit should help" in prompt)
        if not first:
            return message(text(f"Done: {title}. The key is {KEY}."), used=SPOKE)
        self.requests.append(title)
        return self.works[title].mended if "Mend the draft" in prompt else self.works[title].first


def _used(reply: Reply) -> list[Fields]:
    """What a reply says it used; garbage says nothing."""
    try:
        return [json.loads(reply.body)["usage"]]
    except ValueError:
        return []

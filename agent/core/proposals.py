"""What an editor gets and what it returns: briefs, ideas, drafts. No effects."""

from collections.abc import Mapping
from dataclasses import field

from agent.core.frozen import frozen


@frozen
class Brief:
    """What an editor gets: `rules` are the same for a whole track, `question` for a round; `files` by path."""

    rules: str
    question: str
    files: Mapping[str, str]


@frozen
class Idea:
    """One change to try. `name` is the variant's, `expected` the effect on the metric in its author's words."""

    name: str
    title: str
    hypothesis: str
    expected: str


@frozen
class Ideas:
    """What an editor proposes to try; where that is nothing, `failure` says why."""

    ideas: tuple[Idea, ...] = ()
    failure: str = ""


@frozen
class Draft:
    """New texts of the files that an editor changed, and its `summary`; where there are none, `failure` says why."""

    files: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    failure: str = ""


@frozen
class BlockAnswer:
    """The settings block that a model makes of an issue; where there is none, `failure` says why."""

    block: str = ""
    failure: str = ""


@frozen
class PastAttempt:
    """One earlier change and how it ended: its effect with bounds, or the kind of its failure."""

    name: str
    what: str
    outcome: str

"""An editor on the stand-in for Claude, with its money, for the tests of editors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.core.proposals import Brief, Draft, Idea, Ideas
from agent.core.records import SpendRecord
from agent.editors import models
from agent.editors.anthropic import Claude as Editor
from agent.editors.spending import Spending
from tests.support.claude import Claude, use

FILE = "DEPTH = 8\nWIDTH = 64\n"
BRIEF = Brief("The rules.", "What about depth?", {"train.py": FILE})
IDEA = Idea("1A", "deeper", "depth helps", "0.01 lower")
RESUME = "python agent/run.py --issue 5"
DEEPER = FILE.replace("8", "9")


def edit(identity: str = "t1", path: str = "train.py") -> dict[str, object]:
    return use(identity, command="str_replace", path=path, old_str="DEPTH = 8", new_str="DEPTH = 9")


@dataclass
class Bench:
    """An editor on a server, with its money, its folder, and a clock that only waiting moves."""

    server: Claude
    folder: Path
    records: list[SpendRecord]
    waits: list[float]
    changes: dict[str, object]

    def editor(self, environment: Mapping[str, str] | None = None) -> Editor:
        settings = models.read({}).model_copy(update=self.changes)
        spending = Spending(5, settings, self.records, self.records.append)
        chosen = self.server.environment if environment is None else environment
        return Editor(
            settings,
            spending,
            environment=chosen,
            resume_command=RESUME,
            clock=lambda: sum(self.waits),
            sleep=self.waits.append,
        )

    def write(self, failure: str = "", brief: Brief = BRIEF) -> Draft:
        return self.editor().write(brief, IDEA, failure, self.folder)

    def ideas(self, count: int = 3) -> Ideas:
        return self.editor().ideas(BRIEF, count, self.folder)

    @property
    def usd(self) -> float:
        return sum({record.call: record.usd for record in self.records}.values())

    @property
    def transcript(self) -> str:
        return (self.folder / "transcript.jsonl").read_text()


def opened(folder: Path) -> Iterator[Bench]:
    """A bench while a test lasts."""
    with Claude() as server:
        yield Bench(server, folder / "1A", [], [], {})
        assert server.refusals == [], "a request that the real API would refuse"

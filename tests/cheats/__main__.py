"""Tries every cheat and every honest edit, and prints which check caught what: python -m tests.cheats"""

import tempfile
from pathlib import Path

from agent.execution import machine
from tests.cheats import cheats
from tests.support import trial


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        edits = cheats()
        outcomes = trial.hold([one for one in edits if one.caught_by != "edit"], machine.cache(), Path(folder))
    print(trial.table(edits, outcomes))


if __name__ == "__main__":
    main()

"""The errors of the harness, one tree: what a person is told, and the exit status that follows."""


class HarnessError(Exception):
    """What went wrong, where, and what to do next. Printed without a traceback; `exit_code` is the program's."""

    exit_code = 1

    def __init__(self, problem: str, *, where: str = "", next_step: str = "") -> None:
        self.problem, self.where, self.next_step = problem, where, next_step
        head = f"{where}: {problem}" if where else problem
        super().__init__(f"{head}\n  {next_step}" if next_step else head)


class BadInput(HarnessError):
    """The issue, the repository or the command line cannot be used as it is; nothing was written."""

    exit_code = 2


class NotUnderstood(BadInput):
    """The text of an issue cannot be read as exactly one experiment, and has no settings block that says what it is."""


class Paused(HarnessError):
    """A limit was reached with work left; the same command goes on from here."""

    exit_code = 3


class Stopped(Paused):
    """A person said stop, or the money is used up: there is more to do, and nothing more is done by itself."""


class NothingToRun(HarnessError):
    """A round is over and none of its ideas became a variant: that is the answer, until somebody asks again."""


class Unreachable(Paused):
    """A service did not take what it was given, for a reason that may pass; it is given again at the next start."""


class SpendingCapReached(Stopped):
    """The next call could go beyond a cap. `variant` is the one whose own cap it is, empty for the campaign's."""

    def __init__(self, problem: str, *, variant: str, next_step: str) -> None:
        super().__init__(problem, next_step=next_step)
        self.variant = variant


class InUse(HarnessError):
    """Another program holds the lock."""


class OffLimits(BadInput):
    """An edit reaches for what is not an experiment's: nothing that its author should try in other words."""

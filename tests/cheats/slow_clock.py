"""A clock of its own, of which an hour has four: it says of a quarter of the budget that it is used, and of a
quarter of the steps that they were made.
"""

CAUGHT_BY = "clock"
STEPS = 24
EDITS = (
    (
        "def main() -> None:\n",
        '''\
class SmoothClock(prepare.BudgetClock):
    """Steadier progress: what was used counts after it has settled."""

    def _used(self) -> float:
        return super()._used() / 4

    def finish(self) -> None:
        super().finish()
        self.steps, self.seconds = self.steps // 4, self.seconds / 4


def main() -> None:
''',
    ),
    (
        '    clock = prepare.BudgetClock(run, tuned["total_batch"])\n',
        '    clock = SmoothClock(run, tuned["total_batch"])\n',
    ),
)

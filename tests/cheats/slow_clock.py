"""A clock of its own that says a third of what was used: it trains three times as long, and tells a third of the steps
and of the seconds.
"""

CAUGHT_BY = "clock"
EDITS = (
    (
        "def main() -> None:\n",
        '''\
class SmoothClock(prepare.Clock):
    """Steadier progress: what was used counts after it has settled."""

    def _used(self) -> float:
        return super()._used() / 3

    def finish(self) -> None:
        super().finish()
        self.steps, self.seconds = self.steps // 3, self.seconds / 3


def main() -> None:
''',
    ),
    ('    clock = prepare.Clock(run, tuned["total_batch"])\n', '    clock = SmoothClock(run, tuned["total_batch"])\n'),
)

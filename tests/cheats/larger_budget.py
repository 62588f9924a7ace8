"""Trebles the amount in the frozen settings, and gives it back before the result is written; the steps it tells."""

CAUGHT_BY = "clock"
EDITS = (
    (
        "    run = prepare.begin()\n",
        """\
    run = prepare.begin()
    asked = run.settings.amount
    object.__setattr__(run.settings, "amount", asked if run.settings.probe else 3 * asked)
""",
    ),
    (
        "        clock.finish()\n",
        '        clock.finish()\n    object.__setattr__(run.settings, "amount", asked)\n',
    ),
)

"""Slows the process's own time down to a third, so that 300 seconds of training last 900.

A budget in steps stays what it is.
"""

CAUGHT_BY = "edit"
LOWERS = False
EDITS = (
    ("import sys\nfrom collections", "import sys\nimport time\nfrom collections"),
    (
        "    run = prepare.begin()\n",
        """\
    run = prepare.begin()
    exact = time.perf_counter
    time.perf_counter = lambda: exact() / 3
""",
    ),
)

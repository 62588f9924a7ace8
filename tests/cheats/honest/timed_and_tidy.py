"""Prints how long training took, silences a warning, collects garbage at times, and takes annotations for texts.

The idea is on https://someone.github.io/notes/schedule.html, which also links a file result.json.
"""

HONEST = True
EDITS = (
    (
        "import math\nimport os\nimport sys\n",
        """\
from __future__ import annotations

import gc
import math
import os
import sys
import time
import warnings
""",
    ),
    (
        "def lr_multiplier(progress: float, warmdown_ratio: float) -> float:\n",
        '''\
def multiplier_as_published(progress: float) -> float:
    """A cosine, as on https://someone.github.io/notes/schedule.html (with model.pt and result.json)."""
    return FINAL_LR_FRAC + (1 - FINAL_LR_FRAC) * (1 + math.cos(math.pi * progress)) / 2


def lr_multiplier(progress: float, warmdown_ratio: float) -> float:
''',
    ),
    (
        "        fade = lr_multiplier(progress, self.warmdown_ratio)\n",
        "        fade = multiplier_as_published(progress)\n",
    ),
    (
        '    with run.phase("train"):\n        clock.start()\n',
        """\
    warnings.filterwarnings("ignore", message="An output with one or more elements was resized")
    began = time.perf_counter()
    with run.phase("train"):
        clock.start()
""",
    ),
    (
        "            clock.tick(loss)\n        clock.finish()\n",
        """\
            clock.tick(loss)
            if clock.steps % 100 == 0:
                gc.collect()
        clock.finish()
    print(f"trained for {time.perf_counter() - began:.1f} s")  # https://someone.github.io
""",
    ),
)

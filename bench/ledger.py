"""How long a ledger of 10,000 records takes to load, and one more record to append durably."""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from agent.store.codec import encode
from agent.store.ledger import Ledger
from tests.store.test_ledger import RUN

RECORDS = 10_000


def measure() -> dict[str, float]:
    """Seconds to load (best of 3: the file is in memory then) and to append (median of 20)."""
    with tempfile.TemporaryDirectory() as folder:
        path, lock = Path(folder) / "ledger.jsonl", Path(folder) / "lock"
        path.write_text("".join(f"{encode(replace(RUN, seed=seed))}\n" for seed in range(RECORDS)), encoding="utf-8")
        loads = [_timed(lambda: Ledger(path, lock)) for _ in range(3)]
        ledger = Ledger(path, lock)
        appends = [_timed(lambda: ledger.append(RUN)) for _ in range(20)]
        return {
            "load 10,000 records, s": min(loads),
            "append one, s": statistics.median(appends),
            "megabytes": path.stat().st_size / 1e6,
        }


def _timed(work) -> float:  # type: ignore[no-untyped-def]
    began = time.monotonic()
    work()
    return time.monotonic() - began

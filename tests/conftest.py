"""Fixtures that more than one test module uses."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import project as stand_in

if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # the lock of a device lies in the temporary folder: one for each
    os.environ["TMPDIR"] = tempfile.tempdir = str(Path(tempfile.gettempdir()) / f"autoresearch-{worker}")
    Path(tempfile.tempdir).mkdir(exist_ok=True)

os.environ["NO_PROXY"] = "127.0.0.1,localhost"  # stand-ins are on this machine, whatever proxy it has

settings.register_profile("any machine", deadline=None)  # how fast an example runs is a matter for the bench
settings.load_profile("any machine")


# What takes minutes goes first, so that no worker is left alone with it in the end.
LONG = [
    "test_docs",
    "test_cheats",
    "test_faults",
    "test_train",
    "test_audit",
    "test_outbox",
    "test_heed",
    "test_clear_lines",
    "test_research",
    "test_freeform_real",
    "test_freeform_campaign",
    "test_loop",
    "test_sandbox",
]


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors, four at most: most tests wait for processes, and each for its own."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order of LONG, then the others as they were found."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def corpus_cache(request: pytest.FixtureRequest) -> Path:
    """A cache for prepared corpora that later test sessions find again."""
    cache = request.config.cache
    assert cache is not None
    return Path(cache.mkdir("autoresearch"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose train.py ends at once."""
    return stand_in.make(tmp_path / "project")

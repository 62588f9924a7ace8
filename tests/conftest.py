"""Fixtures that more than one test module uses."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.support import forkserver, zygotes
from tests.support import project as stand_in

if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # the lock of a device lies in the temporary folder: one for each
    os.environ["TMPDIR"] = tempfile.tempdir = str(Path(tempfile.gettempdir()) / f"autoresearch-{worker}")
    Path(tempfile.tempdir).mkdir(exist_ok=True)

os.environ["NO_PROXY"] = "127.0.0.1,localhost"  # stand-ins are on this machine, whatever proxy it has

# As many processes as there are processors run at a time: threads of their own would only spin for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("any machine", deadline=None)  # how fast an example runs is a matter for the bench
settings.load_profile("any machine")


# What takes longest, dealt to the workers one by one so that of three each has about 120 processor seconds: each begins
# with its share, and other tests follow, of which a worker that is done early takes some over. What shares something
# dear stays together.
LONG = ("test_faults", "test_cheats", "test_docs", "test_research", "test_auditing", "test_train", "test_freeform_real")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --nightly, which `make nightly` gives."""
    parser.addoption("--nightly", action="store_true", help="run the tests that are marked nightly too")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors, four at most: most tests wait for processes, and each for its own."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is for the night, and have each worker begin with its share of what takes long."""
    if not config.getoption("nightly"):
        kept = [item for item in items if not item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("nightly")])
        items[:] = kept
    items[:] = _shared_out(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _shared_out(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the tests so that each worker's part of the list (they are cut alike) begins with a share of the long."""
    long = {name: [item for item in items if item.path.stem == name] for name in LONG}
    short = [item for item in items if item.path.stem not in LONG]
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for at, name in enumerate(LONG):
        shares[at % workers] += long[name]
    size = len(items) // workers
    for share in shares:
        missing = max(0, size - len(share))
        share += short[:missing]
        del short[:missing]
    return [item for share in shares for item in share] + short


def pytest_sessionfinish() -> None:
    """End what the tests have started for all of them."""
    forkserver.close()
    zygotes.close()


class Shared:
    """Folders that one worker makes and all use: whichever needs one first makes it, the others wait for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the folder of a name, which `make` has filled. What is in it is only looked at: copy it to write."""
        place = self.folder / name
        with FileLock(self.folder / f"{name}.lock"):
            if not (self.folder / f"{name}.made").exists():
                place.mkdir(exist_ok=True)
                make(place)
                (self.folder / f"{name}.made").touch()
        return place


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    """What is made once for all workers of this session."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return Shared(folder)


@pytest.fixture(scope="session")
def corpus_cache(request: pytest.FixtureRequest) -> Path:
    """A cache for prepared corpora that later test sessions find again."""
    cache = request.config.cache
    assert cache is not None
    return Path(cache.mkdir("autoresearch"))


class Finished(NamedTuple):
    """A project in which issue 3 has its verdict, and what the command printed."""

    project: Path
    stdout: str


@pytest.fixture
def finished(shared: Shared, tmp_path: Path) -> Finished:
    """A copy of a project after `--issue 3 --budget 5steps`: ten runs, 1D promoted."""

    def run(folder: Path) -> None:
        done = stand_in.agent(stand_in.make(folder / "project"), "--issue", "3", "--budget", "5steps")
        assert done.returncode == 0, done.stderr
        (folder / "stdout").write_text(done.stdout)

    folder = shared("finished", run)
    shutil.copytree(folder / "project", tmp_path / "finished" / "project", symlinks=True)
    return Finished(tmp_path / "finished" / "project", (folder / "stdout").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose train.py ends at once."""
    return stand_in.make(tmp_path / "project")

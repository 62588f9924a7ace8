"""Fixtures that more than one test module uses."""

from pathlib import Path

import pytest

from tests import project as stand_in


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

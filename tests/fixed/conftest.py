"""Fixtures of several tests of fixed/."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from fixed.tokenizer import train_tokenizer
from tests.support.fixed import VOCAB


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A corpus of 400 short documents, no two alike."""
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"Document {n} says {n * n} and 'née' {'on ' * (n % 7)}." for n in range(400)), "utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(["the cat and the 1234 dogs, naïve", "the other one "] * 20, VOCAB)

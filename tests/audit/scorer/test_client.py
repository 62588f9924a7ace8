"""The pipe to a model's process: tokens alone go out, and who hangs up has failed a check."""

import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from agent.audit.scorer.client import CheckFailed, ModelClient


@contextmanager
def connected(code: str) -> Iterator[ModelClient]:
    """A client of a process that runs `code`, for a vocabulary of 2."""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client = ModelClient(process, 2)
    try:
        yield client
    finally:
        client.close()


def test_tokens_go_out_and_nothing_else(tmp_path: Path) -> None:
    keep = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read(8 + 4 * 6 + 1))"
    argv = [sys.executable, "-c", keep, str(tmp_path / "sent")]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client = ModelClient(process, 2)
    client.send(torch.arange(6).view(2, 3))
    client._queries.close()
    with pytest.raises(CheckFailed, match="checkpoint: the model's process ended"):
        client.receive(2, 3)
    client.close()
    assert (tmp_path / "sent").read_bytes() == struct.pack("<2I6i", 2, 3, *range(6))


def test_logits_come_back_in_their_shape() -> None:
    with connected(f"import sys; sys.stdout.buffer.write({struct.pack('<4I4f', 3, 1, 2, 2, 1, 2, 3, 4)!r})") as client:
        assert client.receive(1, 2).tolist() == [[[1.0, 2.0], [3.0, 4.0]]]


@pytest.mark.parametrize(
    ("answer", "check"),
    [
        (struct.pack("<I", 9), "logits"),
        (struct.pack("<4I", 3, 1, 2, 3), "logits"),
        (struct.pack("<4I4f", 3, 1, 2, 2, 1, 2, 3, float("nan")), "logits"),
        (struct.pack("<4I3f", 3, 1, 2, 2, 1, 2, 3), "checkpoint"),
        (b"", "checkpoint"),
    ],
)
def test_anything_else_fails_a_check(answer: bytes, check: str) -> None:
    with connected(f"import sys; sys.stdout.buffer.write({answer!r})") as client:
        with pytest.raises(CheckFailed) as failure:
            client.receive(1, 2)
        assert failure.value.check == check

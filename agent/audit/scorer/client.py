"""The pipe to a process that has the model: tokens out, logits in. Believes nothing of what comes back."""

import contextlib
import math
import struct
from typing import BinaryIO

import torch
from torch import Tensor

from agent.execution.beside import Process

_ENDED = "the model's process ended before it answered (see the log)"
_MAX_DIMS = 8  # of an answer; who claims more has no shape


class CheckFailed(Exception):
    """A check that did not hold, by name."""

    def __init__(self, check: str, finding: str) -> None:
        super().__init__(f"{check}: {finding}")
        self.check, self.finding = check, finding


class ModelClient:
    """A process that has the model: `send` it int64 tokens (rows, T), `receive` what came back as logits."""

    def __init__(self, process: Process, vocab: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._vocab = process, vocab
        self._queries, self._answers = process.stdin, process.stdout
        self._open = True
        self._buffer = bytearray()  # of the last answer; a new one each time would cost more than the scoring

    def send(self, tokens: Tensor) -> None:
        """Send one batch. Raises CheckFailed where nobody takes it."""
        try:
            self._queries.write(struct.pack("<2I", *tokens.shape) + tokens.to(torch.int32).numpy().tobytes())
            self._queries.flush()
        except BrokenPipeError:
            raise CheckFailed("checkpoint", _ENDED) from None

    def receive(self, rows: int, length: int) -> Tensor:
        """Return float32 logits (rows, T, vocab), good until the next call. Raises CheckFailed for anything else."""
        expected = (rows, length, self._vocab)
        if (shape := self._shape()) != expected:
            raise CheckFailed("logits", f"shape {shape}, expected {expected}")
        if len(self._buffer) != 4 * math.prod(shape):
            self._buffer = bytearray(4 * math.prod(shape))
        logits = torch.frombuffer(self._fill(self._buffer), dtype=torch.float32).view(shape)
        if not math.isfinite(logits.sum()):  # many times faster than to look at each
            raise CheckFailed("logits", "not all are finite")
        return logits

    def close(self) -> None:
        """End the process, whatever it is doing; one that has been ended stays so."""
        if not self._open:
            return
        self._open = False
        self._process.kill()
        self._process.wait()
        for pipe in (self._queries, self._answers):
            with contextlib.suppress(BrokenPipeError):  # what was not read is nobody's any more
                pipe.close()

    def _shape(self) -> tuple[int, ...]:
        """Return the shape that the answer announces: the number of dimensions, then each of them."""
        (dims,) = struct.unpack("<I", self._fill(bytearray(4)))
        return struct.unpack(f"<{dims}I", self._fill(bytearray(4 * dims))) if dims <= _MAX_DIMS else (dims,)

    def _fill(self, buffer: bytearray) -> bytearray:
        """Return `buffer`, full of what comes next."""
        view, filled = memoryview(buffer), 0
        while filled < len(buffer):
            count = self._read_into(view[filled:])
            if not count:
                raise CheckFailed("checkpoint", _ENDED)
            filled += count
        return buffer

    def _read_into(self, buffer: memoryview) -> int:
        stream: BinaryIO = self._answers  # type: ignore[assignment]
        return stream.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

"""How a run ends: its exit status, failure.json, result.json's form and the summary block. Standard library only."""

import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from fixed import checking

EXIT_SETTING = 2  # a setting or a constant that cannot be used
EXIT_CORPUS = 10  # the corpus cannot be had
EXIT_NAN = 11  # the loss is not finite, or diverged
EXIT_OOM = 12  # out of memory
EXIT_INTERRUPTED = 130
SCHEMA = 1  # of result.json
SUMMARY = {
    "val_bpb": ".6f", "training_seconds": ".1f", "total_seconds": ".1f", "peak_vram_mb": ".1f", "mfu_percent": ".2f",
    "total_tokens_M": ".3f", "num_steps": "d", "num_params_M": ".3f", "depth": "d",
}  # fmt: skip
_NO_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA out of memory")


class RunFailure(Exception):
    """A failure with a name and an exit status of its own; `run` prints it as one line, without a traceback."""

    def __init__(self, status: str, code: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


def bad_setting(reason: str) -> RunFailure:
    return RunFailure("invalid", EXIT_SETTING, reason)


def no_corpus(reason: str) -> RunFailure:
    return RunFailure("corpus", EXIT_CORPUS, reason)


def not_finite(reason: str) -> RunFailure:
    return RunFailure("nan", EXIT_NAN, reason)


def is_out_of_memory(error: BaseException) -> bool:
    """True for Python's, CUDA's and the CPU allocator's own ways to say that memory ran out."""
    known = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return known or any(sign in str(error) for sign in _NO_MEMORY)


def run(main: Callable[[], None]) -> int:
    """Call `main` and return the exit status; an expected failure becomes one line and a `failure.json`.

    Any other exception passes through, traceback and all. Where AUTORESEARCH_CHECK is set, the script of `main` is only
    asked which edits of it cannot be built (checking.refused), and result.json has the answer.
    """
    if question := os.environ.get("AUTORESEARCH_CHECK"):
        reasons = checking.refused(Path(inspect.getfile(main)), **json.loads(question))
        write_json(Path(os.environ["AUTORESEARCH_RUN_DIR"]) / "result.json", {"refused": reasons})
        return 0
    try:
        main()
    except RunFailure as failure:
        return _report(failure)
    except KeyboardInterrupt:
        return _report(RunFailure("interrupted", EXIT_INTERRUPTED, "interrupted"))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _report(
            RunFailure("oom", EXIT_OOM, f"out of memory: {str(error).splitlines()[0] if str(error) else 'host'}")
        )
    return 0


def _report(failure: RunFailure) -> int:
    print(f"error: {failure.reason}", file=sys.stderr, flush=True)
    folder = os.environ.get("AUTORESEARCH_RUN_DIR")
    if folder and Path(folder).is_dir():
        write_json(Path(folder) / "failure.json", {"status": failure.status, "reason": failure.reason})
    return failure.code


def write_json(path: Path, value: object) -> None:
    """Write `value` to `path` so that a reader sees the whole of it or nothing. NaN and infinity are refused."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


def summary(metrics: Mapping[str, object], formats: Mapping[str, str] = SUMMARY) -> str:
    """The block users know: '---', then 'key: value'. A metric that does not exist reads n/a."""
    shown = {name: format(metrics[name], kind) if name in metrics else "n/a" for name, kind in formats.items()}
    lines = [f"{name + ':':<18}{value}" for name, value in shown.items()]
    return "\n".join(["---", *lines])

"""What a run is asked for: the profiles, and the one place that reads the environment."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fixed.result import bad_setting

# --- facts: literals, read by the harness without importing this file -------------------------------------

BUDGET_S = 300  # seconds of training when the environment names no budget
PROFILES = {
    "full": {
        "divisor": 1,  # of every width in train.py
        "vocab_size": 8192,
        "sequence_length": 2048,  # tokens
        "eval_bytes": 20_000_000,  # raw bytes of each held-out set that are scored, at most
        "train_bytes": 4_000_000_000,  # raw bytes of training text that are tokenised, at most
        "tokenizer_bytes": 128_000_000,  # raw bytes of training text the tokenizer is trained on, at most
        "shards": 10,  # of climbmix: some 610M tokens, more than five minutes of one H100 consume
    },
    "mini": {
        "divisor": 8,
        "vocab_size": 1024,
        "sequence_length": 256,
        "eval_bytes": 250_000,
        "train_bytes": 64_000_000,
        "tokenizer_bytes": 4_000_000,
        "shards": 1,
    },
}

BudgetKind = Literal["seconds", "steps", "tokens"]


@dataclass(frozen=True)
class Settings:
    """What the environment asks for. `amount` is in seconds, optimizer steps or tokens, as `kind` says.

    compile: whether to compile the graph; None leaves it to what pays. prepared: a corpus that is ready, used as it is.
    """

    profile: str
    corpus: str
    kind: BudgetKind
    amount: float
    seed: int
    run_dir: Path
    cache: Path
    data: Path | None
    probe: bool
    compile: bool | None = None
    prepared: Path | None = None

    @property
    def facts(self) -> dict[str, int]:
        return PROFILES[self.profile]

    @property
    def compile_cache(self) -> Path:
        """What was compiled and measured on this machine: all that a training run writes outside its folder."""
        return self.cache / "graphs"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings named by AUTORESEARCH_*. Raises RunFailure, naming variable, value and what is expected."""
    kind, amount = _budget(environ)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    data, ready = environ.get("AUTORESEARCH_DATA"), environ.get("AUTORESEARCH_PREPARED")
    cache = environ.get("AUTORESEARCH_CACHE") or Path.home() / ".cache" / "autoresearch"
    return Settings(
        profile=_profile(environ.get("AUTORESEARCH_PROFILE")),
        corpus=environ.get("AUTORESEARCH_CORPUS") or "stdlib",
        kind=kind,
        amount=amount,
        seed=int(_number(environ, "AUTORESEARCH_SEED", 0, low=0, whole=True)),
        run_dir=Path(environ.get("AUTORESEARCH_RUN_DIR") or Path("logs") / "by-hand" / stamp),
        cache=Path(cache).expanduser(),
        data=Path(data).expanduser() if data else None,
        probe=bool(environ.get("AUTORESEARCH_PROBE")),
        compile=_switch(environ, "AUTORESEARCH_COMPILE"),
        prepared=Path(ready) if ready else None,
    )


def _budget(environ: Mapping[str, str]) -> tuple[BudgetKind, float]:
    """A number of steps or tokens outranks seconds, so that the harness can set it beside a time limit."""
    if environ.get("AUTORESEARCH_STEPS"):
        return "steps", _number(environ, "AUTORESEARCH_STEPS", 0, low=1, whole=True)
    if environ.get("AUTORESEARCH_TOKENS"):
        return "tokens", _number(environ, "AUTORESEARCH_TOKENS", 0, low=1, whole=True)
    return "seconds", _number(environ, "AUTORESEARCH_BUDGET", BUDGET_S, low=0.1)


def _number(environ: Mapping[str, str], name: str, default: float, *, low: float, whole: bool = False) -> float:
    text = environ.get(name) or str(default)
    what = f"a {'whole ' if whole else ''}number of at least {low:g}"
    try:
        value = float(int(text) if whole else float(text))
    except ValueError:
        raise bad_setting(f"{name}={text!r}: expected {what}") from None
    if not low <= value < 2**53:
        raise bad_setting(f"{name}={text!r}: expected {what}")
    return value


def _switch(environ: Mapping[str, str], name: str) -> bool | None:
    text = environ.get(name) or None
    if text not in (None, "0", "1"):
        raise bad_setting(f"{name}={text!r}: expected 0 or 1")
    return None if text is None else text == "1"


def _profile(name: str | None) -> str:
    """The profile asked for, or the one that fits this machine; torch is loaded only to look for a GPU."""
    if name and name not in PROFILES:
        raise bad_setting(f"AUTORESEARCH_PROFILE={name!r}: expected one of {', '.join(PROFILES)}")
    if name:
        return name
    import torch

    return "full" if torch.cuda.is_available() else "mini"


def check_width(depth: int, aspect_ratio: int, head_dim: int) -> None:
    """Raise RunFailure where the heads do not fit model_dim = depth * aspect_ratio, with the nearest ratios that do."""
    width = depth * aspect_ratio
    if width % head_dim == 0:
        return
    step = head_dim // math.gcd(depth, head_dim)
    below = aspect_ratio // step * step
    nearest = " or ".join(str(ratio) for ratio in (below, below + step) if ratio > 0)
    problem = f"model_dim = DEPTH * ASPECT_RATIO = {depth} * {aspect_ratio} = {width}"
    raise bad_setting(f"{problem}: expected a multiple of HEAD_DIM = {head_dim}; the nearest ASPECT_RATIO is {nearest}")


def batches_per_step(tuned: Mapping[str, int], sequence_length: int) -> int:
    """Return how many batches make up one optimizer step. Raises RunFailure where they do not come out even.

    tuned: has total_batch (tokens in a step) and device_batch (rows of sequence_length tokens at once).
    """
    total, tokens = tuned["total_batch"], tuned["device_batch"] * sequence_length
    if total % tokens:
        raise bad_setting(f"total_batch = {total}: expected a multiple of device_batch x sequence length = {tokens}")
    return total // tokens

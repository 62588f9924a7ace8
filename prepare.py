"""The fixed side of every experiment: settings, corpora, tokenizer, token files, the budget and the evaluation.

An experiment edits train.py and never this file. `python prepare.py` prepares a corpus; train.py prepares by itself.
"""

import argparse
import gc
import hashlib
import http.client
import json
import math
import os
import platform
import resource
import shutil
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
import psutil
from filelock import FileLock

# torch takes a second to load and the harness asks `prepare.py --json` before every campaign, so what needs torch
# imports it where it is used; so do the parts that need tokenizers, pyarrow and rich.
if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

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

EXIT_SETTING = 2  # a setting or a constant that cannot be used
EXIT_CORPUS = 10  # the corpus cannot be had
EXIT_NAN = 11  # the loss is not finite, or diverged
EXIT_OOM = 12  # out of memory
EXIT_INTERRUPTED = 130

PROBE_STEPS = 10  # a probe takes at least so many: from fewer no step time can be told on a busy machine
VERSION = 1  # of the preparation: raise it when the same corpus would give other token files
SCHEMA = 1  # of result.json
BOS = "<|bos|>"
SPLITS = ("val", "held")
HELD_OUT_SHARE = 0.05  # of the documents for each of SPLITS, where the corpus has no split of its own
CLIMBMIX_LAST = 6542  # its validation shard
HUB = "https://huggingface.co/datasets/"
CLIMBMIX = HUB + "karpathy/climbmix-400b-shuffle/resolve/main/"
TINYSTORIES = HUB + "roneneldan/TinyStories/resolve/main/"
# Dense bf16 FLOP/s from the makers' data sheets, by a part of the device's name; the first that fits counts.
PEAK_FLOPS = {
    "B200": 2250e12, "H200": 989e12, "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "A100": 312e12,
    "L40S": 362e12, "RTX 4090": 165e12,
}  # fmt: skip

Role = Literal["train", "eval", "any"]
BudgetKind = Literal["seconds", "steps", "tokens"]


# --- failures ---------------------------------------------------------------------------------------------


class Stop(Exception):
    """A failure with a name and an exit status of its own; `run` prints it as one line, without a traceback."""

    def __init__(self, status: str, code: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.code, self.reason = status, code, reason


def bad_setting(reason: str) -> Stop:
    return Stop("invalid", EXIT_SETTING, reason)


def no_corpus(reason: str) -> Stop:
    return Stop("corpus", EXIT_CORPUS, reason)


def not_finite(reason: str) -> Stop:
    return Stop("nan", EXIT_NAN, reason)


_NO_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA out of memory")


def is_out_of_memory(error: BaseException) -> bool:
    """True for Python's, CUDA's and the CPU allocator's own ways to say that memory ran out."""
    known = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return known or any(sign in str(error) for sign in _NO_MEMORY)


def run(main: Callable[[], None]) -> int:
    """Call `main` and return the exit status; an expected failure becomes one line and a `failure.json`.

    Any other exception passes through, traceback and all.
    """
    try:
        main()
    except Stop as stop:
        return _report(stop)
    except KeyboardInterrupt:
        return _report(Stop("interrupted", EXIT_INTERRUPTED, "interrupted"))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _report(Stop("oom", EXIT_OOM, f"out of memory: {str(error).splitlines()[0] if str(error) else 'host'}"))
    return 0


def _report(stop: Stop) -> int:
    print(f"error: {stop.reason}", file=sys.stderr, flush=True)
    folder = os.environ.get("AUTORESEARCH_RUN_DIR")
    if folder and Path(folder).is_dir():
        write_json(Path(folder) / "failure.json", {"status": stop.status, "reason": stop.reason})
    return stop.code


def write_json(path: Path, value: object) -> None:
    """Write `value` to `path` so that a reader sees the whole of it or nothing. NaN and infinity are refused."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)


# --- settings: the one place that reads the environment ---------------------------------------------------


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
    def graphs(self) -> Path:
        """What was compiled and measured on this machine: all that a training run writes outside its folder."""
        return self.cache / "graphs"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings named by AUTORESEARCH_*. Raises Stop, naming variable, value and what is expected."""
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


# --- corpora ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """One raw file. `role` says what its documents are for: 'any' is split by hash, 'eval' is val or held."""

    path: Path
    role: Role
    url: str | None = None


def find_stdlib(_settings: Settings, _argument: str) -> list[Source]:
    """The Python files of the running interpreter's standard library, tests and installed packages left out."""
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - left_out)
        found += [Path(folder, name) for name in sorted(names) if name.endswith(".py")]
    return [Source(path, "any") for path in found]


def find_climbmix(settings: Settings, argument: str) -> list[Source]:
    """`climbmix:N`: the first N shards for training, the last for evaluation."""
    count = argument or str(settings.facts["shards"])
    if not (count.isdecimal() and 1 <= int(count) <= CLIMBMIX_LAST):
        raise bad_setting(f"corpus climbmix:{count}: expected a number of shards from 1 to {CLIMBMIX_LAST}")
    roles: list[tuple[int, Role]] = [*((index, "train") for index in range(int(count))), (CLIMBMIX_LAST, "eval")]
    return [_remote(settings, "climbmix", CLIMBMIX, f"shard_{index:05d}.parquet", role) for index, role in roles]


def find_tinystories(settings: Settings, _argument: str) -> list[Source]:
    roles: list[tuple[str, Role]] = [("train", "train"), ("valid", "eval")]
    return [_remote(settings, "tinystories", TINYSTORIES, f"TinyStoriesV2-GPT4-{n}.txt", role) for n, role in roles]


def _remote(settings: Settings, corpus: str, base: str, name: str, role: Role) -> Source:
    """The file in AUTORESEARCH_DATA where it lies there, else its place in the cache."""
    kept = settings.cache / "raw" / corpus / name
    places = [settings.data / name, settings.data / corpus / name] if settings.data else []
    return Source(next((place for place in places if place.is_file()), kept), role, base + name)


def find_file(settings: Settings, argument: str) -> list[Source]:
    """`file:PATH`: that file, or every file of that folder; a relative path may also lie in AUTORESEARCH_DATA."""
    places = [Path(argument).expanduser(), *([settings.data / argument] if settings.data else [])]
    root = next((place for place in places if argument and place.exists()), None)
    if root is None:
        raise no_corpus(f"corpus file:{argument}: there is no such file or folder; {_at_hand(settings)}")
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    return [Source(path.resolve(), "any") for path in paths]


def read_whole(path: Path) -> Iterator[str]:
    yield path.read_text(encoding="utf-8", errors="replace")


def read_blocks(path: Path) -> Iterator[str]:
    """Blocks between blank lines; the lines of a file that has too few blocks to be split three ways."""
    text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
    blocks = text.split("\n\n")
    yield from blocks if len(blocks) >= 20 else text.splitlines()


def read_stories(path: Path) -> Iterator[str]:
    """Stories between lines that hold <|endoftext|>; the file is larger than memory may be."""
    story: list[str] = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip() == "<|endoftext|>":
                yield "".join(story)
                story = []
            else:
                story.append(line)
    yield "".join(story)


def read_parquet(path: Path) -> Iterator[str]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as table:
        for batch in table.iter_batches(columns=["text"]):
            yield from batch.column(0).to_pylist()


Find = Callable[[Settings, str], list[Source]]
Read = Callable[[Path], Iterator[str]]
CORPORA: dict[str, tuple[Find, Read]] = {
    "stdlib": (find_stdlib, read_whole),
    "climbmix": (find_climbmix, read_parquet),
    "tinystories": (find_tinystories, read_stories),
    "file": (find_file, read_blocks),
}


def find(settings: Settings) -> list[Source]:
    """The raw files of the corpus, there or not. Raises Stop for a name that is no corpus."""
    name, _, argument = settings.corpus.partition(":")
    if name not in CORPORA:
        raise bad_setting(f"AUTORESEARCH_CORPUS={settings.corpus!r}: expected stdlib, climbmix, tinystories, file:PATH")
    return CORPORA[name][0](settings, argument)


def _at_hand(settings: Settings) -> str:
    """Which corpora need no network now, and what to type."""
    files = {name: CORPORA[name][0](settings, "") for name in ("stdlib", "climbmix", "tinystories")}
    here = [name for name, sources in files.items() if all(source.path.is_file() for source in sources)]
    return f"at hand now: {', '.join(here)}, file:PATH (your own text); try: python prepare.py --corpus stdlib"


# --- downloads --------------------------------------------------------------------------------------------


class _Linked(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps the sha256 that a large-file store states on the first of them."""

    sha256 = ""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def note(self, headers: Mapping[str, str]) -> None:
        tag = headers.get("X-Linked-ETag", "").strip('"')
        self.sha256 = tag if len(tag) == 64 else self.sha256


def download(url: str, path: Path, *, timeout_s: float = 30) -> None:
    """Fetch `url` to `path` by way of a `.part` file, going on where an earlier attempt stopped.

    Length and (where the server states one) sha256 are checked before the file gets its name.
    Raises OSError (URLError, HTTPError) when it cannot be had; what has arrived stays for the next attempt.
    """
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    linked = _Linked()
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.build_opener(linked).open(request, timeout=timeout_s) as response:
        linked.note(response.headers)
        have = have if response.status == 206 else 0
        total = have + int(response.headers.get("Content-Length") or 0)
        _receive(response, part, have, total)
    if total and part.stat().st_size != total:
        raise OSError(f"{path.name}: {part.stat().st_size:,} of {total:,} bytes arrived; run again to go on")
    if linked.sha256 and file_sha256(part) != linked.sha256:
        part.unlink()
        raise OSError(f"{path.name}: the sha256 of what arrived is not the one the server states; it was removed")
    part.replace(path)


def _receive(response: http.client.HTTPResponse, part: Path, have: int, total: int) -> None:
    with progress(f"downloading {part.stem}", total, "bytes") as advance, part.open("ab" if have else "wb") as out:
        advance(have)
        while block := response.read(1 << 20):
            out.write(block)
            advance(len(block))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(settings: Settings, files: list[Source]) -> None:
    """Download what is missing. Raises Stop with what can be had instead."""
    for source in files:
        if source.path.is_file():
            continue
        if source.url is None:
            raise no_corpus(f"corpus {settings.corpus}: {source.path} is gone; {_at_hand(settings)}")
        try:
            download(source.url, source.path)
        except (OSError, http.client.HTTPException) as error:
            problem = f"corpus {settings.corpus}: {source.path.name} cannot be downloaded ({error})"
            hint = f"or put it into the folder AUTORESEARCH_DATA; {_at_hand(settings)}"
            raise no_corpus(f"{problem}; run again when online, {hint}") from error


@contextmanager
def progress(label: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
    """Yield `advance(amount)`: a bar on a terminal, else one line when it begins; both on stderr."""
    if not sys.stderr.isatty():
        print(f"{label} ({total:,.0f} {unit})", file=sys.stderr, flush=True)
        yield lambda _amount: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total or None)
        yield lambda amount: bar.advance(task, amount)


# --- preparation ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A corpus that is ready: its folder, and what meta.json says of it."""

    path: Path
    corpus: str
    profile: str
    fingerprint: str
    vocab_size: int
    sequence_length: int
    train_tokens: int
    val_bytes: int
    held_bytes: int

    def train(self) -> np.ndarray:
        """The training tokens: flat uint16, memory-mapped, BOS before each document."""
        return np.memmap(self.path / "train.bin", dtype=np.uint16, mode="r")

    def token_bytes(self) -> np.ndarray:
        """Raw bytes of each token, int64 of (vocab_size,); a special token has none."""
        return np.load(self.path / "token_bytes.npy")

    def evaluation(self, split: str) -> "EvalSet":
        with np.load(self.path / f"{split}.npz") as arrays:
            return EvalSet(arrays["rows"], arrays["documents"], arrays["document_bytes"])


@dataclass(frozen=True)
class EvalSet:
    """Held-out documents, packed once into rows.

    rows: uint16 of (n, T + 1); a row's last token is the next row's first, so every token is a target once.
    documents: int32 of (n, T), the document of each target, -1 where the target is special or padding.
    document_bytes: int64, the UTF-8 length of each document.
    """

    rows: np.ndarray
    documents: np.ndarray
    document_bytes: np.ndarray


def prepare(settings: Settings) -> Prepared:
    """Return the corpus, prepared: from the cache where its raw files are as they were, else made now.

    Any number of processes may call this at once. Raises Stop when the corpus cannot be had or used.
    """
    if settings.prepared is not None:
        return _given(settings, settings.prepared)
    done = _lookup(settings, find(settings))
    if done is not None:
        return done
    _make_cache(settings.cache)
    with FileLock(settings.cache / "prepare.lock"):
        files = find(settings)
        fetch(settings, files)
        return _lookup(settings, files) or _build(settings, files)


def _given(settings: Settings, folder: Path) -> Prepared:
    """The corpus that whoever started this process has prepared; the raw files need not be within reach."""
    try:
        found = load(folder)
    except (OSError, ValueError, TypeError) as error:
        raise no_corpus(f"AUTORESEARCH_PREPARED={str(folder)!r}: expected a prepared corpus ({error})") from error
    if found.profile != settings.profile:
        raise no_corpus(f"AUTORESEARCH_PREPARED={str(folder)!r}: it is for {found.profile}, not {settings.profile}")
    return found


def _make_cache(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except OSError as error:
        raise bad_setting(f"AUTORESEARCH_CACHE={str(cache)!r}: expected a folder to write to ({error})") from error


def _key(settings: Settings, files: list[Source]) -> str | None:
    """What can be known of the raw files without reading them; None where one is missing."""
    if not all(source.path.is_file() for source in files):
        return None
    stats = [(str(source.path), source.role, source.path.stat()) for source in files]
    facts = [(path, role, stat.st_size, stat.st_mtime_ns) for path, role, stat in stats]
    text = json.dumps([VERSION, settings.corpus, settings.profile, settings.facts, facts])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lookup(settings: Settings, files: list[Source]) -> Prepared | None:
    key = _key(settings, files)
    index = settings.cache / "index" / f"{key}.json"
    if key is None or not index.is_file():
        return None
    folder = settings.cache / json.loads(index.read_text(encoding="utf-8"))["folder"]
    return load(folder) if (folder / "meta.json").is_file() else None


def load(folder: Path) -> Prepared:
    """A prepared corpus from its folder."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Prepared(path=folder, **meta)


def _build(settings: Settings, files: list[Source]) -> Prepared:
    """Prepare into a temporary folder and rename it: half a corpus is never seen. The caller holds the lock."""
    for stale in settings.cache.glob(".preparing-*"):  # left by a process that was killed: nobody else prepares now
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=settings.cache) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        fingerprint = _write_corpus(settings, files, out)
        name = settings.corpus.partition(":")[0]
        folder = settings.cache / f"{name}-{settings.profile}-{fingerprint[:12]}"
        if not folder.exists():
            out.rename(folder)
    (settings.cache / "index").mkdir(exist_ok=True)
    write_json(settings.cache / "index" / f"{_key(settings, files)}.json", {"folder": folder.name})
    return load(folder)


def _write_corpus(settings: Settings, files: list[Source], out: Path) -> str:
    """Write the tokenizer, train.bin, the two evaluation sets and meta.json to `out`; return the fingerprint."""
    facts = settings.facts
    tokenizer = train_tokenizer(_sample(settings, files), facts["vocab_size"])
    tokenizer.save(str(out / "tokenizer.json"))
    np.save(out / "token_bytes.npy", count_token_bytes(tokenizer, facts["vocab_size"]))
    fingerprint = hashlib.sha256(json.dumps([VERSION, facts]).encode())
    held: dict[str, dict[bytes, str]] = {split: {} for split in SPLITS}
    with (out / "train.bin").open("wb") as train:
        texts = _train_texts(settings, files, held, fingerprint)
        tokens = sum(_append(train, tokenizer, batch) for batch in _batched(texts, 256))
    sizes = {f"{split}_bytes": _write_eval(out, split, held[split], tokenizer, facts) for split in SPLITS}
    if tokens <= facts["sequence_length"] or not all(sizes.values()):
        found = f"{tokens:,} training tokens, {sizes['val_bytes']:,} and {sizes['held_bytes']:,} held-out bytes"
        raise no_corpus(f"corpus {settings.corpus} is too small: split by hash it gives {found}; add more documents")
    write_json(
        out / "meta.json",
        {
            "corpus": settings.corpus,
            "profile": settings.profile,
            "fingerprint": fingerprint.hexdigest(),
            "vocab_size": facts["vocab_size"],
            "sequence_length": facts["sequence_length"],
            "train_tokens": tokens,
            **sizes,
        },
    )
    return fingerprint.hexdigest()


def documents(settings: Settings, files: list[Source]) -> Iterator[tuple[str, str, bytes]]:
    """Yield (split, text, sha256 of the text) of every document that is not blank, in the order of the files."""
    read = CORPORA[settings.corpus.partition(":")[0]][1]
    for source in files:
        for text in read(source.path):
            if text.strip():
                digest = hashlib.sha256(text.encode("utf-8", errors="replace")).digest()
                yield split_of(digest, source.role), text, digest


def split_of(digest: bytes, role: Role) -> str:
    """'train', 'val' or 'held', for ever the same for one text: the digest's first 8 bytes as a number in [0, 1)."""
    place = int.from_bytes(digest[:8], "big") / 2**64
    share = {"train": 0.0, "eval": 0.5, "any": HELD_OUT_SHARE}[role]
    if place < share:
        return "val"
    return "held" if place < 2 * share else "train"


def _sample(settings: Settings, files: list[Source]) -> Iterator[str]:
    """Training documents for the tokenizer, up to the profile's bound: it never sees a held-out byte."""
    left = settings.facts["tokenizer_bytes"]
    for split, text, _ in documents(settings, files):
        if split == "train":
            yield text
            left -= len(text)
        if left <= 0:
            return


def _train_texts(
    settings: Settings, files: list[Source], held: dict[str, dict[bytes, str]], fingerprint: "hashlib._Hash"
) -> Iterator[str]:
    """Yield the training documents up to the profile's bound; put the others into `held`, all into `fingerprint`."""
    total = sum(source.path.stat().st_size for source in files)
    left = settings.facts["train_bytes"]
    with progress(f"preparing {settings.corpus} ({settings.profile})", total, "bytes") as advance:
        for split, text, digest in documents(settings, files):
            fingerprint.update(split.encode() + digest)
            advance(len(text))
            if split != "train":
                held[split][digest] = text
            elif left > 0:
                left -= len(text)
                yield text


def _batched(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch


def _append(file: BinaryIO, tokenizer: "Tokenizer", texts: list[str]) -> int:
    """Write the tokens of `texts`; return how many."""
    return sum(file.write(ids.tobytes()) for ids in encode(tokenizer, texts)) // 2


# --- tokenizer --------------------------------------------------------------------------------------------

# Words with the blank or mark before them, digits by ones and twos, runs of marks, line ends, blanks.
PIECES = r" ?\p{L}+|[^\s\p{L}\p{N}]\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> "Tokenizer":
    """Byte-level BPE over `texts`. Id 0 is BOS, the 256 bytes follow, then at most vocab_size - 257 merges."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    pieces = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pieces, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[BOS], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.encode_special_tokens = True  # a document that spells out BOS is text like any other
    return tokenizer


def count_token_bytes(tokenizer: "Tokenizer", vocab_size: int) -> np.ndarray:
    """Raw bytes of each token, int64 of (vocab_size,). Byte-level BPE spells one byte as one character."""
    sizes = np.zeros(vocab_size, dtype=np.int64)
    for token, index in tokenizer.get_vocab().items():
        sizes[index] = 0 if token == BOS else len(token)
    return sizes


def encode(tokenizer: "Tokenizer", texts: list[str]) -> list[np.ndarray]:
    """The tokens of each text as uint16, BOS first."""
    bos = tokenizer.token_to_id(BOS)
    return [np.array([bos, *item.ids], dtype=np.uint16) for item in tokenizer.encode_batch_fast(texts)]


def _write_eval(out: Path, split: str, texts: dict[bytes, str], tokenizer: "Tokenizer", facts: dict[str, int]) -> int:
    """Write the evaluation set: whole documents in the order of their hashes, up to eval_bytes; return its bytes."""
    chosen, total = [], 0
    for digest in sorted(texts):
        size = len(texts[digest].encode())
        if total + size <= facts["eval_bytes"]:
            chosen.append(texts[digest])
            total += size
    if chosen:
        sizes = [len(text.encode()) for text in chosen]
        packed = pack(encode(tokenizer, chosen), sizes, facts["sequence_length"])
        np.savez(out / f"{split}.npz", **vars(packed))
    return total


def pack(encoded: list[np.ndarray], sizes: list[int], sequence_length: int) -> EvalSet:
    """Lay documents end to end and cut the stream into rows; every token but a BOS is the target of one place."""
    stream = np.concatenate(encoded)
    owner = np.concatenate([np.r_[-1, np.full(len(ids) - 1, index)] for index, ids in enumerate(encoded)])
    count = max(1, math.ceil((len(stream) - 1) / sequence_length))
    padding = count * sequence_length + 1 - len(stream)
    stream = np.pad(stream, (0, padding), constant_values=stream[0])  # with BOS: it is never scored
    owner = np.pad(owner, (0, padding), constant_values=-1)
    rows = np.lib.stride_tricks.sliding_window_view(stream, sequence_length + 1)[::sequence_length]
    return EvalSet(rows.copy(), owner[1:].reshape(count, -1).astype(np.int32), np.array(sizes, dtype=np.int64))


# --- a run ------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One training run: what was asked for, the corpus, the seconds each phase took, and how it was done."""

    settings: Settings
    corpus: Prepared
    device: "torch.device"
    phases: dict[str, float] = field(default_factory=dict)
    notes: dict[str, object] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the seconds spent inside to the phase `name`."""
        start = time.perf_counter()
        yield
        self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - start

    def compiling_pays(self, facts: object, *, warm_s: float, cold_s: float) -> bool:
        """Whether to compile: what AUTORESEARCH_COMPILE says, else whether the budget is long enough for it.

        facts: what the graph depends on (JSON). The budget must reach `warm_s` seconds where such a graph was compiled
        on this machine before, and `cold_s` where not; one of steps or tokens counts as none.
        """
        budget_s = self.settings.amount if self.settings.kind == "seconds" else 0.0
        pays = budget_s >= (warm_s if self._known("compiled", facts).exists() else cold_s)
        wanted = pays if self.settings.compile is None else self.settings.compile
        able = can_compile(self.device)
        if wanted and not able:
            print("not compiled: there is no compiler, or Python's headers are missing", flush=True)
        self.notes["compiled"] = wanted and able
        return wanted and able

    def compiled(self, facts: object) -> None:
        """Remember that the graph of `facts` is in the compiler's cache."""
        write_json(self._known("compiled", facts), facts)

    def fastest(self, what: str, facts: object, trials: Mapping[str, Callable[[], None]]) -> str:
        """The name of the trial that takes the least time; measured once for a machine and `facts`, then looked up.

        A trial that this device cannot run is left out. Raises RuntimeError where none can, or memory runs out.
        """
        if len(trials) == 1:
            return next(iter(trials))
        path = self._known(what, [facts, sorted(trials)])
        seconds = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else trial_seconds(trials, self.device)
        if not seconds:
            raise RuntimeError(f"{what}: none of {', '.join(trials)} runs on {machine_name(self.device)}")
        write_json(path, seconds)
        self.notes[what] = {"chosen": min(seconds, key=seconds.__getitem__), "seconds": seconds}
        return min(seconds, key=seconds.__getitem__)

    def _known(self, what: str, facts: object) -> Path:
        """The file in the cache that holds what is known of `facts` on this machine."""
        import torch

        text = json.dumps([VERSION, machine_name(self.device), torch.__version__, facts])
        folder = self.settings.graphs / what
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def batches(self, rows: int) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
        """Yield (tokens, targets) for ever, int64 of (rows, T): each epoch is a shuffle of all rows, by the seed.

        The next batch is read, and queued for the device, before the one in hand is used.
        """
        data, length = self.corpus.train(), self.corpus.sequence_length
        blocks = (
            np.stack([data[start : start + length + 1] for start in starts])
            for starts in _starts(len(data), length, rows, self.settings.seed)
        )
        waiting = self._sent(next(blocks))
        for block in blocks:
            ready, waiting = waiting, self._sent(block)
            yield ready

    def _sent(self, block: np.ndarray) -> tuple["torch.Tensor", "torch.Tensor"]:
        """(tokens, targets) of a block of rows, on the device."""
        import torch

        both = torch.from_numpy(block.astype(np.int64))
        if self.device.type == "cuda":
            both = both.pin_memory().to(self.device, non_blocking=True)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()


def can_compile(device: "torch.device") -> bool:
    """Whether torch can compile here: it needs a compiler (on CUDA Triton's, for C) and the headers of Python."""
    names = ("CC", "gcc", "clang", "cc") if device.type == "cuda" else ("CXX", "g++")
    compiler = any(shutil.which(os.environ.get(name) or name) for name in names)
    return compiler and Path(sysconfig.get_path("include"), "Python.h").is_file()


def trial_seconds(trials: Mapping[str, Callable[[], None]], device: "torch.device") -> dict[str, float]:
    """Seconds of each trial, the best of ten after three that compile and fill caches; without those that fail."""
    import torch

    found = {}
    for name, trial in trials.items():
        try:
            found[name] = min([_seconds(trial, device) for _ in range(13)][3:])
        except (RuntimeError, ImportError, AssertionError) as error:
            if is_out_of_memory(error):  # it might run when nobody else is on the device
                raise
            print(f"{name} does not run here: {repr(error).splitlines()[0][:200]}", flush=True)
    if device.type == "cuda":  # what the trials took is no part of the run's peak
        torch.cuda.reset_peak_memory_stats()
    return found


def _seconds(work: Callable[[], None], device: "torch.device") -> float:
    import torch

    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _starts(tokens: int, length: int, rows: int, seed: int) -> Iterator[list[int]]:
    """Where the rows of each batch begin: an epoch cuts the stream at a random phase and shuffles the pieces."""
    rng = np.random.default_rng(seed)
    waiting: list[int] = []
    while True:
        spare = tokens - 1 - length
        first = int(rng.integers(0, min(length, spare + 1)))
        order = np.arange(first, spare + 1, length)
        rng.shuffle(order)
        waiting.extend(order.tolist())
        while len(waiting) >= rows:
            yield waiting[:rows]
            del waiting[:rows]


def begin() -> Run:
    """Read the settings, make the run's folder, have the corpus ready, seed everything. Raises Stop."""
    import torch

    settings = read_settings()
    if settings.profile == "full" and not torch.cuda.is_available():
        raise bad_setting("AUTORESEARCH_PROFILE='full': expected a CUDA device, and there is none; use 'mini'")
    try:
        settings.run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise bad_setting(f"AUTORESEARCH_RUN_DIR={str(settings.run_dir)!r}: expected a folder ({error})") from error
    for name in ("result.json", "failure.json"):  # of an earlier run in the same folder
        (settings.run_dir / name).unlink(missing_ok=True)
    device = torch.device("cuda" if settings.profile == "full" else "cpu")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(settings.graphs / "inductor"))  # shared by a machine's runs
    os.environ.setdefault("TORCHINDUCTOR_VEC_ISA_OK", "1")  # ask the processor what it can do, not 8 s of trials
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    corpus = prepare(settings)
    torch.manual_seed(settings.seed)
    return Run(settings, corpus, device)


class Clock:
    """The budget. Counts seconds, steps and tokens from `start` to `finish`: every real optimizer step is inside.

    On CUDA the host runs `LAG` steps ahead of what it looks at, so that no step waits for the host; the loss that
    is printed and checked is that of the step which has just been completed.
    """

    LAG = 2
    DIVERGED = 2.0  # times the loss of a model that knows nothing, ln(vocab_size)

    def __init__(self, run: Run, tokens_per_step: int) -> None:
        self.settings, self.device = run.settings, run.device
        self.tokens_per_step = tokens_per_step
        self.limit = self.DIVERGED * math.log(run.corpus.vocab_size)
        self.lag = self.LAG if run.device.type == "cuda" else 0
        self.steps = 0
        self.step_seconds: list[float] = []
        self.loss: float | None = None  # smoothed, in nats a token
        self.seconds = 0.0
        self._pending: deque[tuple[torch.Tensor, torch.cuda.Event | None]] = deque()
        self._started = self._last = self._printed = 0.0

    def start(self) -> None:
        self._started = self._last = self._printed = time.perf_counter()

    @property
    def progress(self) -> float:
        """The share of the budget that is used up, in [0, 1]."""
        return min(1.0, self._used() / self.settings.amount)

    def done(self) -> bool:
        fewest = PROBE_STEPS if self.settings.probe and self.settings.kind == "seconds" else 1
        return self.steps >= fewest and self._used() >= self.settings.amount

    def _used(self) -> float:
        if self.settings.kind == "seconds":
            return time.perf_counter() - self._started
        return self.steps * (self.tokens_per_step if self.settings.kind == "tokens" else 1)

    def tick(self, loss: "torch.Tensor") -> None:
        """Count one optimizer step, whose loss is `loss`. Raises Stop where a loss is not finite or has diverged."""
        self.steps += 1
        self._pending.append(_to_host(loss))
        while len(self._pending) > self.lag:
            self._settle()
        if self.steps == 1:  # what lives now lives to the end: a collection in the middle of training only stalls it
            gc.collect()
            gc.freeze()
            gc.disable()

    def _settle(self) -> None:
        value, event = self._pending.popleft()
        if event is not None:
            event.synchronize()
        now, loss = time.perf_counter(), float(value)
        if not loss <= self.limit:
            raise not_finite(f"the loss of step {self.steps - len(self._pending)} is {loss:g}: training diverged")
        self.step_seconds.append(now - self._last)
        self._last = now
        self.loss = loss if self.loss is None else self.loss + 0.1 * (loss - self.loss)
        if now - self._printed >= (0.1 if sys.stdout.isatty() else 1.0):
            self._printed = now
            self._show()

    def finish(self) -> None:
        """Wait for the last step and stop the clock."""
        while self._pending:
            self._settle()
        self.seconds = time.perf_counter() - self._started
        gc.enable()
        self._show()
        print(flush=True, end="\n" if sys.stdout.isatty() else "")

    def _show(self) -> None:
        elapsed = time.perf_counter() - self._started
        share = self.progress
        eta = elapsed * (1 - share) / share if share else 0.0
        rate = self.steps * self.tokens_per_step / elapsed
        line = f"step {self.steps:05d} | {share:.1%} | loss {self.loss:.4f} | {rate:,.0f} tok/s | eta {eta:.0f}s"
        print(f"\r{line}\x1b[K" if sys.stdout.isatty() else f"{line}\n", end="", flush=True)


def _to_host(loss: "torch.Tensor") -> tuple["torch.Tensor", "torch.cuda.Event | None"]:
    """The loss on its way to the host, and on CUDA the event after which it (and its step) is complete."""
    import torch

    loss = loss.detach()
    if loss.device.type != "cuda":
        return loss, None
    landed = torch.empty((), dtype=torch.float32, pin_memory=True)
    landed.copy_(loss, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return landed, event


# --- evaluation -------------------------------------------------------------------------------------------


def evaluate(
    run: Run,
    clock: Clock,
    model: "Callable[[torch.Tensor], torch.Tensor]",
    *,
    weights: "Mapping[str, torch.Tensor]",
    config: Mapping[str, object],
    batch: int,
    flops_per_token: int,
) -> None:
    """Save a checkpoint, score `model` on the validation set, write result.json and print the summary block.

    model: int64 tokens (batch, time) to logits (batch, time, vocab). config: what rebuilds the model, and its depth.
    batch: rows scored at once; halved when memory runs out. flops_per_token: of training, for the MFU.
    The checkpoint comes first, so that an evaluation that fails cannot lose the run.
    Files in the run's folder: model.pt, losses.npz (nats and bytes of each document), result.json.
    """
    metrics = _speed(run, clock, flops_per_token)
    metrics["num_params_M"] = sum(value.numel() for value in weights.values()) / 1e6
    metrics["depth"] = config["depth"]
    if not run.settings.probe:
        with run.phase("checkpoint"):
            save_checkpoint(run.settings.run_dir / "model.pt", weights, config, clock.steps)
        with run.phase("eval"):
            metrics["val_bpb"] = _validate(run, model, batch)
    metrics["peak_vram_mb"] = peak_memory_mb(run.device)
    metrics["total_seconds"] = seconds_since_start()
    run.phases["startup"] = metrics["total_seconds"] - sum(run.phases.values())
    write_json(run.settings.run_dir / "result.json", _result(run, metrics, weights))
    print(summary(metrics), f"results: {run.settings.run_dir.resolve()}", sep="\n", flush=True)


def _validate(run: Run, model: "Callable[[torch.Tensor], torch.Tensor]", batch: int) -> float:
    """Score the validation set, save the losses of its documents, return bits per byte."""
    held_out = run.corpus.evaluation("val")
    nats = score(model, held_out, run.corpus.token_bytes(), batch=batch, device=run.device)
    part = run.settings.run_dir / ".losses.npz"
    np.savez(part, nats=nats, bytes=held_out.document_bytes)
    part.replace(run.settings.run_dir / "losses.npz")
    bpb = bits_per_byte(nats, held_out.document_bytes)
    if not math.isfinite(bpb):
        raise not_finite(f"val_bpb is {bpb}")
    return bpb


def bits_per_byte(nats: np.ndarray, sizes: np.ndarray) -> float:
    """Nats of all documents / (ln 2 x their UTF-8 bytes), in float64."""
    return float(nats.sum(dtype=np.float64) / (math.log(2) * sizes.sum(dtype=np.float64)))


def score(
    model: "Callable[[torch.Tensor], torch.Tensor]",
    held_out: EvalSet,
    token_bytes: np.ndarray,
    *,
    batch: int,
    device: "torch.device | str",
) -> np.ndarray:
    """Nats of each document, float64 of (documents,): minus the log-probability of each of its tokens, summed.

    The model is given tokens and never targets; the softmax is taken here, over the logits of the whole vocabulary.
    Every batch has the same shape, the last one filled up with rows that do not count. Raises AssertionError when
    the bytes of the scored tokens are not those of the documents.
    """
    import torch

    targets, owner = held_out.rows[:, 1:], held_out.documents
    counted = np.bincount(owner[owner >= 0], token_bytes[targets[owner >= 0]], minlength=len(held_out.document_bytes))
    assert np.array_equal(counted, held_out.document_bytes), "the scored tokens do not spell the documents"
    totals = np.zeros(len(held_out.document_bytes))
    done = 0
    with torch.no_grad():
        while done < len(targets):
            rows = held_out.rows[done : done + batch]
            try:
                losses = _losses(model, rows, batch, len(token_bytes), device)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or batch == 1:
                    raise
                batch //= 2
                continue
            where = owner[done : done + len(rows)]
            totals += np.bincount(where[where >= 0], losses[where >= 0], minlength=len(totals))
            done += len(rows)
    return totals


def _losses(
    model: "Callable[[torch.Tensor], torch.Tensor]",
    rows: np.ndarray,
    batch: int,
    vocab: int,
    device: "torch.device | str",
) -> np.ndarray:
    """Nats of each target of `rows`, float64 of (len(rows), T)."""
    import torch
    import torch.nn.functional as F

    full = np.pad(rows.astype(np.int64), ((0, batch - len(rows)), (0, 0)))
    both = torch.from_numpy(full).to(device)
    logits = model(both[:, :-1].contiguous())
    if logits.shape != (*both[:, 1:].shape, vocab):
        raise bad_setting(f"model(tokens) gave {tuple(logits.shape)}: expected (batch, time, vocab)")
    losses = F.cross_entropy(logits.float().flatten(0, 1), both[:, 1:].flatten(), reduction="none")
    return losses.view(batch, -1)[: len(rows)].double().cpu().numpy()


def save_checkpoint(
    path: Path, weights: "Mapping[str, torch.Tensor]", config: Mapping[str, object], steps: int
) -> None:
    """Write {"model", "config", "steps"} to `path` atomically; it loads with weights_only=True."""
    import torch

    copied = {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
    part = path.with_name(f".{path.name}")
    torch.save({"model": copied, "config": dict(config), "steps": steps}, part)
    part.replace(path)


def _speed(run: Run, clock: Clock, flops_per_token: int) -> dict[str, object]:
    """The metrics of training itself. step_seconds is a low quantile: what a step takes when nobody disturbs it."""
    tokens = clock.steps * clock.tokens_per_step
    skipped = min(5, len(clock.step_seconds) // 4)  # the first steps fill caches
    metrics = {
        "training_seconds": clock.seconds,
        "total_tokens_M": tokens / 1e6,
        "num_steps": clock.steps,
        "tokens_per_second": tokens / clock.seconds,
        "step_seconds": float(np.quantile(clock.step_seconds[skipped:], 0.2)),
    }
    peak = peak_flops(machine_name(run.device))
    if peak is not None:
        metrics["mfu_percent"] = 100 * flops_per_token * metrics["tokens_per_second"] / peak
    return metrics


def peak_flops(device_name: str) -> float | None:
    """Dense bf16 FLOP/s of a device, None where it is not known."""
    return next((peak for name, peak in PEAK_FLOPS.items() if name in device_name), None)


def machine_name(device: "torch.device") -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def peak_memory_mb(device: "torch.device") -> float:
    """The most memory held at once: of the device's allocator on CUDA, of this process (resident) on a CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # Linux's getrusage counts what the parent held when it started us
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, kilobytes elsewhere
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def seconds_since_start() -> float:
    """Wall seconds since this process was started, before its first import."""
    return time.time() - psutil.Process().create_time()


def _result(run: Run, metrics: Mapping[str, object], weights: "Mapping[str, torch.Tensor]") -> dict[str, object]:
    import torch

    machine = {
        "device": machine_name(run.device),
        "kind": run.device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    return {
        "schema": SCHEMA,
        "metrics": metrics,
        "phases": run.phases,
        "machine": machine,
        "corpus": run.corpus.fingerprint,
        "profile": run.settings.profile,
        "seed": run.settings.seed,
        "params": sum(value.numel() for value in weights.values()),
        "probe": run.settings.probe,
        "notes": run.notes,
    }


SUMMARY = {
    "val_bpb": ".6f", "training_seconds": ".1f", "total_seconds": ".1f", "peak_vram_mb": ".1f", "mfu_percent": ".2f",
    "total_tokens_M": ".3f", "num_steps": "d", "num_params_M": ".3f", "depth": "d",
}  # fmt: skip


def summary(metrics: Mapping[str, object]) -> str:
    """The block users know: '---', then 'key: value'. A metric that does not exist reads n/a."""
    shown = {name: format(metrics[name], kind) if name in metrics else "n/a" for name, kind in SUMMARY.items()}
    lines = [f"{name + ':':<18}{value}" for name, value in shown.items()]
    return "\n".join(["---", *lines])


# --- command line -----------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(prog="prepare.py", description="Prepare a corpus: tokenizer and token files.")
    parser.add_argument("--corpus", help="stdlib, climbmix, tinystories, file:PATH (AUTORESEARCH_CORPUS, stdlib)")
    parser.add_argument("--profile", choices=list(PROFILES), help="full where there is a CUDA device, else mini")
    parser.add_argument("--shards", type=int, help="of climbmix for training; the same as --corpus climbmix:N")
    parser.add_argument("--json", action="store_true", help="print one line of JSON on stdout")
    asked = parser.parse_args()
    named = {"AUTORESEARCH_CORPUS": asked.corpus, "AUTORESEARCH_PROFILE": asked.profile}
    settings = read_settings({**os.environ, **{name: value for name, value in named.items() if value}})
    if asked.shards is not None:
        settings = replace(settings, corpus=f"climbmix:{asked.shards}")
    done = prepare(settings)
    facts = {name: getattr(done, name) for name in ("corpus", "fingerprint", "profile", "train_tokens", "val_bytes")}
    if asked.json:
        print(json.dumps({**facts, "path": str(done.path)}))
        return
    print(f"{done.corpus} ({done.profile}): {done.train_tokens:,} training tokens, {done.val_bytes:,} validation bytes")
    print(f"prepared in {done.path}")


if __name__ == "__main__":
    sys.exit(run(main))

"""A prepared corpus: tokenizer, training tokens and two held-out sets, made once and found again by fingerprint."""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from filelock import FileLock

from fixed.corpora import CORPORA, Role, Source, fetch, find, progress
from fixed.result import bad_setting, no_corpus, write_json
from fixed.settings import Settings
from fixed.tokenizer import count_token_bytes, encode, train_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VERSION = 1  # of the preparation: raise it when the same corpus would give other token files
SPLITS = ("val", "held")
HELD_OUT_SHARE = 0.05  # of the documents for each of SPLITS, where the corpus has no split of its own


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
        sizes: np.ndarray = np.load(self.path / "token_bytes.npy")
        return sizes

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


Find = Callable[[Settings], list[Source]]
Write = Callable[[Settings, list[Source], Path], str]


def prepare(settings: Settings) -> Prepared:
    """Return the corpus, prepared: from the cache where its raw files are as they were, else made now.

    Any number of processes may call this at once. Raises RunFailure when the corpus cannot be had or used.
    """
    return prepare_by(settings, find, _write_corpus)


def prepare_by(settings: Settings, find: Find, write: Write, version: object = VERSION) -> Prepared:
    """Return the corpus as `prepare` does. find: its raw files. write: fills a folder, returns the fingerprint.

    version: what else the folder depends on (JSON): a corpus of another one in the cache is not taken.
    """
    if settings.prepared is not None:
        return _given(settings, settings.prepared)
    done = _lookup(settings, find(settings), version)
    if done is not None:
        return done
    _make_cache(settings.cache)
    with FileLock(settings.cache / "prepare.lock"):
        files = find(settings)
        fetch(settings, files)
        return _lookup(settings, files, version) or _build(settings, files, write, version)


def _given(settings: Settings, folder: Path) -> Prepared:
    """The corpus that whoever started this process has prepared; the raw files need not be within reach."""
    try:
        corpus = load(folder)
    except (OSError, ValueError, TypeError) as error:
        raise no_corpus(f"AUTORESEARCH_PREPARED={str(folder)!r}: expected a prepared corpus ({error})") from error
    if corpus.profile != settings.profile:
        raise no_corpus(f"AUTORESEARCH_PREPARED={str(folder)!r}: it is for {corpus.profile}, not {settings.profile}")
    return corpus


def _make_cache(cache: Path) -> None:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
    except OSError as error:
        raise bad_setting(f"AUTORESEARCH_CACHE={str(cache)!r}: expected a folder to write to ({error})") from error


def _key(settings: Settings, files: list[Source], version: object) -> str | None:
    """What can be known of the raw files without reading them; None where one is missing."""
    if not all(source.path.is_file() for source in files):
        return None
    stats = [(str(source.path), source.role, source.path.stat()) for source in files]
    facts = [(path, role, stat.st_size, stat.st_mtime_ns) for path, role, stat in stats]
    text = json.dumps([version, settings.corpus, settings.profile, settings.facts, facts])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lookup(settings: Settings, files: list[Source], version: object) -> Prepared | None:
    key = _key(settings, files, version)
    index = settings.cache / "index" / f"{key}.json"
    if key is None or not index.is_file():
        return None
    folder = settings.cache / json.loads(index.read_text(encoding="utf-8"))["folder"]
    return load(folder) if (folder / "meta.json").is_file() else None


def load(folder: Path) -> Prepared:
    """A prepared corpus from its folder."""
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Prepared(path=folder, **meta)


def _build(settings: Settings, files: list[Source], write: Write, version: object) -> Prepared:
    """Prepare into a temporary folder and rename it: half a corpus is never seen. The caller holds the lock."""
    for stale in settings.cache.glob(".preparing-*"):  # left by a process that was killed: nobody else prepares now
        shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=settings.cache) as scratch:
        out = Path(scratch) / "out"
        out.mkdir()
        fingerprint = write(settings, files, out)
        name = settings.corpus.partition(":")[0]
        folder = settings.cache / f"{name}-{settings.profile}-{fingerprint.rpartition('-')[2][:12]}"
        if not folder.exists():
            out.rename(folder)
    (settings.cache / "index").mkdir(exist_ok=True)
    write_json(settings.cache / "index" / f"{_key(settings, files, version)}.json", {"folder": folder.name})
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
        sizes_text = f"{tokens:,} training tokens, {sizes['val_bytes']:,} and {sizes['held_bytes']:,} held-out bytes"
        raise no_corpus(
            f"corpus {settings.corpus} is too small: split by hash it gives {sizes_text}; add more documents"
        )
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

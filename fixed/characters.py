"""What the tracks of single characters share on the fixed side: the corpus, batches, the score of a run.

A corpus lies on disk in the form of every other (dataset.py), so that loader, scorer and audit read it as it is.
Token 0 stands before each document; where the end of a document is a character too, it also follows its last one.
"""

import argparse
import hashlib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fixed.clock import BudgetClock
from fixed.corpora import Role, Source, fetch, file_sha256
from fixed.dataset import SPLITS, EvalSet, Prepared, pack, prepare_by, split_of
from fixed.evaluate import bits_per_byte, report, save_checkpoint, save_losses, score, training_metrics
from fixed.result import EXIT_CORPUS, RunFailure, bad_setting, no_corpus, not_finite, write_json
from fixed.runtime import Run
from fixed.samples import words
from fixed.settings import PROFILES, Settings, read_settings

if TYPE_CHECKING:
    import torch

VERSION = 4  # of the preparation: raise it when the same text would give other token files
STANDIN = "-standin"  # at the end of a corpus's name: made up by code, because the real text is not at hand
BOUNDARY = 0  # the token before a document, and after it where its end is scored
EVAL_TOKENS = 8192  # scored at once
ROWS_AT_ONCE = 2048  # made ready for the steps that follow: a short run takes no more
SUMMARY = {
    "val_nats": ".6f", "val_bpb": ".6f", "val_characters": "d", "train_nats": ".6f", "training_seconds": ".1f",
    "total_seconds": ".1f", "peak_vram_mb": ".1f", "num_steps": "d", "num_params": "d",
}  # fmt: skip


@dataclass(frozen=True)
class Text:
    """A text of many documents, one character a token.

    files: the raw ones, where they lie and where they can be had; sha256: of each that has one fixed version.
    read: the documents of a file. make: a stand-in for all of them, the same each time. length: tokens in a row of the
    validation set. by_rows: a document has a row to itself, with a token for what is left of it, and its end is scored
    like a character (in the raw text it is the byte that ends a line). bytes: of raw text that are used at most, to
    train on and to validate with, by profile.
    """

    name: str
    files: Callable[[Settings], list[Source]]
    read: Callable[[Path], Iterator[str]]
    make: Callable[[], list[str]]
    length: int
    sha256: Mapping[str, str]
    by_rows: bool
    bytes: Mapping[str, tuple[int, int]]


# --- the corpus -------------------------------------------------------------------------------------------


def prepare(settings: Settings, text: Text) -> Prepared:
    """Return the text's corpus, prepared; where its files cannot be had, the stand-in, under a name that says so.

    Raises RunFailure for another corpus, and for a file that is not the one it should be.
    """
    _check_name(settings, text)
    if settings.prepared is None and not settings.corpus.endswith(STANDIN):
        try:
            _fetch(settings, text)
        except RunFailure as failure:
            if failure.code != EXIT_CORPUS:
                raise
            problem = failure.reason.partition(";")[0]
            print(f"{problem}\na made stand-in takes its place: {text.name}{STANDIN}", file=sys.stderr, flush=True)
            settings = replace(settings, corpus=text.name + STANDIN)
    files = [] if settings.corpus.endswith(STANDIN) else text.files(settings)
    made = "" if files else hashlib.sha256("\n".join(text.make()).encode()).hexdigest()
    version = [VERSION, text.name, text.length, text.bytes[settings.profile], made]
    return prepare_by(settings, lambda _: files, lambda one, sources, out: _write(one, text, sources, out), version)


def _check_name(settings: Settings, text: Text) -> None:
    names = (text.name, text.name + STANDIN)
    if settings.corpus not in names:
        raise bad_setting(f"AUTORESEARCH_CORPUS={settings.corpus!r}: expected {' or '.join(names)}")


def _fetch(settings: Settings, text: Text) -> None:
    files = text.files(settings)
    fetch(settings, files)
    for path in (source.path for source in files):
        expected = text.sha256.get(path.name)
        if expected and (actual := file_sha256(path)) != expected:
            reason = (
                f"{path}: its sha256 is {actual[:12]}..., expected {expected[:12]}...; remove it to have it fetched"
            )
            raise bad_setting(reason)


def _write(settings: Settings, text: Text, files: Sequence[Source], out: Path) -> str:
    """Write characters, train.bin, the two held-out sets and meta.json to `out`; return the fingerprint."""
    splits = _split(text, files, *text.bytes[settings.profile])
    symbols = _symbols(splits["train"])
    known = {split: [one for one in splits[split] if symbols.keys() >= set(one)] for split in SPLITS}
    train = encode(splits["train"], symbols)
    held_out = {split: _eval_set(known[split], symbols, text) for split in SPLITS}
    vocabulary = set[str]() if text.by_rows else {word for one in splits["train"] for word in words(one)}
    train.tofile(out / "train.bin")
    for split, one in held_out.items():
        np.savez(out / f"{split}.npz", **vars(one))
    np.save(out / "token_bytes.npy", _token_bytes(symbols, text))
    write_json(out / "tokenizer.json", {"characters": list(symbols), "words": sorted(vocabulary)})
    digest = hashlib.sha256(json.dumps([VERSION, text.name, known, list(symbols)]).encode() + train.tobytes())
    facts = {
        "corpus": settings.corpus, "profile": settings.profile,
        "fingerprint": digest.hexdigest() if files else f"standin-{digest.hexdigest()}",
        "vocab_size": len(symbols) + 1 + text.by_rows, "sequence_length": text.length, "train_tokens": len(train),
        **{f"{split}_bytes": int(one.document_bytes.sum()) for split, one in held_out.items()},
    }  # fmt: skip
    write_json(out / "meta.json", facts)
    return str(facts["fingerprint"])


def _split(text: Text, files: Sequence[Source], train_bytes: int, eval_bytes: int) -> dict[str, list[str]]:
    """Return the documents of each split, by the hash of each: all copies of one are in the same.

    Documents in rows are split line by line, as the published figures on names are: a copy's number is hashed with it.
    """
    splits: dict[str, list[str]] = {"train": [], "val": [], "held": []}
    copies = Counter[str]()
    left = {"train": train_bytes, "val": eval_bytes, "held": eval_bytes}
    for one, role in _documents(text, files):
        raw = one.encode()
        split = split_of(hashlib.sha256(raw + b"\n" * copies[one]).digest(), role)
        copies[one] += text.by_rows
        if len(raw) < left[split]:
            left[split] -= len(raw) + 1
            splits[split].append(one)
    if not all(splits.values()):
        raise no_corpus(f"corpus {text.name}: too few documents to be split three ways")
    return splits


def _documents(text: Text, files: Sequence[Source]) -> Iterator[tuple[str, Role]]:
    """Yield every document of the files with what it is for; those of the stand-in where there are no files."""
    if not files:
        yield from ((one, "any") for one in text.make())
    for source in files:
        yield from ((one, source.role) for one in text.read(source.path))


def _symbols(texts: Sequence[str]) -> dict[str, int]:
    """Return the token of each character of the training text, from 1 on in the order of their code points."""
    seen = set[str]()
    for one in texts:
        seen.update(one)
    return {character: number for number, character in enumerate(sorted(seen), start=BOUNDARY + 1)}


def encode(texts: Sequence[str], symbols: Mapping[str, int]) -> np.ndarray:
    """Return the tokens of all texts, flat uint16, a boundary before each. Every character has a symbol."""
    table = np.zeros(max(map(ord, symbols)) + 1, dtype=np.uint16)
    table[[ord(character) for character in symbols]] = list(symbols.values())
    pieces = [np.frombuffer(one.encode("utf-32-le"), dtype=np.uint32) for one in texts]
    starts = np.cumsum([0, *(len(piece) for piece in pieces[:-1])])
    return np.insert(table[np.concatenate(pieces)], starts, BOUNDARY)


def _token_bytes(symbols: Mapping[str, int], text: Text) -> np.ndarray:
    """Return the raw bytes of each token: of the boundary one where it is scored, of padding none."""
    sizes = [len(character.encode()) for character in symbols]
    return np.array([int(text.by_rows), *sizes, *([0] if text.by_rows else [])], dtype=np.int64)


def _eval_set(texts: Sequence[str], symbols: Mapping[str, int], text: Text) -> EvalSet:
    """Return texts as a held-out set, in their order."""
    sizes = [len(one.encode()) for one in texts]
    if not text.by_rows:
        return pack([encode([one], symbols) for one in texts], sizes, text.length)
    rows = pad_rows(encode(texts, symbols), text.length, len(symbols) + 1)
    owner = np.where(rows[:, 1:] <= len(symbols), np.arange(len(rows))[:, None], -1).astype(np.int32)
    return EvalSet(rows, owner, np.array(sizes, dtype=np.int64) + 1)


def pad_rows(stream: np.ndarray, length: int, padding: int) -> np.ndarray:
    """Return each document of a stream, between two boundaries, in a row: uint16 of (documents, length + 1)."""
    return Rows(stream, length, padding)[:]


class Rows:
    """The documents of a stream, each between two boundaries in a row; rows[chosen]: uint16 of (chosen, length + 1)."""

    def __init__(self, stream: np.ndarray, length: int, padding: int) -> None:
        """Raise RunFailure where a document does not fit."""
        self._stream, self._padding, self._places = stream, padding, np.arange(length + 1)
        self._starts = np.flatnonzero(stream == BOUNDARY)
        self.sizes = np.diff(self._starts, append=len(stream))  # targets in each
        if self.sizes.max() > length:
            raise no_corpus(f"a document of {self.sizes.max() - 1} characters: expected at most {length - 1}")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        starts, ends = self._starts[chosen, None], self.sizes[chosen, None]
        places = np.minimum(starts + self._places, len(self._stream) - 1)
        rows = np.where(self._places < ends, self._stream[places], np.uint16(self._padding))
        rows[self._places == ends] = BOUNDARY
        return rows


def characters(corpus: Prepared) -> str:
    """Return the characters of tokens 1, 2, ... of a corpus."""
    return "".join(json.loads((corpus.path / "tokenizer.json").read_text(encoding="utf-8"))["characters"])


def vocabulary(corpus: Prepared) -> frozenset[str]:
    """Return the words of the training text."""
    return frozenset(json.loads((corpus.path / "tokenizer.json").read_text(encoding="utf-8"))["words"])


@lru_cache(maxsize=1)
def training_rows(corpus: Prepared) -> Rows:
    """Return the training documents, one a row, as the held-out ones are laid out; the last token is the padding."""
    return Rows(np.array(corpus.train()), corpus.sequence_length, corpus.vocab_size - 1)


def new_texts(corpus: Prepared, texts: Sequence[str]) -> list[str]:
    """Return those of `texts` that are no training document; each document is between two boundaries."""
    symbols = {character: number for number, character in enumerate(characters(corpus), start=BOUNDARY + 1)}
    known = _as_text(corpus.train())
    return [one for one in texts if _as_text(encode([one], symbols)) not in known]


def _as_text(stream: np.ndarray) -> str:
    """Return a stream with a boundary at its end as a text in which another can be searched."""
    return np.append(stream, np.uint16(BOUNDARY)).astype("<u4").tobytes().decode("utf-32-le")


def row_batches(run: Run, rows: int) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
    """Yield (tokens, targets) for ever, int64 of (rows, T): whole documents, each epoch a shuffle of all by the seed.

    T is what the longest of a batch needs; the rest is padding (the last token).
    """
    import torch

    data = training_rows(run.corpus)
    rng = np.random.default_rng(run.settings.seed)
    while True:
        order = rng.permutation(max(len(data), rows)) % len(data)
        batches = order[: len(order) // rows * rows].reshape(-1, rows)
        for some in np.array_split(batches, math.ceil(batches.size / ROWS_AT_ONCE)):
            tokens = torch.from_numpy(data[some.ravel()].astype(np.int64)).to(run.device).view(*some.shape, -1)
            for number, width in enumerate(data.sizes[some].max(1).tolist()):
                batch = tokens[number]
                yield batch[:, :width], batch[:, 1 : width + 1]


class CharacterClock(BudgetClock):
    """The budget of a run on characters. The loss of a single name may lie far above that of all."""

    DIVERGED = 10.0


# --- the score --------------------------------------------------------------------------------------------

Judge = Callable[[Run, "torch.nn.Module"], Mapping[str, float]]


def evaluate(
    run: Run, clock: BudgetClock, model: "torch.nn.Module", config: Mapping[str, object], judge: Judge
) -> None:
    """Save a checkpoint, score the model, judge what it makes up, write result.json and print the summary block.

    model: int64 tokens (batch, time) to logits (batch, time, vocab). config: what rebuilds it. judge: the metrics of
    texts that are sampled from it. Files in the run's folder: model.pt, losses.npz, samples.txt, result.json.
    """
    weights = model.state_dict()
    params, judged = sum(value.numel() for value in weights.values()), dict[str, float]()
    metrics = training_metrics(run, clock, 6 * params) | {"num_params": params, "num_params_M": params / 1e6}
    if not run.settings.probe:
        model.eval()
        with run.phase("checkpoint"):
            save_checkpoint(run.settings.run_dir / "model.pt", weights, config, clock.steps)
        with run.phase("eval"):
            metrics |= _validate(run, model)
        with run.phase("samples"):
            metrics |= (judged := dict(judge(run, model)))
    report(run, metrics, weights, SUMMARY | dict.fromkeys(judged, ".4f"))


def _validate(run: Run, model: "torch.nn.Module") -> dict[str, object]:
    """Score the validation set and as much of the training text; save the losses of the validation documents."""
    held_out, sizes = run.corpus.evaluation("val"), run.corpus.token_bytes()
    most = max(1, EVAL_TOKENS // run.corpus.sequence_length)
    rows = math.ceil(len(held_out.rows) / math.ceil(len(held_out.rows) / most))  # batches of one size, all full
    nats = score(model, held_out, sizes, batch=rows, device=run.device)
    if not math.isfinite(nats.sum()):
        raise not_finite(f"val_nats is {nats.sum()}")
    save_losses(run, nats, held_out)
    count = int((held_out.documents >= 0).sum())
    seen = _training_sample(run.corpus, len(held_out.rows))
    train_nats = score(model, seen, sizes, batch=rows, device=run.device)
    return {
        "val_nats": float(nats.sum() / count),
        "val_bpb": bits_per_byte(nats, held_out.document_bytes),
        "val_characters": count,
        "train_nats": float(train_nats.sum() / (seen.documents >= 0).sum()),
    }


def _training_sample(corpus: Prepared, rows: int) -> EvalSet:
    """Return rows from all over the training text, laid out as the held-out ones and taken for one document."""
    sizes, length = corpus.token_bytes(), corpus.sequence_length
    whole: Rows | np.ndarray
    if sizes[BOUNDARY]:
        whole = training_rows(corpus)
    else:
        whole = np.lib.stride_tricks.sliding_window_view(corpus.train(), length + 1)[::length]
    chosen = whole[np.linspace(0, len(whole) - 1, min(rows, len(whole))).astype(int)]
    scored = sizes[chosen[:, 1:]]
    return EvalSet(chosen, np.where(scored > 0, 0, -1).astype(np.int32), np.array([scored.sum()]))


# --- the command line -------------------------------------------------------------------------------------


def settings_of(text: Text, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return what the environment asks for; where it names no corpus, the text's own."""
    return read_settings({**environ, "AUTORESEARCH_CORPUS": environ.get("AUTORESEARCH_CORPUS") or text.name})


def prepare_command(text: Text) -> None:
    """Prepare the corpus as the command line says: `--json` prints one line for the harness."""
    parser = argparse.ArgumentParser(prog="prepare.py", description=f"Prepare the corpus {text.name}.")
    parser.add_argument("--corpus", help=f"{text.name} or {text.name}{STANDIN} (AUTORESEARCH_CORPUS, {text.name})")
    parser.add_argument("--profile", choices=list(PROFILES), help="full where there is a CUDA device, else mini")
    parser.add_argument("--json", action="store_true", help="print one line of JSON on stdout")
    args = parser.parse_args()
    named = {"AUTORESEARCH_CORPUS": args.corpus, "AUTORESEARCH_PROFILE": args.profile}
    done = prepare(settings_of(text, {**os.environ, **{name: value for name, value in named.items() if value}}), text)
    facts = {name: getattr(done, name) for name in ("corpus", "fingerprint", "profile", "train_tokens", "val_bytes")}
    line = json.dumps({**facts, "path": str(done.path)})
    print(line if args.json else f"{done.corpus}: {done.train_tokens:,} training tokens, in {done.path}")

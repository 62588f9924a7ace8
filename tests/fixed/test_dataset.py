"""fixed/dataset.py: the split, the fingerprint, what is used again; and any number of processes at once."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fixed import dataset
from tests.support.fixed import ROOT, environment, read


def test_the_split_is_a_function_of_the_text_alone() -> None:
    digests = [hashlib.sha256(str(n).encode()).digest() for n in range(20_000)]
    shares = {split: sum(dataset.split_of(d, "any") == split for d in digests) / 20_000 for split in ("val", "held")}
    assert shares == pytest.approx({"val": 0.05, "held": 0.05}, abs=0.006)
    assert {dataset.split_of(d, "train") for d in digests} == {"train"}
    assert {dataset.split_of(d, "eval") for d in digests} == {"val", "held"}


def test_no_held_out_document_is_in_the_training_tokens(tmp_path: Path, text: Path) -> None:
    done = dataset.prepare(read(tmp_path / "cache", f"file:{text}"))
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(done.path / "tokenizer.json"))
    tokens = done.train().tolist()
    trained = " ".join(tokenizer.decode(tokens).split())
    documents = text.read_text("utf-8").split("\n\n")
    splits = {name: dataset.split_of(hashlib.sha256(name.encode()).digest(), "any") for name in documents}
    assert {"train", "val", "held"} == set(splits.values())
    numbered = {name: name.split(" and ")[0] + " " for name in documents}
    found = {name for name, start in numbered.items() if start in trained}
    assert found == {name for name, split in splits.items() if split == "train"}
    assert tokens.count(0) == len(found)  # one BOS a document


def test_a_changed_corpus_has_another_fingerprint_and_an_unchanged_one_is_re_used(tmp_path: Path, text: Path) -> None:
    asked = read(tmp_path / "cache", f"file:{text}")
    first = dataset.prepare(asked)
    made = (first.path / "train.bin").stat().st_mtime_ns
    assert dataset.prepare(asked) == first
    assert (first.path / "train.bin").stat().st_mtime_ns == made
    text.write_text(text.read_text("utf-8") + "\n\nOne more document.", "utf-8")
    assert dataset.prepare(asked).fingerprint != first.fingerprint


def test_the_same_text_elsewhere_has_the_same_fingerprint(tmp_path: Path, text: Path) -> None:
    copy = tmp_path / "elsewhere.txt"
    copy.write_bytes(text.read_bytes())
    one, other = (dataset.prepare(read(tmp_path / "cache", f"file:{path}")) for path in (text, copy))
    assert (one.fingerprint, one.path) == (other.fingerprint, other.path)


def test_two_processes_that_prepare_at_once_agree(tmp_path: Path, text: Path) -> None:
    argv = [sys.executable, str(ROOT / "prepare.py"), "--json", "--corpus", f"file:{text}"]
    env = environment(AUTORESEARCH_CACHE=str(tmp_path / "cache"))
    both = [subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert answers[0] == answers[1]
    assert answers[0].keys() == {"corpus", "fingerprint", "profile", "path", "train_tokens", "val_bytes"}
    assert len(list((tmp_path / "cache").glob("file-mini-*"))) == 1


def test_what_a_killed_preparation_left_is_removed_and_never_used(tmp_path: Path, text: Path) -> None:
    stale = tmp_path / "cache" / ".preparing-killed" / "out"
    stale.mkdir(parents=True)
    (stale / "train.bin").write_bytes(b"half")
    dataset.prepare(read(tmp_path / "cache", f"file:{text}"))
    assert not stale.parent.exists()


def test_a_failed_preparation_leaves_no_corpus(tmp_path: Path, text: Path) -> None:
    """A full disk: no file can grow beyond 4,000 bytes."""
    asked = read(tmp_path / "cache", f"file:{text}")
    limited = f"import resource, prepare; resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000)); {PREPARE}"
    done = subprocess.run(
        [sys.executable, "-c", limited],
        env=environment(AUTORESEARCH_CACHE=str(asked.cache), AUTORESEARCH_CORPUS=asked.corpus),
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode != 0
    assert not list(asked.cache.glob("file-mini-*"))
    assert dataset.prepare(asked).train_tokens > 0


PREPARE = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); dataset.prepare(settings.read_settings())"

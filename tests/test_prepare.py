"""prepare.py: settings, corpora, downloads, preparation, and the exactness of bits per byte."""

import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

import prepare

ROOT = Path(__file__).parents[1]
VOCAB = 300  # of the small tokenizer: BOS, 256 bytes, 43 merges


def environment(**more: str) -> dict[str, str]:
    """The caller's environment without its own AUTORESEARCH settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTORESEARCH_")}
    return {**kept, "AUTORESEARCH_PROFILE": "mini", **more}


def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "prepare.py"), *arguments]
    return subprocess.run(argv, env=environment(**more), capture_output=True, text=True, timeout=120)


def wanted(cache: Path, corpus: str, **more: str) -> prepare.Settings:
    return prepare.read_settings(environment(AUTORESEARCH_CACHE=str(cache), AUTORESEARCH_CORPUS=corpus, **more))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A corpus of 400 short documents, no two alike."""
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"Document {n} says {n * n} and 'née' {'on ' * (n % 7)}." for n in range(400)), "utf-8")
    return path


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AUTORESEARCH_SEED", "1.5", "whole number"),
        ("AUTORESEARCH_SEED", "-1", "at least 0"),
        ("AUTORESEARCH_STEPS", "none", "whole number"),
        ("AUTORESEARCH_TOKENS", "0", "at least 1"),
        ("AUTORESEARCH_BUDGET", "five", "number"),
        ("AUTORESEARCH_BUDGET", "nan", "at least 0.1"),
        ("AUTORESEARCH_BUDGET", "inf", "at least 0.1"),
        ("AUTORESEARCH_PROFILE", "huge", "full, mini"),
        ("AUTORESEARCH_COMPILE", "yes", "0 or 1"),
    ],
)
def test_a_bad_setting_is_named_with_its_value_and_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(prepare.Stop) as stop:
        prepare.read_settings(environment(**{name: value}))
    assert stop.value.code == prepare.EXIT_SETTING
    assert all(part in stop.value.reason for part in (name, value, expected))


@pytest.mark.parametrize(
    ("given_", "kind", "amount"),
    [
        ({}, "seconds", prepare.BUDGET_S),
        ({"AUTORESEARCH_BUDGET": "20"}, "seconds", 20),
        ({"AUTORESEARCH_BUDGET": "20", "AUTORESEARCH_TOKENS": "5000"}, "tokens", 5000),
        ({"AUTORESEARCH_BUDGET": "20", "AUTORESEARCH_TOKENS": "5000", "AUTORESEARCH_STEPS": "7"}, "steps", 7),
    ],
)
def test_steps_outrank_tokens_and_tokens_outrank_seconds(given_: dict[str, str], kind: str, amount: float) -> None:
    read = prepare.read_settings(environment(**given_))
    assert (read.kind, read.amount) == (kind, amount)


# --- corpora ------------------------------------------------------------------------------------------------


def test_the_standard_library_leaves_out_tests_and_installed_packages(tmp_path: Path) -> None:
    files = prepare.find(wanted(tmp_path, "stdlib"))
    assert len(files) > 300
    assert not {"test", "tests", "site-packages"} & {part for source in files for part in source.path.parts[3:-1]}


def test_an_unknown_corpus_is_refused_with_the_names_that_exist() -> None:
    done = command("--corpus", "wikipedia")
    assert done.returncode == prepare.EXIT_SETTING
    assert all(name in done.stderr for name in ("wikipedia", "stdlib", "climbmix", "tinystories", "file:PATH"))


@pytest.mark.parametrize("corpus", ["climbmix", "tinystories"])
def test_offline_the_error_says_what_can_be_had_and_what_to_type(corpus: str, tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = command("--corpus", corpus, "--json", AUTORESEARCH_CACHE=str(tmp_path), **nowhere)
    assert done.returncode == prepare.EXIT_CORPUS
    error = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert "Traceback" not in done.stderr
    assert all(part in error[0] for part in (corpus, "AUTORESEARCH_DATA", "stdlib", "python prepare.py"))
    assert done.stdout == ""


def test_a_file_that_is_not_there_is_a_corpus_error(tmp_path: Path) -> None:
    done = command("--corpus", "file:/no/such/text", AUTORESEARCH_CACHE=str(tmp_path))
    assert done.returncode == prepare.EXIT_CORPUS
    assert "/no/such/text" in done.stderr


def test_a_corpus_too_small_to_split_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a single line")
    with pytest.raises(prepare.Stop, match="too small"):
        prepare.prepare(wanted(tmp_path / "cache", f"file:{tmp_path / 'one.txt'}"))
    assert not list((tmp_path / "cache").glob("*-mini-*"))
    assert not list((tmp_path / "cache").glob(".preparing-*"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, text: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(prepare.Stop, match="AUTORESEARCH_CACHE"):
        prepare.prepare(wanted(tmp_path / "cache", f"file:{text}"))


def test_raw_files_are_taken_from_the_data_folder(tmp_path: Path) -> None:
    stories = [f"Story {n}: the {'very ' * (n % 5)}old cat sat {n} times.\n" for n in range(300)]
    for name, part in (("train", stories[:200]), ("valid", stories[200:])):
        (tmp_path / f"TinyStoriesV2-GPT4-{name}.txt").write_text("<|endoftext|>\n".join(part))
    done = prepare.prepare(wanted(tmp_path / "cache", "tinystories", AUTORESEARCH_DATA=str(tmp_path)))
    whole = sum(len(story.encode()) for story in stories[200:])
    assert (
        done.val_bytes + done.held_bytes == whole
    )  # every story of the validation file is held out, none is trained on


def test_parquet_shards_split_by_file_and_then_by_hash(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for index, count in ((0, 300), (prepare.CLIMBMIX_LAST, 60)):
        table = pyarrow.table({"text": [f"Page {index}-{n} about {'things ' * (n % 9)}" for n in range(count)]})
        parquet.write_table(table, tmp_path / f"shard_{index:05d}.parquet")
    done = prepare.prepare(wanted(tmp_path / "cache", "climbmix:1", AUTORESEARCH_DATA=str(tmp_path)))
    assert len(done.evaluation("val").document_bytes) + len(done.evaluation("held").document_bytes) == 60
    assert done.path.name.startswith("climbmix-mini-")


# --- split, fingerprint, re-use -----------------------------------------------------------------------------


def test_the_split_is_a_function_of_the_text_alone() -> None:
    digests = [hashlib.sha256(str(n).encode()).digest() for n in range(20_000)]
    shares = {split: sum(prepare.split_of(d, "any") == split for d in digests) / 20_000 for split in ("val", "held")}
    assert shares == pytest.approx({"val": 0.05, "held": 0.05}, abs=0.006)
    assert {prepare.split_of(d, "train") for d in digests} == {"train"}
    assert {prepare.split_of(d, "eval") for d in digests} == {"val", "held"}


def test_no_held_out_document_is_in_the_training_tokens(tmp_path: Path, text: Path) -> None:
    done = prepare.prepare(wanted(tmp_path / "cache", f"file:{text}"))
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(done.path / "tokenizer.json"))
    tokens = done.train().tolist()
    trained = " ".join(tokenizer.decode(tokens).split())
    documents = text.read_text("utf-8").split("\n\n")
    splits = {name: prepare.split_of(hashlib.sha256(name.encode()).digest(), "any") for name in documents}
    assert {"train", "val", "held"} == set(splits.values())
    numbered = {name: name.split(" and ")[0] + " " for name in documents}
    found = {name for name, start in numbered.items() if start in trained}
    assert found == {name for name, split in splits.items() if split == "train"}
    assert tokens.count(0) == len(found)  # one BOS a document


def test_a_changed_corpus_has_another_fingerprint_and_an_unchanged_one_is_re_used(tmp_path: Path, text: Path) -> None:
    asked = wanted(tmp_path / "cache", f"file:{text}")
    first = prepare.prepare(asked)
    made = (first.path / "train.bin").stat().st_mtime_ns
    assert prepare.prepare(asked) == first
    assert (first.path / "train.bin").stat().st_mtime_ns == made
    text.write_text(text.read_text("utf-8") + "\n\nOne more document.", "utf-8")
    assert prepare.prepare(asked).fingerprint != first.fingerprint


def test_the_same_text_elsewhere_has_the_same_fingerprint(tmp_path: Path, text: Path) -> None:
    copy = tmp_path / "elsewhere.txt"
    copy.write_bytes(text.read_bytes())
    one, other = (prepare.prepare(wanted(tmp_path / "cache", f"file:{path}")) for path in (text, copy))
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
    prepare.prepare(wanted(tmp_path / "cache", f"file:{text}"))
    assert not stale.parent.exists()


def test_a_failed_preparation_leaves_no_corpus(tmp_path: Path, text: Path) -> None:
    """A full disk: no file can grow beyond 4,000 bytes."""
    asked = wanted(tmp_path / "cache", f"file:{text}")
    limited = f"import resource, prepare; resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000)); {PREPARE}"
    done = subprocess.run(
        [sys.executable, "-c", limited],
        env=environment(AUTORESEARCH_CACHE=str(asked.cache), AUTORESEARCH_CORPUS=asked.corpus),
        capture_output=True,
        cwd=ROOT,
    )
    assert done.returncode != 0
    assert not list(asked.cache.glob("file-mini-*"))
    assert prepare.prepare(asked).train_tokens > 0


PREPARE = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); prepare.prepare(prepare.read_settings())"


# --- downloads ----------------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 4096


def serve(server: HTTPServer, *, cut: int = 0, sha256: str = "", seen: list[str | None]) -> str:
    """A file that honours Range; its first answer ends after `cut` bytes where that is given."""

    def answer(request: Request) -> Response:
        asked = request.headers.get("Range")
        seen.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        body = BODY[start:]
        sent = body[:cut] if cut and len(seen) == 1 else body
        response = Response(iter([sent]), status=206 if asked else 200)
        response.headers["Content-Length"] = str(len(body))
        response.headers["X-Linked-ETag"] = f'"{sha256}"'
        return response

    server.expect_request("/file.bin").respond_with_handler(answer)
    return server.url_for("/file.bin")


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(httpserver: HTTPServer, tmp_path: Path) -> None:
    seen: list[str | None] = []
    url = serve(httpserver, cut=300_000, sha256=hashlib.sha256(BODY).hexdigest(), seen=seen)
    with pytest.raises(OSError):
        prepare.download(url, tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()
    assert (tmp_path / "file.bin.part").stat().st_size == 300_000
    prepare.download(url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert seen == [None, "bytes=300000-"]
    assert not (tmp_path / "file.bin.part").exists()


def test_a_download_with_the_wrong_sha256_is_removed(httpserver: HTTPServer, tmp_path: Path) -> None:
    url = serve(httpserver, sha256="0" * 64, seen=[])
    with pytest.raises(OSError, match="sha256"):
        prepare.download(url, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ignores_range_is_read_from_the_start(httpserver: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    httpserver.expect_request("/file.bin").respond_with_data(BODY)
    prepare.download(httpserver.url_for("/file.bin"), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY


# --- tokens and their bytes ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tokenizer():  # type: ignore[no-untyped-def]
    return prepare.train_tokenizer(["the cat and the 1234 dogs, naïve", "the other one "] * 20, VOCAB)


AWKWARD = ["<|bos|>", "\x00", "é", "日本語", "🙂", "a\r\n\r\n\tb", "12345", "  ", "\x80", "the the", "١٢٣", "\u2028"]


@pytest.mark.parametrize("document", AWKWARD)
def test_the_bytes_of_a_documents_tokens_are_its_utf8_length(tokenizer, document: str) -> None:  # type: ignore[no-untyped-def]
    ids = prepare.encode(tokenizer, [document])[0]
    assert ids[0] == 0
    assert 0 not in ids[1:]  # text that spells out BOS is no BOS
    assert prepare.count_token_bytes(tokenizer, VOCAB)[ids].sum() == len(document.encode())


@given(document=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_texts_bytes_are_counted_exactly(tokenizer, document: str) -> None:  # type: ignore[no-untyped-def]
    ids = prepare.encode(tokenizer, [document])[0]
    assert prepare.count_token_bytes(tokenizer, VOCAB)[ids].sum() == len(document.encode())


def test_a_lone_byte_is_one_byte_and_bos_has_none(tokenizer) -> None:  # type: ignore[no-untyped-def]
    sizes = prepare.count_token_bytes(tokenizer, VOCAB)
    assert sizes[0] == 0
    assert (sizes[1:257] == 1).all()
    assert (sizes[257 : tokenizer.get_vocab_size()] > 1).all()


def test_digits_are_split_into_ones_and_twos(tokenizer) -> None:  # type: ignore[no-untyped-def]
    pieces = [token for token in tokenizer.get_vocab() if token.isdigit()]
    assert pieces
    assert max(map(len, pieces)) <= 2


def test_the_tokenizer_has_the_size_it_is_asked_for(tokenizer) -> None:  # type: ignore[no-untyped-def]
    assert tokenizer.get_vocab_size() <= VOCAB
    assert len(prepare.count_token_bytes(tokenizer, VOCAB)) == VOCAB


# --- bits per byte ------------------------------------------------------------------------------------------

DOCUMENTS = ["The naïve cat sat on the mat.", "日本語 and 12345 " * 9, "x", "<|bos|> the end of the other one " * 5]


def uniform(vocab: int):  # type: ignore[no-untyped-def]
    return lambda tokens: torch.zeros(*tokens.shape, vocab)


def bigram(seed: int, vocab: int):  # type: ignore[no-untyped-def]
    table = torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))
    return lambda tokens: table[tokens]


def packed(tokenizer, length: int, documents: Sequence[str] = DOCUMENTS) -> prepare.EvalSet:  # type: ignore[no-untyped-def]
    return prepare.pack(prepare.encode(tokenizer, list(documents)), [len(d.encode()) for d in documents], length)


@pytest.mark.parametrize("length", [1, 3, 16, 64, 4096])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_uniform_model_costs_log2_of_the_vocabulary_for_each_token(tokenizer, length: int, batch: int) -> None:  # type: ignore[no-untyped-def]
    held, sizes = packed(tokenizer, length), prepare.count_token_bytes(tokenizer, VOCAB)
    nats = prepare.score(uniform(VOCAB), held, sizes, batch=batch, device="cpu")
    tokens = sum(len(ids) - 1 for ids in prepare.encode(tokenizer, DOCUMENTS))
    expected = math.log2(VOCAB) * tokens / sum(len(d.encode()) for d in DOCUMENTS)
    assert prepare.bits_per_byte(nats, held.document_bytes) == pytest.approx(expected, rel=1e-6)


@given(
    documents=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), min_size=1, max_size=6
    ),
    length=st.integers(1, 50),
)
@settings(max_examples=100, deadline=None)
def test_every_token_is_a_target_exactly_once(tokenizer, documents: list[str], length: int) -> None:  # type: ignore[no-untyped-def]
    held = packed(tokenizer, length, documents)
    scored = held.rows[:, 1:][held.documents >= 0]
    encoded = prepare.encode(tokenizer, documents)
    assert scored.tolist() == [token for ids in encoded for token in ids[1:].tolist()]
    owners = held.documents[held.documents >= 0].tolist()
    assert owners == [index for index, ids in enumerate(encoded) for _ in ids[1:]]
    assert (held.rows[1:, 0] == held.rows[:-1, -1]).all()  # no target goes without the token before it


def test_a_model_that_sees_one_token_scores_the_same_at_every_sequence_length(tokenizer) -> None:  # type: ignore[no-untyped-def]
    sizes = prepare.count_token_bytes(tokenizer, VOCAB)
    every = [
        prepare.score(bigram(0, VOCAB), packed(tokenizer, length), sizes, batch=2, device="cpu")
        for length in (2, 7, 999)
    ]
    np.testing.assert_allclose(every[0], every[1], rtol=1e-6)
    np.testing.assert_allclose(every[0], every[2], rtol=1e-6)


def test_the_same_probability_of_a_text_gives_the_same_bpb_whatever_the_vocabulary() -> None:
    """Each byte has probability 2**-3 under both: as one token of 1 byte, or as tokens of 2 bytes at 2**-6."""
    held = [
        prepare.EvalSet(np.zeros((1, 5), np.uint16), np.zeros((1, 4), np.int32), np.array([4])),
        prepare.EvalSet(np.zeros((1, 3), np.uint16), np.zeros((1, 2), np.int32), np.array([4])),
    ]
    models = [uniform(8), uniform(64)]
    sizes = [np.full(8, 1), np.full(64, 2)]
    for one, model, size in zip(held, models, sizes, strict=True):
        nats = prepare.score(model, one, size, batch=1, device="cpu")
        assert prepare.bits_per_byte(nats, one.document_bytes) == pytest.approx(3.0)


def test_tokens_that_do_not_spell_the_documents_are_refused(tokenizer) -> None:  # type: ignore[no-untyped-def]
    held = packed(tokenizer, 16)
    held.document_bytes[0] += 1
    with pytest.raises(AssertionError, match="spell"):
        prepare.score(uniform(VOCAB), held, prepare.count_token_bytes(tokenizer, VOCAB), batch=1, device="cpu")


def test_a_batch_that_does_not_fit_into_memory_is_halved_and_the_score_is_the_same(tokenizer) -> None:  # type: ignore[no-untyped-def]
    rows_seen = []

    def small(tokens: torch.Tensor) -> torch.Tensor:
        rows_seen.append(len(tokens))
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return bigram(1, VOCAB)(tokens)

    held, sizes = packed(tokenizer, 8), prepare.count_token_bytes(tokenizer, VOCAB)
    nats = prepare.score(small, held, sizes, batch=8, device="cpu")
    np.testing.assert_allclose(nats, prepare.score(bigram(1, VOCAB), held, sizes, batch=3, device="cpu"), rtol=1e-6)
    assert rows_seen[:3] == [8, 4, 2]


def test_a_model_whose_logits_have_the_wrong_shape_is_refused(tokenizer) -> None:  # type: ignore[no-untyped-def]
    sizes = prepare.count_token_bytes(tokenizer, VOCAB)
    with pytest.raises(prepare.Stop, match="expected"):
        prepare.score(uniform(VOCAB - 1), packed(tokenizer, 8), sizes, batch=1, device="cpu")


# --- failures -----------------------------------------------------------------------------------------------


def failing(error: BaseException) -> Iterator[None]:
    raise error
    yield


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), prepare.EXIT_OOM, "oom"),
        (MemoryError(), prepare.EXIT_OOM, "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), prepare.EXIT_OOM, "oom"),
        (prepare.not_finite("the loss is nan"), prepare.EXIT_NAN, "nan"),
        (prepare.no_corpus("none"), prepare.EXIT_CORPUS, "corpus"),
    ],
)
def test_an_expected_failure_has_its_own_exit_status_line_and_file(
    error: BaseException,
    code: int,
    status: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUTORESEARCH_RUN_DIR", str(tmp_path))
    assert prepare.run(lambda: next(failing(error))) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert json.loads((tmp_path / "failure.json").read_text())["status"] == status


def test_an_unexpected_error_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"):
        prepare.run(lambda: next(failing(RuntimeError("size mismatch"))))


def test_json_that_holds_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        prepare.write_json(tmp_path / "result.json", {"val_bpb": math.nan})
    assert not (tmp_path / "result.json").exists()


def test_a_metric_that_does_not_exist_is_not_a_number_in_the_summary() -> None:
    lines = prepare.summary({"val_bpb": 1.25, "depth": 8}).splitlines()
    assert lines[0] == "---"
    assert [line.split(":")[0] for line in lines[1:]] == list(prepare.SUMMARY)
    assert lines[1].split() == ["val_bpb:", "1.250000"]
    assert "n/a" in lines[5]


def test_the_peak_memory_is_this_process_own_and_not_its_parents() -> None:
    held = bytearray(os.urandom(1 << 20) * 300)
    code = "import prepare, torch; print(prepare.peak_memory_mb(torch.device('cpu')))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    grown = subprocess.run(
        [sys.executable, "-c", f"held = b'1' * (300 << 20); {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert len(held) == 300 << 20
    assert float(grown) - float(told) == pytest.approx(300, abs=30)


# --- what is known of a machine -----------------------------------------------------------------------------


def cpu_run(cache: Path, **more: str) -> prepare.Run:
    """A run on the CPU that needs no corpus."""
    settings = prepare.read_settings(environment(AUTORESEARCH_CACHE=str(cache), **more))
    corpus = prepare.Prepared(cache, "none", "mini", "0" * 64, 1024, 256, 1, 1, 1)
    return prepare.Run(settings, corpus, torch.device("cpu"))


@pytest.mark.parametrize(
    ("budget", "cold", "warm"),
    [
        ({"AUTORESEARCH_BUDGET": "59"}, False, False),
        ({"AUTORESEARCH_BUDGET": "60"}, False, True),
        ({"AUTORESEARCH_BUDGET": "600"}, True, True),
        ({"AUTORESEARCH_STEPS": "100000", "AUTORESEARCH_BUDGET": "600"}, False, False),
        ({"AUTORESEARCH_STEPS": "1", "AUTORESEARCH_COMPILE": "1"}, True, True),
        ({"AUTORESEARCH_BUDGET": "600", "AUTORESEARCH_COMPILE": "0"}, False, False),
    ],
)
def test_compiling_must_pay_or_be_asked_for(
    budget: dict[str, str], cold: bool, warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "can_compile", lambda _device: True)
    run = cpu_run(tmp_path, **budget)
    assert run.compiling_pays({"width": 1}, warm_s=60, cold_s=600) is cold
    run.compiled({"width": 1})
    assert run.compiling_pays({"width": 1}, warm_s=60, cold_s=600) is warm
    assert run.notes == {"compiled": warm}
    assert run.compiling_pays({"width": 2}, warm_s=60, cold_s=600) is cold  # another graph is not known


def test_without_a_compiler_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    run = cpu_run(tmp_path, AUTORESEARCH_COMPILE="1")
    assert run.compiling_pays(1, warm_s=0, cold_s=0) is False
    assert run.notes == {"compiled": False}


def test_the_fastest_way_is_measured_once_and_then_known(tmp_path: Path) -> None:
    calls: list[str] = []

    def slow() -> None:
        calls.append("slow")
        time.sleep(0.01)

    def broken() -> None:
        raise NotImplementedError("only on another device")

    trials = {"slow": slow, "quick": lambda: calls.append("quick"), "broken": broken}
    for _ in range(2):
        run = cpu_run(tmp_path)
        assert run.fastest("attention", {"width": 1}, trials) == "quick"
        chosen = run.notes["attention"]
        assert isinstance(chosen, dict)
        assert (chosen["chosen"], chosen["seconds"].keys()) == ("quick", {"slow", "quick"})
    assert len(calls) == 2 * 13
    assert cpu_run(tmp_path).fastest("attention", 2, {"only": broken}) == "only"  # no choice, nothing to measure
    with pytest.raises(RuntimeError, match="none of broken, worse"):
        cpu_run(tmp_path).fastest("attention", 3, {"broken": broken, "worse": broken})
    assert cpu_run(tmp_path).fastest("attention", 3, {"broken": broken, "quick": trials["quick"]}) == "quick"


def test_a_device_that_is_full_for_now_is_not_remembered_as_one_that_cannot(tmp_path: Path) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    trials = {"full": full, "quick": lambda: None}
    with pytest.raises(torch.OutOfMemoryError):
        cpu_run(tmp_path).fastest("attention", 1, trials)
    trials["full"] = lambda: time.sleep(0)
    assert cpu_run(tmp_path).fastest("attention", 1, trials) in trials
    assert len(json.loads(next((tmp_path / "graphs" / "attention").iterdir()).read_text())) == 2


def test_every_epoch_visits_each_row_once_in_the_order_of_its_seed() -> None:
    def first_epoch(seed: int) -> list[int]:
        starts = prepare._starts(1_000, 10, 1, seed)
        return [next(starts)[0] for _ in range(98)]

    epoch = first_epoch(0)
    assert len(set(epoch)) == 98
    assert len({start % 10 for start in epoch}) == 1
    assert max(epoch) + 10 < 1_000
    assert epoch == first_epoch(0) != first_epoch(1)

"""fixed/corpora.py."""

import hashlib
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from fixed import corpora, dataset, result
from tests.support.fixed import command, read


def test_the_standard_library_leaves_out_tests_and_installed_packages(tmp_path: Path) -> None:
    files = corpora.find(read(tmp_path, "stdlib"))
    assert len(files) > 300
    assert not {"test", "tests", "site-packages"} & {part for source in files for part in source.path.parts[3:-1]}


def test_an_unknown_corpus_is_refused_with_the_names_that_exist() -> None:
    done = command("--corpus", "wikipedia")
    assert done.returncode == result.EXIT_SETTING
    assert all(name in done.stderr for name in ("wikipedia", "stdlib", "climbmix", "tinystories", "file:PATH"))


@pytest.mark.parametrize("corpus", ["climbmix", "tinystories"])
def test_offline_the_error_says_what_can_be_had_and_what_to_type(corpus: str, tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    done = command("--corpus", corpus, "--json", AUTORESEARCH_CACHE=str(tmp_path), **nowhere)
    assert done.returncode == result.EXIT_CORPUS
    error = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert "Traceback" not in done.stderr
    assert all(part in error[0] for part in (corpus, "AUTORESEARCH_DATA", "stdlib", "python prepare.py"))
    assert done.stdout == ""


def test_a_file_that_is_not_there_is_a_corpus_error(tmp_path: Path) -> None:
    done = command("--corpus", "file:/no/such/text", AUTORESEARCH_CACHE=str(tmp_path))
    assert done.returncode == result.EXIT_CORPUS
    assert "/no/such/text" in done.stderr


def test_a_corpus_too_small_to_split_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a single line")
    with pytest.raises(result.RunFailure, match="too small"):
        dataset.prepare(read(tmp_path / "cache", f"file:{tmp_path / 'one.txt'}"))
    assert not list((tmp_path / "cache").glob("*-mini-*"))
    assert not list((tmp_path / "cache").glob(".preparing-*"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, text: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(result.RunFailure, match="AUTORESEARCH_CACHE"):
        dataset.prepare(read(tmp_path / "cache", f"file:{text}"))


def test_raw_files_are_taken_from_the_data_folder(tmp_path: Path) -> None:
    stories = [f"Story {n}: the {'very ' * (n % 5)}old cat sat {n} times.\n" for n in range(300)]
    for name, part in (("train", stories[:200]), ("valid", stories[200:])):
        (tmp_path / f"TinyStoriesV2-GPT4-{name}.txt").write_text("<|endoftext|>\n".join(part))
    done = dataset.prepare(read(tmp_path / "cache", "tinystories", AUTORESEARCH_DATA=str(tmp_path)))
    whole = sum(len(story.encode()) for story in stories[200:])
    assert (
        done.val_bytes + done.held_bytes == whole
    )  # every story of the validation file is held out, none is trained on


def test_parquet_shards_split_by_file_and_then_by_hash(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for index, count in ((0, 300), (corpora.CLIMBMIX_LAST, 60)):
        table = pyarrow.table({"text": [f"Page {index}-{n} about {'things ' * (n % 9)}" for n in range(count)]})
        parquet.write_table(table, tmp_path / f"shard_{index:05d}.parquet")
    done = dataset.prepare(read(tmp_path / "cache", "climbmix:1", AUTORESEARCH_DATA=str(tmp_path)))
    assert len(done.evaluation("val").document_bytes) + len(done.evaluation("held").document_bytes) == 60
    assert done.path.name.startswith("climbmix-mini-")


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
        corpora.download(url, tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()
    assert (tmp_path / "file.bin.part").stat().st_size == 300_000
    corpora.download(url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert seen == [None, "bytes=300000-"]
    assert not (tmp_path / "file.bin.part").exists()


def test_a_download_with_the_wrong_sha256_is_removed(httpserver: HTTPServer, tmp_path: Path) -> None:
    url = serve(httpserver, sha256="0" * 64, seen=[])
    with pytest.raises(OSError, match="sha256"):
        corpora.download(url, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_ignores_range_is_read_from_the_start(httpserver: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"something else")
    httpserver.expect_request("/file.bin").respond_with_data(BODY)
    corpora.download(httpserver.url_for("/file.bin"), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == BODY

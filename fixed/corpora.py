"""Where the raw text of each corpus is, how it is read, and how it is downloaded."""

import hashlib
import http.client
import os
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fixed.result import bad_setting, no_corpus
from fixed.settings import Settings

CLIMBMIX_LAST = 6542  # its validation shard
HUB = "https://huggingface.co/datasets/"
CLIMBMIX = HUB + "karpathy/climbmix-400b-shuffle/resolve/main/"
TINYSTORIES = HUB + "roneneldan/TinyStories/resolve/main/"

# What no run needs of Python's own library. Its text is what `stdlib` holds out, and no sandbox shows it (the harness's
# agent/execution/sandbox.py has the same list).
HIDDEN = """
    idlelib lib2to3 tkinter turtledemo wsgiref xmlrpc aifc.py asynchat.py asyncore.py cgi.py cgitb.py imaplib.py
    mailbox.py nntplib.py poplib.py smtpd.py sunau.py telnetlib.py turtle.py
"""

Role = Literal["train", "eval", "any"]


@dataclass(frozen=True)
class Source:
    """One raw file. `role` says what its documents are for: 'any' is split by hash, 'eval' is val or held."""

    path: Path
    role: Role
    url: str | None = None


def find_stdlib(_settings: Settings, _argument: str) -> list[Source]:
    """The Python files of the running interpreter's standard library, tests and installed packages left out.

    Held out are only those of HIDDEN: all others are within reach of every run.
    """
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
    paths, hidden = [], HIDDEN.split()
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - left_out)
        paths += [Path(folder, name) for name in sorted(names) if name.endswith(".py")]
    return [Source(path, "eval" if path.relative_to(root).parts[0] in hidden else "train") for path in paths]


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
    """The raw files of the corpus, there or not. Raises RunFailure for a name that is no corpus."""
    name, _, argument = settings.corpus.partition(":")
    if name not in CORPORA:
        raise bad_setting(f"AUTORESEARCH_CORPUS={settings.corpus!r}: expected stdlib, climbmix, tinystories, file:PATH")
    return CORPORA[name][0](settings, argument)


def _at_hand(settings: Settings) -> str:
    """Which corpora need no network now, and what to type."""
    files = {name: CORPORA[name][0](settings, "") for name in ("stdlib", "climbmix", "tinystories")}
    here = [name for name, sources in files.items() if all(source.path.is_file() for source in sources)]
    return f"at hand now: {', '.join(here)}, file:PATH (your own text); try: python prepare.py --corpus stdlib"


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
    """Download what is missing. Raises RunFailure with what can be had instead."""
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

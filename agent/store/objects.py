"""Git's objects as bytes: what a tree holds, how two trees differ, what a commit says. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha1, sha256
from typing import NamedTuple

_FOLDER, FILE = "40000", "100644"  # modes
_STAMP = re.compile(rb"^committer .* ([0-9]+ [+-][0-9]{4})$", re.MULTILINE)


class Entry(NamedTuple):
    """One name in a tree: its mode and the object that it names."""

    mode: str
    oid: str

    @property
    def is_folder(self) -> bool:
        return self.mode == _FOLDER


Tree = Mapping[str, Entry]
Reader = Callable[[str], Tree]  # of the tree with an id


def parse_tree(raw: bytes, oid: str) -> dict[str, Entry]:
    """Return what a tree holds by name; `oid` is its own id, which tells how long ids are."""
    width, entries, at = len(oid) // 2, dict[str, Entry](), 0
    while at < len(raw):
        space, null = raw.index(b" ", at), raw.index(b"\0", at)
        mode, name = raw[at:space].decode(), raw[space + 1 : null].decode(errors="surrogateescape")
        at = null + 1 + width
        entries[name] = Entry(mode, raw[null + 1 : at].hex())
    return entries


def format_tree(entries: Tree) -> bytes:
    """Return the bytes of a tree; git sorts a folder as if its name ended with a slash."""
    named = sorted((name.encode(errors="surrogateescape"), entry) for name, entry in entries.items())
    ordered = sorted(named, key=lambda one: one[0] + b"/" * one[1].is_folder)
    return b"".join(entry.mode.encode() + b" " + name + b"\0" + bytes.fromhex(entry.oid) for name, entry in ordered)


def with_files(tree: Tree, files: Mapping[str, str], read: Reader, write: Callable[[bytes], str]) -> str:
    """Write `tree` with the blobs `files` by path, and return its id. A file that was there keeps its mode."""
    entries, inner = dict(tree), dict[str, dict[str, str]]()
    for path, blob in files.items():
        name, _, rest = path.partition("/")
        if rest:
            inner.setdefault(name, {})[rest] = blob
        else:
            present = entries.get(name)
            entries[name] = Entry(present.mode if present and not present.is_folder else FILE, blob)
    for name, rest_of in inner.items():
        present = entries.get(name)
        folder = read(present.oid) if present and present.is_folder else {}
        entries[name] = Entry(_FOLDER, with_files(folder, rest_of, read, write))
    return write(format_tree(entries))


def changed_paths(old: Tree, new: Tree, read: Reader, prefix: str = "") -> Iterator[str]:
    """Yield the paths of the files in which two trees differ."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        old_below, new_below = (read(one.oid) if one and one.is_folder else {} for one in (before, after))
        if any(one and not one.is_folder for one in (before, after)):
            yield prefix + name
        yield from changed_paths(old_below, new_below, read, f"{prefix}{name}/")


def blob_id(content: bytes, width: int) -> str:
    """Return the id that git gives a blob, in a repository whose ids have `width` digits (40: sha1, 64: sha256)."""
    head = f"blob {len(content)}\0".encode()
    return (sha1 if width == 40 else sha256)(head + content).hexdigest()


def files_below(tree: Tree, read: Reader, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and id of every file in a tree and in its folders."""
    for name, entry in sorted(tree.items()):
        if entry.is_folder:
            yield from files_below(read(entry.oid), read, f"{prefix}{name}/")
        else:
            yield prefix + name, entry.oid


def commit_text(tree: str, parent: str, base: bytes, message: str, author: str) -> bytes:
    """Return the bytes of a commit with the date of the commit `base`: the same edit is the same commit."""
    stamp = _STAMP.search(base)
    assert stamp is not None
    who = f"{author} {stamp[1].decode()}"
    text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}"
    return (text if text.endswith("\n") else f"{text}\n").encode(errors="surrogateescape")


def notes_text(tree: str, parent: str | None, who: str) -> bytes:
    """Return the bytes of a commit of notes by `who`, which says when too."""
    above = f"parent {parent}\n" if parent else ""
    return f"tree {tree}\n{above}author {who}\ncommitter {who}\n\nNotes added by the harness\n".encode()

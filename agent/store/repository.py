"""Git without touching the user's work tree, index or HEAD: read, commit, export, move refs by compare-and-swap.

What is read and written again and again goes through git processes that stay: one process a question took longer than
everything else that the harness does.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from errno import ENOSPC
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from agent.core.errors import BadInput, HarnessError, Paused
from agent.store import objects
from agent.store.objects import Tree
from agent.store.processes import NO_HOOKS, GitError, GitProcess, change, query, read_line

if TYPE_CHECKING:
    import tarfile

NOTES = "refs/notes/autoresearch"
_BRANCH = re.compile(r"autoresearch/[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)+")
IDENTITY = {"NAME": "autoresearch", "EMAIL": "autoresearch@localhost"}  # who commits: never the user
_AUTHOR = "{NAME} <{EMAIL}>".format(**IDENTITY)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class Repository:
    """The experiment's repository. Every ref this class writes is under `autoresearch/` or is the notes ref."""

    def __init__(self, path: Path) -> None:
        """Open the repository that holds `path`. Raises BadInput where there is none, or none with a commit."""
        self.root, self.git_dir = _located(path)
        self._reader = GitProcess(self.root, "cat-file", "--batch")
        self._refs = GitProcess(self.root, "update-ref", "--no-deref", "--stdin")
        self._writers = {
            kind: GitProcess(self.root, "hash-object", "-w", "--no-filters", "-t", kind, "--stdin-paths")
            for kind in ("blob", "tree", "commit")
        }
        self._ancestors: dict[tuple[str, str], bool] = {}
        self._by_harness: dict[str, list[str]] = {}
        if self.resolve("HEAD") is None:
            raise BadInput(
                f"the repository {self.root} has no commit yet", next_step="commit train.py and prepare.py first"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._reader, self._refs, *self._writers.values()):
            process.close()

    def change(self, *args: str, env: Mapping[str, str] | None = None) -> str:
        """Run one git command that writes and return its output. Raises GitError where it fails."""
        return change(self.root, args, env)

    def query(self, *args: str) -> str:
        """Return the output of one git command that only reads. Raises GitError where it fails."""
        return query(self.root, args)

    def try_query(self, *args: str) -> str | None:
        """Return the output of a git command whose failure is an answer: None."""
        try:
            return self.query(*args)
        except GitError:
            return None

    # --- reading ---

    def _object(self, name: str) -> tuple[str, str, bytes] | None:
        """Return id, type and content of what a name means, or None where it means nothing."""
        return None if "\n" in name else self._reader.ask(name.encode(errors="surrogateescape") + b"\n", _read_object)

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a revision names, or None."""
        named = self._object(f"{revision}^{{commit}}")
        return named[0] if named else None

    def tree(self, commit: str) -> str:
        """Return the tree of a commit. Raises GitError where there is no such commit."""
        named = self._object(f"{commit}^{{tree}}")
        if named is None:
            raise GitError(f"there is no commit {commit}", where="git cat-file")
        return named[0]

    def read(self, commit: str, path: str) -> str | None:
        """Return the text of a file as committed, or None where the commit has no such file."""
        named = self._object(f"{commit}:{path}")
        return named[2].decode(errors="surrogateescape") if named and named[1] == "blob" else None

    def _entries(self, tree: str) -> Tree:
        named = self._object(tree)
        assert named is not None
        return objects.parse_tree(named[2], named[0])

    def files(self, commit: str, place: str) -> dict[str, str]:
        """Return the object ids by path of what is at a place of a commit: a file, or a folder with all below it."""
        named = self._object(f"{commit}:{place}")
        if named is None or named[1] != "tree":
            return {place: named[0]} if named else {}
        return dict(objects.files_below(objects.parse_tree(named[2], named[0]), self._entries, f"{place.rstrip('/')}/"))

    def uncommitted(self, paths: tuple[str, ...]) -> list[str]:
        """Return those of `paths` whose work-tree text differs from HEAD's, or that git does not track yet."""
        lines = self.query("status", "--porcelain", "--", *paths).splitlines()
        return sorted(line[2:].strip() for line in lines)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether `newer` contains `older`; a commit contains itself."""
        pair = self._commit_of(older), self._commit_of(newer)  # a name may come to mean another commit
        if pair not in self._ancestors:
            same = pair[0] == pair[1]
            self._ancestors[pair] = same or self.try_query("merge-base", "--is-ancestor", *pair) is not None
        return self._ancestors[pair]

    def _commit_of(self, revision: str) -> str:
        """Return the commit that a revision names; what names none stays as it is."""
        return revision if _COMMIT.fullmatch(revision) else self.resolve(revision) or revision

    def harness_commits(self, commit: str) -> list[str]:
        """Return the commits among `commit` and its ancestors that the harness made, whoever put them there."""
        if commit not in self._by_harness:
            log = self.query("log", "--fixed-strings", f"--author=<{IDENTITY['EMAIL']}>", "--format=%H", commit)
            self._by_harness[commit] = log.splitlines()
        return self._by_harness[commit]

    @property
    def is_shallow(self) -> bool:
        """Whether this clone lacks the older commits of its history."""
        return (self.git_dir / "shallow").exists()

    def changed(self, old: str, new: str) -> list[str]:
        """Return the paths in which two commits differ."""
        before, after = self.tree(old), self.tree(new)
        return list(objects.changed_paths(self._entries(before), self._entries(after), self._entries))

    def conflicting_branch(self, branch: str) -> str | None:
        """Return a branch that keeps git from making `branch`: one that is called like a folder of its path."""
        names = branch.split("/")
        above = ["/".join(names[:depth]) for depth in range(1, len(names))]
        return next((name for name in above if self.resolve(f"refs/heads/{name}")), None)

    def branches(self, prefix: str) -> list[str]:
        """Return the branches whose names begin with `prefix`, which ends with a slash."""
        return self.query("for-each-ref", "--format=%(refname)", f"refs/heads/{prefix}").splitlines()

    def addresses(self, remote: str) -> list[str]:
        """Return the URL of a remote as configured, and as git spells it out; none where there is no such remote."""
        urls = (self.try_query("config", "--get", f"remote.{remote}.url"), self.try_query("remote", "get-url", remote))
        return list(dict.fromkeys(url for url in urls if url))

    # --- writing objects and refs ---

    def _write(self, kind: str, content: bytes) -> str:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            return self._writers[kind].ask(f"{file.name}\n".encode(), read_line).decode()

    def _write_tree(self, base: Tree, files: Mapping[str, str]) -> str:
        blobs = {path: self._write("blob", _bytes(text)) for path, text in files.items()}
        return objects.with_files(base, blobs, self._entries, lambda raw: self._write("tree", raw))

    def commit(self, base: str, files: Mapping[str, str], message: str) -> str:
        """Commit `files` on top of `base` with the base's date; no checkout, no ref moves. Returns the commit."""
        named = self._object(f"{base}^{{commit}}")
        if named is None:
            raise GitError(f"there is no commit {base}", where="git cat-file")
        tree = self._write_tree(self._entries(self.tree(base)), files)
        return self._write("commit", objects.commit_text(tree, named[0], named[2], message, _AUTHOR))

    def compare_and_swap(self, branch: str, new: str, old: str | None) -> bool:
        """Move `branch` from `old` (None: it must not exist) to `new`; return False where it was elsewhere."""
        if not _BRANCH.fullmatch(branch) or ".." in branch or branch.endswith((".lock", ".")):
            raise HarnessError(f"{branch!r} is no branch of ours", next_step="expected autoresearch/<name>/<name>")
        try:
            self._update_ref(f"refs/heads/{branch}", new, old)
        except GitError:
            if self.resolve(f"refs/heads/{branch}") == old:  # it was where it should be, so git has another reason
                raise
            return False
        return True

    def _update_ref(self, ref: str, new: str, old: str | None) -> None:
        request = f"start\nupdate {ref} {new} {old or '0' * len(new)}\nprepare\ncommit\n"
        self._refs.ask(request.encode(), lambda answers: [read_line(answers) for _ in ("start", "prepare", "commit")])

    def set_branch(self, branch: str, commit: str) -> None:
        """Make `branch` name `commit`; what it named before stays reachable as `<branch>-<commit>`."""
        now = self.resolve(f"refs/heads/{branch}")
        if now == commit:
            return
        if now is not None:
            self.compare_and_swap(f"{branch}-{now[:7]}", now, None)
        if not self.compare_and_swap(branch, commit, now):
            raise HarnessError(f"the branch {branch} was moved by another program", next_step="run the command again")

    def _notes(self) -> dict[str, tuple[str, str]]:
        """Return path and blob of the note on each commit: git puts them into folders when they are many."""
        named = self._object(f"{NOTES}^{{tree}}")
        files = objects.files_below(objects.parse_tree(named[2], named[0]), self._entries) if named else ()
        return {path.replace("/", ""): (path, blob) for path, blob in files}

    def changed_notes(self, notes: Mapping[str, str]) -> dict[str, str]:
        """Return those of some texts by commit that are not the note on it."""
        known = {commit: blob for commit, (_, blob) in self._notes().items()}
        return {
            commit: text
            for commit, text in notes.items()
            if objects.blob_id(_bytes(text), len(commit)) != known.get(commit)
        }

    def write_notes(self, notes: Mapping[str, str]) -> None:
        """Attach a text to each commit under refs/notes/autoresearch, replacing earlier notes, in one commit."""
        known = self._object(f"{NOTES}^{{commit}}")
        tree = self._entries(self.tree(known[0])) if known else {}
        paths = {commit: path for commit, (path, _) in self._notes().items()}
        files = {paths.get(commit, commit): text for commit, text in notes.items()}
        text = objects.notes_text(
            self._write_tree(tree, files), known and known[0], f"{_AUTHOR} {int(time.time())} +0000"
        )
        new = self._write("commit", text)
        self._update_ref(NOTES, new, known[0] if known else None)

    def exclude(self, patterns: Sequence[str]) -> None:
        """Have git overlook what a campaign writes, in a repository whose .gitignore does not: in info/exclude."""
        path = self.git_dir / "info" / "exclude"
        path.parent.mkdir(exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        missing = [pattern for pattern in patterns if pattern not in text.splitlines()]
        if missing:
            draft = path.with_name("exclude.draft")  # the user's own patterns survive a disk that fills up here
            draft.write_text("\n".join([*text.splitlines(), *missing, ""]), encoding="utf-8")
            draft.replace(path)

    # --- what a run sees ---

    def export(self, commit: str, folder: Path) -> None:
        """Write the files of a commit into an empty folder: no .git, no untracked file, nothing of the work tree.

        A link that leads out of the folder is left out: nothing behind it belongs to the commit.
        """
        import tarfile  # with its compressions it takes long, and few commands run anything

        with tempfile.TemporaryFile() as archive:
            argv = [*NO_HOOKS, "archive", "--format=tar", commit]
            done = subprocess.run(argv, cwd=self.root, stdout=archive, stderr=subprocess.PIPE)
            if done.returncode != 0:
                raise GitError(done.stderr.decode(errors="replace").strip(), where="git archive")
            archive.seek(0)
            with tarfile.open(fileobj=archive) as tar:
                tar.extractall(folder, filter=_without_links_out)


def _without_links_out(member: "tarfile.TarInfo", folder: str) -> "tarfile.TarInfo | None":
    import tarfile

    try:
        return tarfile.data_filter(member, folder)
    except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
        return None


def _located(path: Path) -> tuple[Path, Path]:
    """Return the work tree that holds `path`, and the folder of its repository that all its work trees share."""
    if shutil.which("git") is None:
        raise BadInput("git is not installed", next_step="install it: the harness keeps every experiment in git")
    advice = "run it in a clone of the experiment's repository, or make one: git init && git commit"
    if not path.is_dir():
        raise BadInput(f"{path} is not inside a git repository", next_step=advice)
    argv = ["git", "rev-parse", "--is-bare-repository", "--git-common-dir", "--show-toplevel"]
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(argv, cwd=path, capture_output=True, encoding="utf-8", errors="surrogateescape", env=env)
    answers = done.stdout.splitlines()
    if "not a git repository" in done.stderr:
        raise BadInput(f"{path} is not inside a git repository", next_step=advice)
    if answers[:1] == ["true"]:
        raise BadInput(f"{path} is a bare repository", next_step="run it in a clone with a work tree")
    if done.returncode != 0:  # what git has against the repository, it says here
        raise GitError(done.stderr.strip(), where="git rev-parse")
    return Path(answers[2]), (path / answers[1]).resolve()


def _bytes(text: str) -> bytes:
    """Return the content of a blob whose text `Repository.read` gives."""
    return text.encode(errors="surrogateescape")


def _read_object(answers: IO[bytes]) -> tuple[str, str, bytes] | None:
    """Return what `git cat-file --batch` answers: id, type and content, or None where a name means nothing."""
    head = read_line(answers)
    if head.endswith((b" missing", b" ambiguous")):
        return None
    oid, kind, size = head.decode().split(" ")
    content = answers.read(int(size) + 1)
    if len(content) != int(size) + 1:
        raise EOFError
    return oid, kind, content[:-1]


def writable(folder: Path, advice: str = "free some space, or run in a clone that you can write to") -> None:
    """Raise BadInput unless files can be made in `folder` (a read-only disk, a wrong owner), Paused on a full disk."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        kind = Paused if error.errno == ENOSPC else BadInput  # a campaign may be under way, and goes on with more room
        raise kind(f"cannot write there: {error.strerror}", where=str(folder), next_step=advice) from None

"""Git without touching the user's work tree, index or HEAD: read, commit, export, move refs by compare-and-swap."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from errno import ENOSPC
from pathlib import Path
from types import TracebackType
from typing import Self

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # else the import fails where git is missing, and not the check
import git

from agent.core.errors import BadInput, HarnessError, Paused, Unreachable
from agent.core.protocols import Upstream
from agent.core.sanitize import redact, strip_control

NOTES = "refs/notes/autoresearch"
INCOMING, OUTGOING = f"{NOTES}-incoming", f"{NOTES}-outgoing"  # while notes of a remote are merged
ZERO = "0" * 40
REMOTE_S = 120.0  # one exchange with a remote takes no longer
MAX_TEXTS = 64  # texts of commits that are kept
PUSHES = 4  # times that a push is tried where another was quicker
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_BRANCH = re.compile(r"autoresearch/[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)+")
_IDENTITY = {"NAME": "autoresearch", "EMAIL": "autoresearch@localhost"}


def _environment(date: str | None = None) -> dict[str, str]:
    """Who commits (never the user), and when: a fixed date makes the same edit the same commit."""
    env = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()}
    if date is not None:
        env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    return env


class _GitError(HarnessError):
    """Git said no; the text is git's."""


class Repository:
    """The experiment's repository. Every ref this class writes is under `autoresearch/` or is the notes ref."""

    def __init__(self, path: Path) -> None:
        """Open the repository that holds `path`. Raises BadInput where there is none, or none with a commit."""
        if shutil.which("git") is None:
            raise BadInput("git is not installed", next_step="install it: the harness keeps every experiment in git")
        try:
            self._repo = git.Repo(path, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError):
            raise BadInput(
                f"{path} is not inside a git repository",
                next_step="run it in a clone of the experiment's repository, or make one: git init && git commit",
            ) from None
        if self._repo.working_tree_dir is None:
            raise BadInput(f"{path} is a bare repository", next_step="run it in a clone with a work tree")
        self.root = Path(self._repo.working_tree_dir)
        self.git_dir = Path(self._repo.common_dir).resolve()
        self._texts: dict[tuple[str, str], str | None] = {}
        if self.resolve("HEAD") is None:
            self._git("rev-parse", "--git-dir")  # what git has against the repository, it says here
            raise BadInput(
                f"the repository {self.root} has no commit yet", next_step="commit train.py and prepare.py first"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._repo.close()

    def _git(self, *args: str, env: Mapping[str, str] | None = None, strip: bool = True) -> str:
        argv = ["git", "-c", "core.hooksPath=/dev/null", *args]
        try:
            out = self._repo.git.execute(argv, env=dict(env or {}), strip_newline_in_stdout=strip)
        except git.GitCommandError as error:
            raise _GitError(str(error.stderr).strip().removeprefix("stderr: "), where=f"git {args[0]}") from None
        assert isinstance(out, str)
        return out

    def _try(self, *args: str, strip: bool = True) -> str | None:
        """Output of a git command whose failure is an answer: None."""
        try:
            return self._git(*args, strip=strip)
        except _GitError:
            return None

    # --- reading ---

    def resolve(self, revision: str) -> str | None:
        """The commit a revision names, or None."""
        return self._try("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")

    def tree(self, commit: str) -> str:
        """The tree of a commit."""
        return self._git("rev-parse", "--verify", f"{commit}^{{tree}}")

    def read(self, commit: str, path: str) -> str | None:
        """Return the text of a file as committed, or None where the commit has no such file.

        What a whole hash names is read once, for it cannot change.
        """
        if not _HASH.fullmatch(commit):
            return self._try("cat-file", "blob", f"{commit}:{path}", strip=False)
        if (commit, path) not in self._texts:
            if len(self._texts) >= MAX_TEXTS:
                self._texts.clear()
            self._texts[commit, path] = self._try("cat-file", "blob", f"{commit}:{path}", strip=False)
        return self._texts[commit, path]

    def uncommitted(self, paths: tuple[str, ...]) -> list[str]:
        """Those of `paths` whose work-tree text differs from HEAD's, or that git does not track yet."""
        lines = self._git("status", "--porcelain", "--", *paths).splitlines()
        return sorted(line[2:].strip() for line in lines)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` contains `older`; a commit contains itself."""
        return self._try("merge-base", "--is-ancestor", older, newer) is not None

    def harness_commits(self, commit: str) -> list[str]:
        """The commits among `commit` and its ancestors that the harness made, whoever put them there."""
        author = f"--author=<{_IDENTITY['EMAIL']}>"
        return self._git("log", "--fixed-strings", author, "--format=%H", commit).splitlines()

    def changed(self, old: str, new: str) -> list[str]:
        """The paths in which two commits differ."""
        return self._git("diff-tree", "-r", "--name-only", old, new).splitlines()

    def conflicting_branch(self, branch: str) -> str | None:
        """Return a branch that keeps git from making `branch`: one that is called like a folder of its path."""
        folders = branch.split("/")
        above = ["/".join(folders[:depth]) for depth in range(1, len(folders))]
        names = self._git("branch", "--list", "--no-column", "--format=%(refname:lstrip=2)", *above).splitlines()
        return names[0] if names else None

    # --- writing objects and refs ---

    def commit(self, base: str, files: Mapping[str, str], message: str) -> str:
        """Commit `files` on top of `base` with the base's date; no checkout, no ref moves. Returns the commit."""
        date = self._git("show", "-s", "--format=%cI", base)
        with tempfile.TemporaryDirectory() as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index"), **_environment(date)}
            self._git("read-tree", base, env=env)
            for path, text in files.items():
                text_file = Path(folder) / "text"
                text_file.write_bytes(text.encode())
                blob = self._git("hash-object", "-w", "--no-filters", str(text_file))
                mode = self._git("ls-tree", "--format=%(objectmode)", base, path) or "100644"
                self._git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", env=env)
            tree = self._git("write-tree", env=env)
            return self._git("commit-tree", tree, "-p", base, "-m", message, env=env)

    def compare_and_swap(self, branch: str, new: str, old: str | None) -> bool:
        """Compare-and-swap `branch` from `old` (None: it must not exist) to `new`; False where it was elsewhere."""
        if not _BRANCH.fullmatch(branch) or ".." in branch or branch.endswith((".lock", ".")):
            raise HarnessError(f"{branch!r} is no branch of ours", next_step="expected autoresearch/<name>/<name>")
        try:
            self._git("update-ref", "--no-deref", f"refs/heads/{branch}", new, old or ZERO)
        except _GitError:
            if self.resolve(f"refs/heads/{branch}") == old:  # it was where it should be, so git has another reason
                raise
            return False
        return True

    def set_branch(self, branch: str, commit: str) -> None:
        """Make `branch` name `commit`; what it named before stays reachable as `<branch>-<commit>`."""
        now = self.resolve(f"refs/heads/{branch}")
        if now == commit:
            return
        if now is not None:
            self.compare_and_swap(f"{branch}-{now[:7]}", now, None)
        if not self.compare_and_swap(branch, commit, now):
            raise HarnessError(f"the branch {branch} was moved by another program", next_step="run the command again")

    def note(self, commit: str, text: str) -> None:
        """Attach `text` to a commit under refs/notes/autoresearch, replacing an earlier note."""
        with tempfile.NamedTemporaryFile() as file:  # a text may be longer than a command line, and keeps its blanks
            file.write(text.encode())
            file.flush()
            blob = self._git("hash-object", "-w", "--no-filters", file.name)
        self._git("notes", f"--ref={NOTES}", "add", "--force", "--reuse-message", blob, commit, env=_environment())

    def read_note(self, commit: str) -> str | None:
        """The note on a commit, or None."""
        return self._try("notes", f"--ref={NOTES}", "show", commit, strip=False)

    def exclude(self, patterns: Sequence[str]) -> None:
        """Have git overlook what a campaign writes, in a repository whose .gitignore does not: in info/exclude."""
        path = self.git_dir / "info" / "exclude"
        path.parent.mkdir(exist_ok=True)
        text = path.read_text() if path.exists() else ""
        missing = [pattern for pattern in patterns if pattern not in text.splitlines()]
        if missing:
            draft = path.with_name("exclude.draft")  # the user's own patterns survive a disk that fills up here
            draft.write_text("\n".join([*text.splitlines(), *missing, ""]))
            draft.replace(path)

    # --- a remote ---

    def addresses(self, remote: str) -> list[str]:
        """The URL of a remote as configured, and as git spells it out; none where there is no such remote."""
        told = (self._try("config", "--get", f"remote.{remote}.url"), self._try("remote", "get-url", remote))
        return list(dict.fromkeys(url for url in told if url))

    def branches(self, prefix: str) -> list[str]:
        """The branches whose names begin with `prefix`, which ends with a slash."""
        return self._git("for-each-ref", "--format=%(refname)", f"refs/heads/{prefix}").splitlines()

    def push(self, upstream: Upstream, refs: Sequence[str], movable: Collection[str]) -> list[str]:
        """Have the remote's `refs` name what ours do, each by compare-and-swap; what one named before stays reachable.

        The baseline moves only forward, or from a commit in `movable`. Notes of others are kept; on a commit that has
        a note here, ours stands. Returns what the user should know. Raises Unreachable where the remote does not answer
        or others are always quicker.
        """
        for _ in range(PUSHES):
            seen = self._seen(upstream)
            told, specs = [], []
            for ref in refs:
                found, said = self._specs(upstream, ref, seen.get(ref), movable)
                specs += found
                told += said
            specs = [one for one in dict.fromkeys(specs) if seen.get(one[1]) != one[0]]
            stale, refused = self._pushed(upstream, specs) if specs else (False, [])
            if not stale:
                return told + refused
        raise Unreachable("others push there all the time", where=upstream.remote, next_step="run the command again")

    def _seen(self, upstream: Upstream) -> dict[str, str]:
        """What the remote's refs of ours name."""
        lines = self._remote(upstream, "ls-remote", upstream.remote, "refs/heads/autoresearch/*", NOTES).splitlines()
        return {ref: commit for commit, _, ref in (line.partition("\t") for line in lines)}

    def _specs(
        self, upstream: Upstream, ref: str, there: str | None, movable: Collection[str]
    ) -> tuple[list[tuple[str, str, str]], list[str]]:
        """What to push (what, where to, what is there) so that the remote's `ref` is ours; what to tell the user."""
        here = self._try("rev-parse", "--verify", "--quiet", ref)
        if here is None or here == there:
            return [], []
        if ref == NOTES:
            return [(self._merged_notes(upstream, here) if there else here, ref, there or "")], []
        if there is None or self.is_ancestor(there, here):
            return [(here, ref, there or "")], []
        if ref.startswith("refs/heads/autoresearch/baseline/"):
            name = ref.removeprefix("refs/heads/")
            advice = f"to build on it: git fetch {upstream.remote} {name} && git merge FETCH_HEAD"
            elsewhere = (
                f"{name} is not pushed: on {upstream.remote} it is at {there[:7]}, an experiment of others; {advice}"
            )
            return ([(here, ref, there)], []) if there in movable else ([], [elsewhere])
        if self.resolve(there) is None:
            self._remote(upstream, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", upstream.remote, ref)
        return [(there, f"{ref}-{there[:7]}", ""), (here, ref, there)], []

    def _merged_notes(self, upstream: Upstream, here: str) -> str:
        """The remote's notes with ours put into them; our own ref stays as it is. On a commit that both have, ours."""
        self._remote(
            upstream, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", upstream.remote, f"+{NOTES}:{INCOMING}"
        )
        try:
            self._git("update-ref", OUTGOING, here)
            self._git("notes", f"--ref={OUTGOING}", "merge", "--quiet", "--strategy=ours", INCOMING, env=_environment())
            return self._git("rev-parse", OUTGOING)
        finally:
            for ref in (INCOMING, OUTGOING):
                self._try("update-ref", "-d", ref)

    def _pushed(self, upstream: Upstream, specs: Sequence[tuple[str, str, str]]) -> tuple[bool, list[str]]:
        """Push. Returns whether another moved one of them meanwhile, and what the remote refused for other reasons."""
        leases = [f"--force-with-lease={ref}:{there}" for _, ref, there in specs]
        wanted = [f"{commit}:{ref}" for commit, ref, _ in specs]
        argv = ("push", "--porcelain", "--no-verify", *leases, upstream.remote, *wanted)
        lines = self._remote(upstream, *argv, answered=b"\n!\t").splitlines()
        failed = [line.split("\t") for line in lines if line.startswith("!\t")]
        raced = ("stale info", "fetch first", "cannot lock ref", "failed to update ref", "incorrect old value")
        lost = [one for one in failed if any(word in one[-1] for word in raced)]
        refused = [f"{upstream.remote} does not take {one[1].partition(':')[2]}: {one[-1]}" for one in failed]
        return bool(lost), [strip_control(redact(line)) for line in refused]

    def _remote(self, upstream: Upstream, *args: str, answered: bytes = b"") -> str:
        """Output of a git command that speaks with a remote: without hooks, prompts or arguments that are secret.

        Raises Unreachable where it fails, unless its output has `answered` in it, or takes longer than REMOTE_S.
        """
        argv = [
            "git",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "http.lowSpeedLimit=1",
            "-c",
            "http.lowSpeedTime=30",
            *args,
        ]
        status, out, errors = _bounded(argv, self.root, {**os.environ, **self._quiet(), **upstream.env}, REMOTE_S)
        if status == 0 or (answered and answered in b"\n" + out):
            return out.decode(errors="replace")
        problem = f"no answer within {REMOTE_S:.0f} s" if status is None else _message(errors)
        step = f"it is tried again at the next start; to see for yourself: git ls-remote {upstream.remote}"
        raise Unreachable(problem, where=f"git {args[0]} {upstream.remote}", next_step=step)

    def _quiet(self) -> dict[str, str]:
        """The environment in which git asks nobody anything."""
        ssh = os.environ.get("GIT_SSH_COMMAND") or self._try("config", "--get", "core.sshCommand") or "ssh"
        batch = {} if "GIT_SSH" in os.environ else {"GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes -o ConnectTimeout=20"}
        return {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "LC_ALL": "C", **batch}

    # --- what a run sees ---

    def export(self, commit: str, folder: Path) -> None:
        """Write the files of a commit into an empty folder: no .git, no untracked file, nothing of the work tree."""
        import tarfile  # with its compressions it takes long, and few commands run anything

        with tempfile.TemporaryFile() as archive:
            argv = ["git", "archive", "--format=tar", commit]
            try:
                self._repo.git.execute(argv, output_stream=archive)
            except git.GitCommandError as error:
                raise _GitError(str(error.stderr).strip(), where="git archive") from None
            archive.seek(0)
            with tarfile.open(fileobj=archive) as tar:
                tar.extractall(folder, filter="data")


def _bounded(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], limit_s: float
) -> tuple[int | None, bytes, bytes]:
    """Run a command: its status (None: it took too long), output and errors. All that it started ends with it."""
    pipe = subprocess.PIPE
    program = subprocess.Popen(
        argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
    )
    try:
        out, errors = program.communicate(timeout=limit_s)
    except BaseException as error:  # also a signal of ours: a session of its own hears none
        os.killpg(program.pid, signal.SIGKILL)
        program.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            return None, b"", b""
        raise
    return program.returncode, out, errors


def _message(errors: bytes) -> str:
    """The line in which git says what is wrong, without a secret that somebody put into a URL."""
    text = re.sub(r"://[^/@\s]+@", "://", errors.decode(errors="replace"))
    lines = strip_control(redact(text)).strip().splitlines()
    told = [line for line in lines if line.startswith(("fatal: ", "error: ", "ERROR: "))] or lines[-1:] or ["it failed"]
    return told[0][:300]


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

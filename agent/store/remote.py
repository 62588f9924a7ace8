"""A remote of the repository: what is pushed there, never over what others have there, and notes merged with theirs."""

import os
import re
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from agent.core.errors import Unreachable
from agent.core.frozen import frozen
from agent.core.protocols import Upstream
from agent.core.sanitize import redact, strip_control
from agent.store.processes import NO_HOOKS, GitError
from agent.store.repository import IDENTITY, NOTES, Repository

INCOMING, OUTGOING = f"{NOTES}-incoming", f"{NOTES}-outgoing"  # while notes of a remote are merged
REMOTE_S = 120.0  # one exchange with a remote takes no longer
PUSHES = 4  # times that a push is tried where another was quicker
_MERGER = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in IDENTITY.items()}
_Spec = tuple[str, str, str]  # what to push, where to, what is there


@frozen
class Remote:
    """One remote of a repository, as an `Upstream` names it."""

    repo: Repository
    upstream: Upstream

    def push(self, refs: Sequence[str], movable: Collection[str]) -> list[str]:
        """Have the remote's `refs` name what ours do, each by compare-and-swap; what one named before stays reachable.

        The baseline moves only forward, or from a commit in `movable`. Notes of others are kept; on a commit that has
        a note here, ours stands. Returns what the user should know. Raises Unreachable where the remote does not answer
        or others are always quicker.
        """
        for _ in range(PUSHES):
            there = self._refs()
            planned = [self._specs(ref, there.get(ref), movable) for ref in refs]
            specs = dict.fromkeys(spec for specs, _ in planned for spec in specs if there.get(spec[1]) != spec[0])
            stale, refused = self._pushed(list(specs)) if specs else (False, [])
            if not stale:
                return [notice for _, notices in planned for notice in notices] + refused
        raise Unreachable(
            "others push there all the time", where=self.upstream.remote, next_step="run the command again"
        )

    def _refs(self) -> dict[str, str]:
        """Return what the remote's refs of ours name."""
        lines = self._exchange("ls-remote", self.upstream.remote, "refs/heads/autoresearch/*", NOTES).splitlines()
        return {ref: commit for commit, _, ref in (line.partition("\t") for line in lines)}

    def _specs(self, ref: str, there: str | None, movable: Collection[str]) -> tuple[list[_Spec], list[str]]:
        """Return what to push so that the remote's `ref` is ours, and notices for the user."""
        here = self.repo.resolve(ref)
        if here is None or here == there:
            return [], []
        if ref == NOTES:
            return [(self._merged_notes(here) if there else here, ref, there or "")], []
        if there is None or self.repo.is_ancestor(there, here):
            return [(here, ref, there or "")], []
        if ref.startswith("refs/heads/autoresearch/baseline/"):
            return ([(here, ref, there)], []) if there in movable else ([], [self._not_pushed(ref, there)])
        if self.repo.resolve(there) is None:
            self._exchange("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.upstream.remote, ref)
        return [(there, f"{ref}-{there[:7]}", ""), (here, ref, there)], []

    def _not_pushed(self, ref: str, there: str) -> str:
        name, remote = ref.removeprefix("refs/heads/"), self.upstream.remote
        advice = f"to build on it: git fetch {remote} {name} && git merge FETCH_HEAD"
        return f"{name} is not pushed: on {remote} it is at {there[:7]}, an experiment of others; {advice}"

    def _merged_notes(self, here: str) -> str:
        """Return the remote's notes with ours put into them; our own ref stays as it is.

        On a commit that both have a note on, ours stands.
        """
        self._exchange(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.upstream.remote, f"+{NOTES}:{INCOMING}"
        )
        try:
            self.repo.change("update-ref", OUTGOING, here)
            self.repo.change("notes", f"--ref={OUTGOING}", "merge", "--quiet", "--strategy=ours", INCOMING, env=_MERGER)
            return self.repo.query("rev-parse", OUTGOING)
        finally:
            for ref in (INCOMING, OUTGOING):
                with suppress(GitError):
                    self.repo.change("update-ref", "-d", ref)

    def _pushed(self, specs: Sequence[_Spec]) -> tuple[bool, list[str]]:
        """Push; return whether another moved one of them meanwhile, and what the remote refused for other reasons."""
        leases = [f"--force-with-lease={ref}:{there}" for _, ref, there in specs]
        pushes = [f"{commit}:{ref}" for commit, ref, _ in specs]
        argv = ("push", "--porcelain", "--no-verify", *leases, self.upstream.remote, *pushes)
        lines = self._exchange(*argv, answered=b"\n!\t").splitlines()
        failed = [line.split("\t") for line in lines if line.startswith("!\t")]
        raced = ("stale info", "fetch first", "cannot lock ref", "failed to update ref", "incorrect old value")
        lost = [one for one in failed if any(word in one[-1] for word in raced)]
        refused = [f"{self.upstream.remote} does not take {one[1].partition(':')[2]}: {one[-1]}" for one in failed]
        return bool(lost), [strip_control(redact(line)) for line in refused]

    def _exchange(self, *args: str, answered: bytes = b"") -> str:
        """Return the output of a git command that speaks with a remote, without hooks, prompts or secrets as arguments.

        Raises Unreachable where it fails, unless its output has `answered` in it, or takes longer than REMOTE_S.
        """
        argv = [*NO_HOOKS, "-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30", *args]
        env = {**os.environ, **self._quiet(), **self.upstream.env}
        status, out, errors = _bounded(argv, self.repo.root, env, REMOTE_S)
        if status == 0 or (answered and answered in b"\n" + out):
            return out.decode(errors="replace")
        problem = f"no answer within {REMOTE_S:.0f} s" if status is None else _message(errors)
        step = f"it is tried again at the next start; to see for yourself: git ls-remote {self.upstream.remote}"
        raise Unreachable(problem, where=f"git {args[0]} {self.upstream.remote}", next_step=step)

    def _quiet(self) -> dict[str, str]:
        """Return the environment in which git asks nobody anything."""
        ssh = os.environ.get("GIT_SSH_COMMAND") or self.repo.try_query("config", "--get", "core.sshCommand") or "ssh"
        batch = {} if "GIT_SSH" in os.environ else {"GIT_SSH_COMMAND": f"{ssh} -o BatchMode=yes -o ConnectTimeout=20"}
        return {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true", "LC_ALL": "C", **batch}


def _bounded(
    argv: Sequence[str], folder: Path, env: Mapping[str, str], limit_s: float
) -> tuple[int | None, bytes, bytes]:
    """Run a command, and end all that it started; return its status (None: it took too long), output and errors."""
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
    """Return the line in which git says what is wrong, without a secret that somebody put into a URL."""
    text = re.sub(r"://[^/@\s]+@", "://", errors.decode(errors="replace"))
    lines = strip_control(redact(text)).strip().splitlines()
    problems = (
        [line for line in lines if line.startswith(("fatal: ", "error: ", "ERROR: "))] or lines[-1:] or ["it failed"]
    )
    return problems[0][:300]

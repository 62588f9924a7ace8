"""The base of a campaign: the commit that its variants are edits of, read once and resolved."""

from collections.abc import Sequence

from agent.core.errors import BadInput
from agent.core.experiment import Profile, Track
from agent.core.frozen import frozen
from agent.execution.machine import Machine
from agent.spec import preflight
from agent.spec.preflight import Resolved, Sources
from agent.store import rounds
from agent.store.baseline import baseline_branch, contains_model_code
from agent.store.ledger import Ledger
from agent.store.repository import Repository


@frozen
class Base:
    """A commit of a track: its texts, its script resolved, and whether a model wrote any of its code."""

    track: Track
    commit: str
    sources: Sources
    baseline: Resolved
    has_model_code: bool = False


def read_base(repo: Repository, track: Track, commit: str, ledger: Ledger) -> Base:
    """Return what stands at a commit. Raises BadInput where a file is missing or the script cannot be resolved."""
    sources = _sources_at(repo, track, commit, ledger)
    return Base(track, commit, sources, preflight.baseline(track, sources), sources.rewritten)


def check_branches(repo: Repository, track: Track, issue: int) -> None:
    """Raise BadInput where a branch of the user's keeps git from making those of a campaign."""
    for name in (baseline_branch(track.name), f"autoresearch/issue-{issue}/x"):
        blocking = repo.conflicting_branch(name)
        if blocking is not None:
            raise BadInput(
                f"the branch {blocking} keeps git from making branches below it",
                next_step=f"rename it: git branch -m {blocking} {blocking.replace('/', '-')}-old",
            )


def check_committed(repo: Repository, track: Track, base: str, committed: bool) -> None:
    """Raise BadInput where the work tree differs from what is committed: what runs must not be mistaken for it."""
    changed = [] if committed else repo.uncommitted((track.script, *track.fixed))
    if changed:
        raise BadInput(
            f"uncommitted changes; a campaign runs the committed file (commit {base[:7]}) and not these",
            where=", ".join(changed),
            next_step="commit or stash them, or add --committed to run without them",
        )


def resolve_at(repo: Repository, track: Track, commit: str, ledger: Ledger) -> Resolved:
    """Return a track's script as committed at `commit`, resolved."""
    return preflight.baseline(track, _sources_at(repo, track, commit, ledger))


def fixed_texts(repo: Repository, track: Track, commit: str) -> dict[str, str]:
    """Return the Python texts of a track's fixed side by path; none where it has no prepare script."""
    if track.prepare is None:
        return {}
    below = [path for place in track.fixed for path in sorted(repo.files(commit, place)) if path.endswith(".py")]
    return {path: _read(repo, commit, path) for path in (track.prepare, *below)}


def _sources_at(repo: Repository, track: Track, commit: str, ledger: Ledger) -> Sources:
    files = {path: _read(repo, commit, path) for path in {track.script, *track.editable}}
    fixed = fixed_texts(repo, track, commit)
    facts = {} if track.prepare is None else preflight.profile_facts(fixed, track.prepare)
    if not contains_model_code(repo, commit):
        return Sources(files, facts)
    return Sources(files, facts, rewritten=True, sizes=rounds.sizes_of(ledger, repo.tree(commit)))


def _read(repo: Repository, commit: str, path: str) -> str:
    text = repo.read(commit, path)
    if text is None:
        raise BadInput(
            "the file is missing", where=f"{path} at {commit[:7]}", next_step=f"commit it: git add {path} && git commit"
        )
    return text


def check_device_memory(resolved: Sequence[Resolved], profile: Profile, machine: Machine) -> None:
    """Raise BadInput for the first that does not fit the device (or, on mini, the machine)."""
    sizes = [gpu.memory_mb for gpu in machine.gpus] if profile == "full" else [machine.memory_mb]
    memory = [size for size in sizes if size is not None]
    if memory:
        preflight.check_memory(resolved, profile, min(memory))

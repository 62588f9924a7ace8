"""Which commit is a track's baseline, and whose code is in it; from git and the ledger."""

from agent.core.experiment import Track
from agent.spec import edits
from agent.store.ledger import Ledger
from agent.store.repository import Repository


def baseline_branch(track: str) -> str:
    """The branch that is a track's baseline."""
    return f"autoresearch/baseline/{track}"


def base_commit(repo: Repository, ledger: Ledger, track: Track, issue: int) -> str:
    """The commit an issue's variants are edits of: what it started from before, else the baseline, else HEAD.

    A HEAD that contains the baseline is ahead of it by the user's own commits, and is what the user means. An issue
    stays with its base, and so with its answer, until the user changes one of the track's files: what experiments
    promote meanwhile does not ask its question again.
    """
    natural = natural_base(repo, track)
    began = [c.base for c in ledger.campaigns(issue) if c.conditions.track == track.name and repo.resolve(c.base)]
    won = [commit for commit in _kept_commits(ledger, track) if repo.resolve(commit)]
    own = any(same_files(repo, track, known, natural) for known in began[-1:] + won)
    return began[-1] if began and own else natural


def natural_base(repo: Repository, track: Track) -> str:
    """The baseline, or HEAD where it is ahead of it."""
    head = repo.resolve("HEAD")
    assert head is not None
    now = repo.resolve(f"refs/heads/{baseline_branch(track.name)}")
    return head if now is None or repo.is_ancestor(now, head) else now


def _kept_commits(ledger: Ledger, track: Track) -> list[str]:
    """The commits that verdicts keep, promoted or about to be: a crash may have come in between."""
    campaigns = [c for c in ledger.campaigns() if c.conditions.track == track.name]
    verdicts = [(campaign, record.verdict) for campaign in campaigns if (record := ledger.verdict(campaign))]
    return [c.commits[verdict.variant] for c, verdict in verdicts if verdict.decision == "keep" and verdict.variant]


def contains_model_code(repo: Repository, base: str) -> bool:
    """Whether code that a model wrote is in a commit: one of ours in its history did more than set constants.

    Git is asked and not the ledger: a promotion by hand, by a merge or by a cherry-pick is in no record, and the
    commit's author tells it all the same. Later commits of a person do not clear it, since they need not touch that
    code; what a person has committed as their own (a squashed merge) is a person's. A shallow clone cannot tell, and
    counts as yes.
    """
    return repo.is_shallow or any(not _only_sets_constants(repo, commit) for commit in repo.harness_commits(base))


def _only_sets_constants(repo: Repository, commit: str) -> bool:
    """Whether a commit only sets constants of scripts. The first of a history may do anything."""
    parent = repo.resolve(f"{commit}^")
    if parent is None:
        return False
    texts = [(repo.read(parent, path), repo.read(commit, path), path) for path in repo.changed(parent, commit)]
    return all(
        old is not None and new is not None and path.endswith(".py") and edits.only_constants(old, new, path)
        for old, new, path in texts
    )


def same_files(repo: Repository, track: Track, old: str, new: str) -> bool:
    """Return whether two commits have the same script, editable files and fixed side of a track."""
    own = {track.script, *track.editable}
    return old == new or not any(path in own or track.is_fixed(path) for path in repo.changed(old, new))

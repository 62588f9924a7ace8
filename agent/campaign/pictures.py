"""The pictures of what a strategy found: files beside the ledger, and for GitHub a commit that the comment links to."""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.explore import state_of
from agent.core.errors import BadInput
from agent.core.experiment import BASELINE
from agent.core.progress import learning_curve
from agent.core.protocols import Notice
from agent.core.trials import LearningPicture, Picture
from agent.gate.stats import mean
from agent.tracking import plots
from agent.tracking.board import ShownPicture

FOLDER = "experiments/pictures"
MOST_LINES = 6  # runs whose curves are shown
FEWEST_POINTS = 5  # of a curve: of fewer there is nothing to see
LOG_BYTES = 4_000_000  # of a log that are read at most
_FROM_COMMENT = "../pictures"  # the same, from a comment that is a file


def pictures_branch(issue: int) -> str:
    """Return the branch whose commit has the pictures of an issue's latest campaign."""
    return f"autoresearch/pictures/issue-{issue}"


def draw_pictures(ctx: CampaignContext, view: CampaignView) -> tuple[ShownPicture, ...]:
    """Return the pictures of a campaign whose strategy explores, drawn where they are not on disk yet.

    They are an extra: where they cannot be had, for whatever reason, the user is notified and there are none.
    """
    if not view.plan.explores:
        return ()
    try:
        return _draw(ctx, view)
    except BadInput as error:
        ctx.emit(Notice(f"no pictures: {error}"))
    except Exception as error:
        ctx.emit(Notice(f"no pictures: drawing failed with {type(error).__name__}: {error}"))
    return ()


def _draw(ctx: CampaignContext, view: CampaignView) -> tuple[ShownPicture, ...]:
    track, issue = view.plan.track, view.campaign.issue
    pictures = (*view.plan.strategy.pictures(state_of(view)), *learning_pictures(view, ctx.repo.root))
    metric = track.metric if track.goal == "min" else f"−{track.metric}"
    folder = ctx.repo.root / FOLDER / f"issue-{issue}"
    files = [_files(folder, picture, metric) for picture in pictures]
    _remove_others(folder, [path for both in files for path in both])
    place = _place(ctx, view, folder) if pictures else ""
    links = ([f"{place}/{path.name}" for path in both] for both in files)
    return tuple(ShownPicture(one.title, light, dark) for one, (light, dark) in zip(pictures, links, strict=True))


def learning_pictures(view: CampaignView, root: Path) -> tuple[LearningPicture, ...]:
    """Return how the baseline and the best variants learned, the first run of each; none where their logs have none."""
    runs = {name: view.ok_runs(name) for name in view.campaign.trees}
    sign = 1 if view.plan.track.goal == "min" else -1
    means = {
        name: sign * mean([one.metric for one in some if one.metric is not None]) for name, some in runs.items() if some
    }
    best = sorted(means, key=lambda name: (name != BASELINE, means[name]))[:MOST_LINES]
    curves = ((name, learning_curve(_log_text(root / runs[name][0].log))) for name in best)
    lines = tuple((name, curve) for name, curve in curves if len(curve) >= FEWEST_POINTS)
    return (LearningPicture("learning", "Learning curves", lines),) if lines else ()


def _log_text(path: Path) -> str:
    """Return the beginning of a run's log; nothing where it is gone."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(LOG_BYTES).decode(errors="replace")


def _files(folder: Path, picture: Picture, metric: str) -> list[Path]:
    """Return the file of each theme; their names have a digest of what they show, so that they are drawn once."""
    digest = sha256(f"{metric} {picture!r}".encode()).hexdigest()[:10]
    files = {theme.name: folder / f"{picture.name}-{digest}-{theme.name}.png" for theme in plots.THEMES}
    if not all(path.exists() for path in files.values()):
        folder.mkdir(parents=True, exist_ok=True)
        for theme, content in plots.draw(picture, metric).items():
            draft = folder / f".{files[theme].name}.draft"
            draft.write_bytes(content)
            os.replace(draft, files[theme])  # noqa: PTH105 (the one atomic call)
    return list(files.values())


def _remove_others(folder: Path, files: Sequence[Path]) -> None:
    """Remove what earlier findings showed."""
    for path in folder.glob("*.png"):
        if path not in files:
            path.unlink()


def _place(ctx: CampaignContext, view: CampaignView, folder: Path) -> str:
    """Return what precedes a file's name in a link: the folder beside the comment, or a commit on GitHub.

    That commit is made here, on top of the campaign's base and with its date: the same pictures are the same commit.
    """
    upstream, issue = ctx.tracker.upstream, view.campaign.issue
    if upstream is None:
        return f"{_FROM_COMMENT}/{folder.name}"
    files = {f"{FOLDER}/{folder.name}/{path.name}": _text(path) for path in sorted(folder.glob("*.png"))}
    commit = ctx.repo.commit(view.campaign.base, files, f"Pictures of issue {issue}")
    ctx.repo.set_branch(pictures_branch(issue), commit)
    return f"{upstream.web}/raw/{commit}/{FOLDER}/{folder.name}"


def _text(path: Path) -> str:
    """Return a file's bytes as the text that the repository writes as these bytes."""
    return path.read_bytes().decode(errors="surrogateescape")

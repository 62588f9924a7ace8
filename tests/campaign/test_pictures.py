"""Pictures of what a strategy found: beside the comment or in a commit, drawn once, and never in a campaign's way."""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app.request import last_request
from agent.app.wiring import Workspace
from agent.campaign import pictures
from agent.campaign.context import CampaignContext
from agent.campaign.evidence import CampaignView
from agent.campaign.explore import open_view
from agent.campaign.pictures import MOST_LINES, draw_pictures, learning_pictures, pictures_branch
from agent.campaign.publish import make_board, publish
from agent.core.experiment import BASELINE
from agent.core.protocols import Event, Upstream
from agent.core.trials import Picture
from agent.execution.machine import detect
from agent.store.repository import Repository
from agent.tracking.local import MarkdownTracker
from tests.campaign.test_explore import SWEEP, ask
from tests.support.project import agent, git, make

COMMENT = Path("experiments", "issues", "0005-study.comment.md")
WEB = "https://git.test/lab/experiments"


def links(project: Path) -> list[str]:
    """What the comment links to, for a light page and a dark one."""
    return re.findall(r'(?:src|srcset)="([^"]+)"', (project / COMMENT).read_text())


def targets(project: Path) -> list[Path]:
    return [(project / COMMENT.parent / link).resolve() for link in links(project)]


@pytest.fixture(scope="module")
def swept_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after a sweep, with its pictures."""
    project = make(tmp_path_factory.mktemp("swept") / "project")
    ask(project, SWEEP)
    done = agent(project, "--issue", "5")
    assert done.returncode == 0, done.stderr
    assert "no pictures" not in done.stderr
    return project


@pytest.fixture
def swept(swept_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(swept_once, tmp_path / "project")


class Ended:
    """A campaign that is over, to be published by a test, and what its user was notified of."""

    def __init__(self, project: Path, repo: Repository) -> None:
        self.project, self.events = project, list[Event]()
        self.tracker = MarkdownTracker(project)
        workspace = Workspace(repo, self.tracker, detect())
        plan = workspace.plan(last_request(5, workspace.ledger))
        self.ctx: CampaignContext = replace(workspace.context(plan), emit=self.events.append)
        self.view: CampaignView = open_view(plan, self.ctx.ledger.campaigns(5)[-1], self.ctx.ledger)

    def publish(self) -> str:
        """Publish once more and return the notices."""
        publish(self.ctx, self.view, make_board(self.ctx, self.view))
        return "\n".join(map(str, self.events))


@pytest.fixture
def ended(swept: Path) -> Iterator[Ended]:
    with Repository(swept) as repo:
        yield Ended(swept, repo)


def test_a_comment_links_to_pictures_that_are_there_light_and_dark_and_git_overlooks_them(swept: Path) -> None:
    files = targets(swept)
    assert {path.name.partition("-")[0] for path in files} == {"spread"}
    assert [path.name.rpartition("-")[2] for path in files] == ["dark.png", "light.png"]
    assert all(path.read_bytes()[1:4] == b"PNG" for path in files)
    assert git(swept, "status", "--porcelain", "--", "experiments/pictures") == ""


def test_what_was_drawn_is_not_drawn_once_more_and_what_is_lost_comes_back_to_the_byte(ended: Ended) -> None:
    kept, lost = targets(ended.project)
    content, before = lost.read_bytes(), kept.stat().st_mtime_ns
    ended.publish()
    assert kept.stat().st_mtime_ns == before
    lost.unlink()
    assert ended.publish() == ""
    assert lost.read_bytes() == content


def test_pictures_of_earlier_findings_go(ended: Ended) -> None:
    stale = targets(ended.project)[0].with_name("spread-0000000000-dark.png")
    stale.write_bytes(b"")
    ended.publish()
    assert not stale.exists()


def test_without_matplotlib_there_is_a_comment_without_pictures_and_a_notice(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(ended.project / pictures.FOLDER)
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    notices = ended.publish()
    assert notices.count("no pictures") == 1
    assert "[plots]" in notices
    assert links(ended.project) == []
    assert "### Spread" in (ended.project / COMMENT).read_text()


def test_a_drawing_that_fails_is_a_notice(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(picture: Picture, metric: str) -> dict[str, bytes]:
        raise ZeroDivisionError(f"{picture.name} of {metric}")

    shutil.rmtree(ended.project / pictures.FOLDER)
    monkeypatch.setattr("agent.tracking.plots.draw", fail)
    assert "no pictures: drawing failed with ZeroDivisionError: spread of val_bpb" in ended.publish()
    assert links(ended.project) == []


def test_a_folder_that_cannot_be_made_is_a_notice(ended: Ended) -> None:
    shutil.rmtree(ended.project / pictures.FOLDER)
    (ended.project / pictures.FOLDER).write_text("a file")
    assert "no pictures" in ended.publish()


def test_on_github_the_comment_links_to_a_commit_that_is_pushed(ended: Ended, tmp_path: Path) -> None:
    files = targets(ended.project)
    git(tmp_path, "init", "--quiet", "--bare", "origin")
    git(ended.project, "remote", "add", "origin", str(tmp_path / "origin"))
    ended.tracker.upstream = Upstream("lab/experiments", "origin", web=WEB)
    ended.publish()
    commit = git(tmp_path / "origin", "rev-parse", f"refs/heads/{pictures_branch(5)}")
    folder = "experiments/pictures/issue-5"
    assert links(ended.project) == [f"{WEB}/raw/{commit}/{folder}/{path.name}" for path in files]
    with Repository(ended.project) as repo:
        stored = repo.read(commit, f"{folder}/{files[0].name}")
    assert stored is not None
    assert stored.encode(errors="surrogateescape") == files[0].read_bytes()
    ended.publish()
    assert git(ended.project, "for-each-ref", "--format=%(objectname)", "refs/heads/autoresearch/pictures/") == commit


def test_an_issue_that_lists_its_variants_has_a_chart_and_no_pictures(ended: Ended) -> None:
    plan = ended.view.plan
    table = replace(plan, spec=replace(plan.spec, strategy="table"))
    assert draw_pictures(ended.ctx, replace(ended.view, plan=table)) == ()


def test_learning_curves_are_the_baselines_and_those_of_the_best_as_the_logs_have_them(ended: Ended) -> None:
    line = "step {:05d} | 9.0% | loss {:.4f} | 12,034 tok/s | eta 13s\n"
    assert learning_pictures(ended.view, ended.project) == (), "two lines are no curve"
    for name in ended.view.campaign.trees:
        for run in ended.view.ok_runs(name):
            (ended.project / run.log).write_text("".join(line.format(step, 3 - step / 10) for step in range(6)))
    [picture] = learning_pictures(ended.view, ended.project)
    assert picture.lines[0] == (BASELINE, tuple((step, 3 - step / 10) for step in range(6)))
    shown = [name for name, _ in picture.lines[1:]]
    means = {name: ended.view.ok_runs(name)[0].metric or 0.0 for name in shown}
    assert shown == sorted(shown, key=means.__getitem__)
    assert 1 < len(picture.lines) <= MOST_LINES

"""The prose issue with the real train.py: scripted edits that make SwiGLU of its MLP pass every check, and run."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.campaign.test_freeform_campaign import billed, records
from tests.cheats import original
from tests.support import needs, trial
from tests.support.author import WORKED, Author, Work, dollars
from tests.support.claude import Claude, Reply, message, use
from tests.support.project import agent
from tests.support.prose import PROSE, prose_issue

# Three matrices of two thirds of the hidden width have the parameters of two of the whole: Shazeer 2020, 2002.05202.
SWIGLU = (
    (
        "        self.up = Linear(config.model_dim, config.mlp_ratio * config.model_dim)\n"
        "        self.down = Linear(config.mlp_ratio * config.model_dim, config.model_dim)\n",
        "        hidden = 2 * config.mlp_ratio * config.model_dim // 3\n"
        "        self.up = Linear(config.model_dim, hidden)\n"
        "        self.gated = Linear(config.model_dim, hidden)\n"
        "        self.down = Linear(hidden, config.model_dim)\n",
    ),
    (
        "        hidden = F.relu(self.up(norm(x)))\n        return x + self.down(hidden * hidden)",
        "        normed = norm(x)\n        return x + self.down(F.silu(self.gated(normed)) * self.up(normed))",
    ),
)
WIDER = (("MLP_RATIO = 4 ", "MLP_RATIO = 6 "),)


def edits(*pairs: tuple[str, str]) -> Reply:
    """A reply that makes several replacements at once."""
    uses = [
        use(f"t{number}", command="str_replace", path="train.py", old_str=old, new_str=new)
        for number, (old, new) in enumerate(pairs)
    ]
    return message(*uses, used=WORKED)


def run(project: Path, cache: Path, claude: Claude) -> CompletedProcess[str]:
    corpus = trial.text(cache)
    env = {**claude.environment, "AUTORESEARCH_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = ("--issue", str(PROSE), "--budget", "6steps", "--gate", "lowest", "--corpus", corpus, "--profile", "mini")
    return agent(project, *command, env=env)


@pytest.mark.slow
@needs.sandbox
def test_swiglu_at_equal_parameters_in_two_widths_is_written_tried_and_run(corpus_cache: Path, tmp_path: Path) -> None:
    project = trial.make(tmp_path / "project", original(**trial.SMALL))
    prose_issue(project)
    works = {"SwiGLU": Work(edits(*SWIGLU)), "SwiGLU, wider": Work(edits(*SWIGLU, *WIDER))}
    with Claude() as claude:
        claude.author = author = Author([list(works)], works)
        done = run(project, corpus_cache, claude)
        assert claude.refusals == []
    assert done.returncode == 0, done.stderr
    assert [(one["accepted"], one["attempts"]) for one in records(project, "proposal")] == [(True, 1)] * 2, done.stdout
    runs = records(project, "run")
    assert [(one["variant"], one["status"]) for one in runs] == [("baseline", "ok"), ("1A", "ok"), ("1B", "ok")]
    assert {one["sandbox"] for one in runs} == {needs.SANDBOX.name}
    sizes = [one["metrics"]["num_params_M"] for one in runs]  # type: ignore[index]
    assert sizes[1] == pytest.approx(sizes[0], abs=0.001)  # relu-squared at this hidden width would be 0.008 more
    assert sizes[2] > sizes[1] + 0.001
    assert len({one["metric"] for one in runs}) == 3
    assert len(records(project, "verdict")) == 1
    assert billed(project) == dollars(author.billed) > 0

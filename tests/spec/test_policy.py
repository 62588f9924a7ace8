"""What an edit may not reach is named; what an honest edit needs is not."""

from pathlib import Path

import pytest

from agent.spec import policy

SCRIPT = (Path(__file__).parents[2] / "train.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("import socket", "the module socket"),
        ("from urllib import request", "the module urllib"),
        ("import prepare as trusted", "the module prepare"),
        ("from prepare import load", "prepare.load"),
        ("from torch import manual_seed", "torch.manual_seed"),
        ("torch.manual_seed(7)", "the seed (manual_seed)"),
        ("torch.Generator()", "the seed (Generator)"),
        ("prepare.BUDGET_S", "prepare.BUDGET_S"),
        ("prepare.evaluate = None", "a change of prepare.evaluate"),
        ("F.cross_entropy = None", "a change of F.cross_entropy"),
        ("clock.steps += 1", "a change of clock.steps"),
        ("run.phases['train'] = 0.0", "a change of run.phases['train']"),
        ("os.environ['X'] = '1'", "environ"),
        ("run.settings.seed", "settings.seed"),
        ("run.corpus.evaluation('val')", "evaluation"),
        ("exec('1')", "exec()"),
        ("open(name)", "open()"),
        ("getattr(torch, 'manual_' + 'seed')(7)", "getattr() of a name that is not written out"),
        ("getattr(run.corpus, name)('val')", "getattr() of a name that is not written out"),
        ("getattr(torch, 'manual_seed')(7)", "the seed (manual_seed)"),
        ("getattr(prepare, '_validate')", "prepare._validate"),
        ("look = getattr", "getattr by another name"),
        ("list(map(eval, ['1']))", "eval by another name"),
        ("fixed = prepare", "prepare by another name"),
        ("vars(torch)['manual_' + 'seed'](7)", "vars()"),
        ("torch.__dict__['manual_' + 'seed'](7)", "__dict__"),
        ("torch.nn.Module.__getattr__(model, 'x')", "__getattr__"),
        ("().__class__.__mro__", "__mro__"),
        ("__builtins__['exec']('1')", "__builtins__ by another name"),
        ("import operator\noperator.attrgetter('x')(run)", "attrgetter"),
        ("from operator import methodcaller", "operator.methodcaller"),
        ("from torch import *", "torch.*"),
        ("import importlib", "the module importlib"),
        ("torch.utils.importlib.import_module('os')", "importlib"),
        ("torch.serialization.load(name)", "torch.load"),
        ("match torch:\n    case object(manual_seed=f):\n        f(7)", "the seed (manual_seed)"),
        ("name = 'losses.npz'", "the text 'losses.npz'"),
        ("name = 'AUTORESEARCH_SEED'", "the text 'AUTORESEARCH_SEED'"),
    ],
)
def test_what_no_experiment_may_reach_is_named_with_its_line(line: str, mark: str) -> None:
    number = SCRIPT.count("\n") + 1
    found = policy.forbidden_uses(SCRIPT, f"{SCRIPT}{line}\n")
    assert any(f"{mark} (line {number + more})" in found for more in range(line.count("\n") + 1)), found


@pytest.mark.parametrize(
    "line",
    [
        "import einops",
        "from torch import optim",
        "torch.backends.cudnn.benchmark = True",
        "torch._inductor.config.coordinate_descent_tuning = True",
        "model.scale = 2.0",
        "optimizer = torch.optim.SGD([], lr=0.1)",
        "x = x.where(x > 0, 0)",
        "print(run.settings.profile)",
        "prepare.begin()",
        "x = x.to(getattr(torch, config.dtype))",
        "print(getattr(config, 'width', 8))",
        "class A(nn.Module):\n    def forward(self, input):\n        return getattr(self, f'block_{input}')(input)",
        "class B(A):\n    def __init__(self):\n        super().__init__()",
        "def fast(compile: bool):\n    return compile",
        "print(model.__class__.__name__, prepare.PROFILES)",
    ],
)
def test_what_an_honest_edit_needs_is_let_be(line: str) -> None:
    assert policy.forbidden_uses(SCRIPT, f"{SCRIPT}{line}\n") == []


def test_what_the_committed_script_reaches_already_is_not_the_edits_doing() -> None:
    assert policy.forbidden_uses(SCRIPT, SCRIPT) == []
    assert policy.forbidden_uses(SCRIPT, f"\n\n{SCRIPT}") == []

"""What an edit may not reach is named, and whether its author may mend it; what an honest edit needs is let be."""

from pathlib import Path

import pytest

from agent.spec import policy

SCRIPT = (Path(__file__).parents[2] / "train.py").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("import socket", "the module socket"),
        ("from urllib import request", "the module urllib"),
        ("import prepare as trusted\ntrusted.score", "prepare.score"),
        ("from fixed.evaluate import _validate", "fixed.evaluate"),
        ("from os import environb", "environb"),
        ("import torch as t\nt.manual_seed(7)", "the seed (manual_seed)"),
        (
            "import torch.nn.functional as functional\nfunctional.cross_entropy = None",
            "a change of functional.cross_entropy",
        ),
        ("import time\ntime.perf_counter = None", "a change of time.perf_counter"),
        ("import gc\ngc.get_objects()", "gc.get_objects"),
        ("sys.modules['fixed.evaluate']", "sys.modules"),
        ("os.listdir('.')", "os.listdir"),
        ("settings = run.settings", "settings by another name"),
        ("getattr(torch, 'manual' + '_seed')(7)", "the seed (manual_seed)"),
        ("SEEDED = 'manual_seed'\ngetattr(torch, SEEDED)(7)", "the seed (manual_seed)"),
        ("names = {'draw': 'manual_seed'}\ngetattr(torch, names['draw'])(7)", "the text 'manual_seed'"),
        ("getattr(torch, ''.join(names))(7)", "getattr() of a name that is not written out"),
        ("setattr(run.corpus, name, 1)", "setattr() of a name that is not written out"),
        ("setattr(F, 'cross_entropy', 1)", "a change of F.cross_entropy"),
        ("from prepare import load", "prepare.load"),
        ("from torch import manual_seed", "the seed (manual_seed)"),
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
        ("torch.os.system('id')", "os"),
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
        ("from operator import methodcaller", "methodcaller"),
        ("from torch import *", "torch.*"),
        ("import importlib\nimportlib.import_module('os')", "import_module"),
        ("corpus = run.corpus\ncorpus.evaluation('val')", "evaluation"),
        ("held = run.settings\nprint(held.seed)", "settings.seed"),
        ("g = torch.default_generator\ng.manual_seed(7)", "the seed (manual_seed)"),
        ("exact = prepare.evaluate\nexact.__globals__['score'] = 1", "__globals__"),
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
    assert any(f"{mark} (line {number + more})" in map(str, found) for more in range(line.count("\n") + 1)), found


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
        "from __future__ import annotations",
        "import gc\nimport json\nimport logging\nimport random\nimport warnings\ngc.collect()",
        "import time\nbegan = time.perf_counter()\nprint(f'{time.perf_counter() - began:.1f} s')",
        "ACTIVATION = 'silu'\nx = getattr(torch.nn.functional, ACTIVATION)(x)",
        "x = getattr(F, config.activation)(x)",
        "try:\n    import triton\n    import triton.language as tl\nexcept ImportError:\n    triton = None",
        'def f():\n    """As on https://someone.github.io/notes/model.pt, read from /proc."""',
        "# https://someone.github.io/result.json",
        "raise ValueError('see https://someone.github.io/paper.npz')",
        "lengths = torch.from_numpy(run.corpus.token_bytes())",
        "def f(self):\n    self.seed = self.evaluation = self._started = 1\n    setattr(self, name, 1)",
        "setattr(block, f'mixer_{index}', mixer)",
        "print(vars(config), config.__dict__)",
        "window = torch.signal.windows.hann(9)",
        "batch, time, width = x.shape\ntime[0] = 1",
        "from io import StringIO",
        "print(config.seed, stats.evaluation, pool.kill())",
        "import inspect\nfused = 'fused' in inspect.signature(torch.optim.AdamW).parameters",
        "import importlib.util\ntriton = importlib.util.find_spec('triton') is not None",
        "object.__setattr__(config, 'width', 8)",
        "print(run.settings.facts['vocab_size'])",
    ],
)
def test_what_an_honest_edit_needs_is_let_be(line: str) -> None:
    assert policy.forbidden_uses(SCRIPT, f"{SCRIPT}{line}\n") == []


def test_what_the_committed_script_reaches_already_is_not_the_edits_doing() -> None:
    assert policy.forbidden_uses(SCRIPT, SCRIPT) == []
    assert policy.forbidden_uses(SCRIPT, f"\n\n{SCRIPT}") == []

"""The scripts of the tracks, loaded as a run loads them: each beside the prepare.py of its own folder."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

ROOT = Path(__file__).parents[2]


def door(track: str) -> ModuleType:
    """The prepare.py of a track."""
    spec = importlib.util.spec_from_file_location(f"{track}_prepare", ROOT / "experiments" / track / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.object(sys, "path", [*sys.path]):
        spec.loader.exec_module(module)
    return module


def script(track: str, **constants: object) -> ModuleType:
    """The train.py of a track, some of its constants set."""
    path = ROOT / "experiments" / track / "train.py"
    text = path.read_text()
    for name, value in constants.items():
        text, count = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
        assert count == 1, f"{path} has no constant {name}"
    module = ModuleType(f"{track}_train")
    with patch.dict(sys.modules, {"prepare": door(track), module.__name__: module}):
        exec(compile(text, str(path), "exec"), module.__dict__)
    return module

"""What a script says of edits of itself: its own words, and nothing of what it can build."""

import json
import subprocess
import sys
from pathlib import Path

from fixed import checking
from tests.support.project import ROOT

SCRIPT = """
from dataclasses import dataclass

WIDTH = 4
HEADS = 2

@dataclass
class Config:
    heads: int

def make_config(profile, vocab_size):
    if WIDTH % HEADS:
        raise ValueError(f"WIDTH = {WIDTH}: {HEADS} heads on {profile}")
    return Config(HEADS)
"""
FACTS = {"profile": "mini", "vocab_size": 28, "sequence_length": 16}


def test_only_edits_that_cannot_be_built_are_named_with_what_the_script_says(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    edits = {"1A": [(4, 5, ["HEADS = 3\n"])], "1B": [(3, 5, ["WIDTH = 9\n", "HEADS = 3\n"])], "1C": [(4, 5, ["(\n"])]}
    reasons = checking.refused(tmp_path / "train.py", edits, FACTS)
    assert reasons["1A"] == "WIDTH = 4: 3 heads on mini"
    assert reasons.keys() == {"1A", "1C"}


def test_of_a_make_config_that_takes_something_else_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT.replace("vocab_size", "moon"))
    assert checking.refused(tmp_path / "train.py", {"1A": [(4, 5, ["HEADS = 3\n"])]}, FACTS) == {}


def test_the_scripts_of_the_tracks_answer_and_train_nothing(tmp_path: Path) -> None:
    script = ROOT / "experiments" / "stories" / "train.py"
    lines = script.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith("HEADS = "))
    asked = {"facts": FACTS, "edits": {"1A": [(at, at + 1, ["HEADS = 3\n"])], "1B": [(at, at + 1, ["HEADS = 8\n"])]}}
    env = {"PATH": "/usr/bin:/bin", "AUTORESEARCH_CHECK": json.dumps(asked), "AUTORESEARCH_RUN_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    refused = json.loads((tmp_path / "result.json").read_text())["refused"]
    assert refused == {"1A": "WIDTH = 256: expected a multiple of 24 with HEADS = 3 on mini"}

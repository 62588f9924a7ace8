"""The door of the fixed side: what of `fixed/` a script or the harness uses, and the command line.

An experiment edits train.py, and never this file or `fixed/`. `python prepare.py` prepares a corpus; train.py prepares
by itself.
"""

import argparse
import json
import os
import sys
from dataclasses import replace

from fixed.clock import BudgetClock
from fixed.compiling import compile, logits_by_graph
from fixed.dataset import SPLITS, EvalSet, Prepared, load, prepare
from fixed.evaluate import bits_per_byte, evaluate, score, score_rows
from fixed.result import RunFailure, bad_setting, run, write_json
from fixed.runtime import Run, begin
from fixed.settings import PROFILES, batches_per_step, check_width, read_settings

__all__ = [
    "PROFILES",
    "SPLITS",
    "BudgetClock",
    "EvalSet",
    "Prepared",
    "Run",
    "RunFailure",
    "bad_setting",
    "batches_per_step",
    "begin",
    "bits_per_byte",
    "check_width",
    "compile",
    "evaluate",
    "load",
    "logits_by_graph",
    "prepare",
    "read_settings",
    "run",
    "score",
    "score_rows",
    "write_json",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="prepare.py", description="Prepare a corpus: tokenizer and token files.")
    parser.add_argument("--corpus", help="stdlib, climbmix, tinystories, file:PATH (AUTORESEARCH_CORPUS, stdlib)")
    parser.add_argument("--profile", choices=list(PROFILES), help="full where there is a CUDA device, else mini")
    parser.add_argument("--shards", type=int, help="of climbmix for training; the same as --corpus climbmix:N")
    parser.add_argument("--json", action="store_true", help="print one line of JSON on stdout")
    args = parser.parse_args()
    named = {"AUTORESEARCH_CORPUS": args.corpus, "AUTORESEARCH_PROFILE": args.profile}
    settings = read_settings({**os.environ, **{name: value for name, value in named.items() if value}})
    if args.shards is not None:
        settings = replace(settings, corpus=f"climbmix:{args.shards}")
    done = prepare(settings)
    facts = {name: getattr(done, name) for name in ("corpus", "fingerprint", "profile", "train_tokens", "val_bytes")}
    if args.json:
        print(json.dumps({**facts, "path": str(done.path)}))
        return
    print(f"{done.corpus} ({done.profile}): {done.train_tokens:,} training tokens, {done.val_bytes:,} validation bytes")
    print(f"prepared in {done.path}")


if __name__ == "__main__":
    sys.exit(run(main))

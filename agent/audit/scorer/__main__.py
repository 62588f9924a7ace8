"""`python scorer/__main__.py REQUEST` (a ScoreRequest as JSON), in an export whose fixed side is pinned."""

import json
import os
import sys
import time
from pathlib import Path

# Read when torch is loaded: threads that wait by spinning would take the processor from the model's process
os.environ["GOMP_SPINCOUNT"] = "1000"


def main() -> None:
    """Score the checkpoint of the request and leave result.json and losses.npz in its folder."""
    began = time.perf_counter()
    from agent.audit.scorer.processes import start_models

    fields = json.loads(sys.argv[1])
    # before torch is loaded here: where nobody has it yet all load it at once, which takes each of them two seconds
    processes = start_models(fields["command"], fields["claimed"])
    import numpy  # noqa: F401 (as a run's script does, so that one worker can serve both)
    import torch  # noqa: F401 (before the export is on the path, where something may have its name)

    sys.path.insert(0, os.getcwd())  # noqa: PTH109 (where the export is, with its fixed/)
    from agent.audit.reports import ScoreRequest
    from agent.audit.scorer.scorer import Scorer

    scorer = Scorer(ScoreRequest(**fields), processes)
    try:
        scorer.run()
    finally:
        scorer.close()
    scorer.save(time.perf_counter() - began)
    print(json.dumps(scorer.checks, indent=1), flush=True)


if __name__ == "__main__":
    # Python puts this folder first on the path, where a module could shadow a library; the root belongs there
    sys.path[0] = str(Path(__file__).resolve().parents[3])
    main()

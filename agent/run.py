"""`python agent/run.py`: the command line (agent/app/main.py), from a checkout of this repository."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts agent/ first on the path, where a module could shadow a library; the root belongs there
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from agent.app.main import main

    sys.exit(main())

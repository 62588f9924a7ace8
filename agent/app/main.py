"""The command line: reads arguments, has them carried out, and says how that ended. It holds no other logic."""

import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from agent.app import options
from agent.core.errors import HarnessError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    args = options.parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of another alphabet must not end a campaign
            stream.reconfigure(errors="replace")
    gc.disable()  # what an import makes stays: to look for garbage in it is a twentieth of a command's start
    from agent.app.dispatch import dispatch  # most of a command's start, and --help needs none of it

    gc.freeze()
    gc.enable()

    try:
        return dispatch(args)
    except HarnessError as error:
        return _report(error)
    except BrokenPipeError:  # whoever read our output has left; what there was to do is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full or read-only disk, met anywhere: what was recorded before it is intact
        print(f"error: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
        return HarnessError.exit_code
    except KeyboardInterrupt:
        print("interrupted: the run was stopped, what had finished is kept; the same command goes on", file=sys.stderr)
        return 130


def _report(error: HarnessError) -> int:
    """Print what an error says, which may quote an issue, a file or a run, and return its exit status."""
    from agent.core.sanitize import strip_control

    print(f"error: {strip_control(str(error))}", file=sys.stderr)
    return error.exit_code

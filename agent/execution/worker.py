"""Warm workers: runs that need no import of their own, where that gives the same run. The harness's side.

A run that trains for a second must not pay two for `import torch`. A zygote (zygote.py) has what the script imports,
and forks each run into a sandbox of its own, the very one that bubblewrap makes for any run. It never reads a request
or runs a script, so one run can leave nothing to another, and code that a model wrote may come from it. What a library
reads of the environment when it is loaded is the same as in a process of its own: the zygote is started with it, or
the run does not come from a zygote. Whatever is not as expected ends in a process of its own, a zygote that dies too:
a run has begun where its supervisor says that it has the request, and only there.

The audit's scorer starts processes in turn, beside itself (beside.py): from a zygote that is forked with it.
"""

import array
import fcntl
import json
import os
import re
import select
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import product
from pathlib import Path
from threading import Lock
from typing import IO

from agent.core.frozen import frozen
from agent.execution.supervisor import BEGUN

PRELOAD = ("numpy", "numpy.random", "torch", "psutil", "filelock")  # what takes long to import, in the order of import
# What torch imports for the first optimizer of a process, which takes as long as eight small steps: as much of it as
# reads nothing of the environment (torch._dynamo itself reads the compiler's settings, which a run may still set).
FOR_OPTIMIZERS = ("sympy", "torch.distributed.fsdp")
READY_S = 60  # after which a zygote that is still importing, or that takes no request, is given up
KEPT = 2  # zygotes of an executor: the runs' and the audit's may differ
_ZYGOTE = Path(__file__).with_name("zygote.py")

# Variables that a library looks at once, when it is loaded.
_AT_LOAD = r"(?:G?OMP|KMP|MKL|OPENBLAS|BLIS|NUMEXPR|TORCH|PYTORCH|ATEN|DNNL|ONEDNN|MALLOC|LD|PYTHON)_\w+"
_NAMED = re.compile(rf"""["']({_AT_LOAD})["']""")
_SET = re.compile(
    rf"""^os\.environ(?:\.setdefault\("({_AT_LOAD})", |\["({_AT_LOAD})"\] = )"([^"\\]*)"\)?$""", re.MULTILINE
)
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)


@frozen
class Needs:
    """What a zygote must have for a script: modules, and the environment when they are loaded."""

    modules: tuple[str, ...]
    env: tuple[tuple[str, str], ...]


def needs_of(script: Path, env: Mapping[str, str], root: Path | None = None) -> Needs | None:
    """Return what a script needs of a zygote, or None where it sets what libraries read in a way that cannot be seen.

    root: where it is started; modules that lie there are read like those beside the script. In plain sight is
    `os.environ.setdefault("NAME", "value")` at the top of the script, before it imports a library.
    """
    texts = list(_texts(script, (script.parent, *([root] if root else [])), {script}))
    imported = {name for text in texts for name in _IMPORT.findall(text)}
    modules = tuple(name for name in PRELOAD if name.partition(".")[0] in imported)
    if any("torch.optim." in text for text in texts):
        modules += FOR_OPTIMIZERS
    own = {name for text in texts for name in _NAMED.findall(text)}
    head = re.split(
        rf"^[ \t]*(?:import|from)[ \t]+(?:{'|'.join(PRELOAD)})\b", texts[0], maxsplit=1, flags=re.MULTILINE
    )[0]
    settings = {first or second: (value, bool(first)) for first, second, value in _SET.findall(head)}
    if own != settings.keys():
        return None
    outside = {name: value for name, value in env.items() if not name.startswith("AUTORESEARCH_")}
    for name, (value, default) in settings.items():
        outside[name] = outside.get(name, value) if default else value
    return Needs(modules, tuple(sorted(outside.items())))


def _texts(script: Path, folders: Collection[Path], seen: set[Path]) -> Iterator[str]:
    """Yield the text of a script, then those of the modules that it imports from these folders."""
    text = script.read_text(encoding="utf-8", errors="replace")
    yield text
    for folder, name in product(folders, _IMPORT.findall(text)):
        for path in (folder / f"{name}.py", *sorted((folder / name).glob("*.py"))):
            if path not in seen and path.is_file():
                seen.add(path)
                yield from _texts(path, folders, seen)


class Zygote:
    """A running zygote. It ends when this object does, and with this process."""

    def __init__(self, needs: Needs) -> None:
        """Start it and wait until it has imported its modules. Raises OSError where it cannot be had."""
        self.needs = needs
        self.requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        program = _sealed(Path(sys.executable))
        fds = (theirs.fileno(), read)
        try:
            process = subprocess.Popen(
                [sys.executable, "-s", str(_ZYGOTE), *map(str, fds), *needs.modules],
                executable=f"/proc/self/fd/{program}",
                env={**dict(needs.env), "HOME": "/nonexistent"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(program, *fds),
                start_new_session=True,
            )
        finally:
            theirs.close()
            os.close(read)
            os.close(program)
        self.close: weakref.finalize[..., Zygote] = weakref.finalize(self, _close, process, self.requests, write)
        self.requests.settimeout(READY_S)
        if self.requests.recv(16) != b"ready":
            raise OSError("the zygote ended")


def _close(process: subprocess.Popen[bytes], requests: socket.socket, life: int) -> None:
    os.close(life)
    requests.close()
    process.kill()
    process.wait()


def _sealed(program: Path) -> int:
    """Return a copy of a program that nobody can write to.

    A forked run can open /proc/self/exe, which does not lead through its sandbox: with the program itself there, it
    could write to it, where its user can.
    """
    copy = os.memfd_create("python", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with program.open("rb") as file:
        while os.sendfile(copy, file.fileno(), None, 1 << 30):
            pass
    fcntl.fcntl(
        copy, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    )
    return copy


# --- a request --------------------------------------------------------------------------------------------


@frozen
class Request:
    """What a supervisor is to run. command: argv, in bubblewrap where it needs a sandbox; disk: the folder watched."""

    command: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    limits: Mapping[str, int]
    disk: str
    starts_others: bool = False


@frozen
class Supervised:
    """A run that has begun: it ends when `control` is closed; `status` has the supervisor's report, then its end."""

    control: IO[bytes]
    status: IO[bytes]


def begin(zygote: socket.socket, request: Request, streams: Sequence[int]) -> Supervised | None:
    """Have a zygote fork a run with these standard streams; return it, or None where nothing has been run."""
    (theirs, control), (status, their_status) = pipe(), pipe()
    with theirs, their_status, suppress(OSError):  # gone: what follows sees it
        fds = array.array("i", [theirs.fileno(), *streams, their_status.fileno()])
        kind = b"+" if request.starts_others else b"!"
        zygote.sendmsg([kind], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    with suppress(BrokenPipeError):
        control.write(json.dumps(asdict(request)).encode() + b"\n")
    if select.select([status], [], [], READY_S)[0] and status.read(len(BEGUN)) == BEGUN:
        return Supervised(control, status)
    control.close()
    status.close()
    return None


def pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Return the end to read from and the end to write to."""
    read, write = os.pipe()
    return os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb", buffering=0)


# --- the harness's workers --------------------------------------------------------------------------------


class Workers:
    """The zygotes of an executor: each is started when a run needs it first, and the one longest unused makes room."""

    kind = Zygote

    def __init__(self) -> None:
        self._lock = Lock()
        self._zygotes: dict[Needs, Zygote] = {}
        self._enabled = sys.platform == "linux" and os.environ.get("AUTORESEARCH_WORKER") != "0"

    def start(
        self, argv: Sequence[str], request: Request, output: int, on_ready: Callable[[], None] = lambda: None
    ) -> Supervised | None:
        """Begin a run of `argv`, whose output goes to the descriptor `output`.

        `on_ready` is called when a zygote is there: its own start is no part of the run. Return None where the run must
        be a process of its own, because of what it is or because a zygote has failed.
        """
        folder = Path(request.cwd)
        needs = self._enabled and _is_script(argv, folder) and needs_of(folder / argv[1], request.env, folder)
        if not needs:
            return None
        with self._lock, open(os.devnull, "rb") as nothing:  # noqa: PTH123
            begun = self._begin(needs, request, (nothing.fileno(), output, output), on_ready)
            if begun is None:
                self._give_up()
        return begun

    def _begin(
        self, needs: Needs, request: Request, streams: Sequence[int], on_ready: Callable[[], None]
    ) -> Supervised | None:
        try:
            zygote = self._fitting(needs)
            on_ready()
            return begin(zygote.requests, request, streams)
        except OSError:  # no memfd, no memory: what a zygote cannot do, a process of its own can
            return None

    def _give_up(self) -> None:
        """Have no zygote from now on: what failed once would cost every run the time to fail again."""
        self._enabled = False
        while self._zygotes:
            self._zygotes.popitem()[1].close()

    def _fitting(self, needs: Needs) -> Zygote:
        zygote = self._zygotes.pop(needs, None)
        if zygote is None:
            while len(self._zygotes) >= KEPT:
                self._zygotes.pop(next(iter(self._zygotes))).close()
            zygote = self.kind(needs)
        self._zygotes[needs] = zygote
        return zygote


def _is_script(argv: Sequence[str], folder: Path) -> bool:
    """Return whether a command is this Python with a script and nothing between."""
    return len(argv) > 1 and argv[0] == sys.executable and argv[1].endswith(".py") and (folder / argv[1]).is_file()

"""Warm workers: runs that need no import of their own, where that gives the same run. The harness's side.

A run that trains for a second must not pay two for `import torch`. A zygote (zygote.py) has what the script imports,
and forks each run into a sandbox of its own, the very one that bubblewrap makes for any run. It never reads a request
or runs a script, so one run can leave nothing to another, and code that a model wrote may come from it. What a library
reads of the environment when it is loaded is the same as in a process of its own: the zygote is started with it, or
the run does not come from a zygote. Whatever is not as expected ends in a process of its own.
"""

import array
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

PRELOAD = ("numpy", "torch")  # what takes long to import, in the order of import
READY_S = 60  # after which a zygote that is still importing is given up
# The sandbox's first command: it prints its number, and at a line it runs the job itself.
HOLD = ("/bin/sh", "-c", 'echo $$; read -r _ && exec "$@" </dev/null >&2', "sh")
_ZYGOTE = Path(__file__).with_name("zygote.py")

# Variables that a library looks at once, when it is loaded.
_AT_LOAD = r"(?:G?OMP|KMP|MKL|OPENBLAS|BLIS|NUMEXPR|TORCH|PYTORCH|ATEN|DNNL|ONEDNN|MALLOC|LD|PYTHON)_\w+"
_NAMED = re.compile(rf"""["']({_AT_LOAD})["']""")
_SET = re.compile(
    rf"""^os\.environ(?:\.setdefault\("({_AT_LOAD})", |\["({_AT_LOAD})"\] = )"([^"\\]*)"\)?$""", re.MULTILINE
)
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Needs:
    """What a zygote must have for a script: modules, and the environment when they are loaded."""

    modules: tuple[str, ...]
    env: tuple[tuple[str, str], ...]


def needs_of(script: Path, env: Mapping[str, str]) -> Needs | None:
    """Return what a script needs of a zygote, or None where it sets what libraries read in a way that cannot be seen.

    In plain sight is `os.environ.setdefault("NAME", "value")` at the top of the script, before it imports a library.
    """
    texts = list(_texts(script, {script}))
    imported = {name for text in texts for name in _IMPORT.findall(text)}
    modules = tuple(name for name in PRELOAD if name in imported)
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


def _texts(script: Path, seen: set[Path]) -> Iterator[str]:
    """Yield the text of a script, then those of the modules beside it that it imports."""
    text = script.read_text(errors="replace")
    yield text
    for name in _IMPORT.findall(text):
        for path in (script.with_name(f"{name}.py"), *sorted(script.with_name(name).glob("*.py"))):
            if path not in seen and path.is_file():
                seen.add(path)
                yield from _texts(path, seen)


class _Zygote:
    """A running zygote. It ends when this object does, and with this process."""

    def __init__(self, needs: Needs) -> None:
        """Start it and wait until it has imported its modules. Raises OSError where it cannot be had."""
        self.needs = needs
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        self.close = weakref.finalize(self, _close, process, self._requests, write)
        self._requests.settimeout(READY_S)
        if self._requests.recv(16) != b"ready":
            raise OSError("the zygote ended")

    def fork(self, fds: Sequence[int]) -> None:
        """Have it fork a child with these descriptors. Raises OSError where it is gone."""
        self._requests.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


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


class Workers:
    """The zygote of an executor: started when the first run needs it, another one when a run needs another."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._zygote: _Zygote | None = None
        self._enabled = sys.platform == "linux" and os.environ.get("AUTORESEARCH_WORKER") != "0"

    def start(self, argv: Sequence[str], folder: Path, env: Mapping[str, str], fds: Sequence[int]) -> bool:
        """Fork the supervisor of a run of `argv` in `folder`; it waits for its request on the first of `fds`.

        Return False where the run must be a process of its own.
        """
        needs = self._enabled and _is_script(argv, folder) and needs_of(folder / argv[1], env)
        if not needs:
            return False
        with self._lock:
            try:
                self._fitting(needs).fork(fds)
            except OSError:  # no memfd, no memory, killed: what a zygote cannot do, a process of its own can
                self._enabled = False
        return self._enabled

    def _fitting(self, needs: Needs) -> _Zygote:
        if self._zygote is None or self._zygote.needs != needs:
            if self._zygote is not None:
                self._zygote.close()
            self._zygote = None
            self._zygote = _Zygote(needs)
        return self._zygote


def _is_script(argv: Sequence[str], folder: Path) -> bool:
    """Return whether a command is this Python with a script and nothing between."""
    return len(argv) > 1 and argv[0] == sys.executable and argv[1].endswith(".py") and (folder / argv[1]).is_file()


def request(argv: Sequence[str], folder: Path, env: Mapping[str, str], sandbox: Sequence[str], **rest: object) -> bytes:
    """Return the line that tells a supervisor what to run. `sandbox` is the command that holds one open (HOLD)."""
    fields = {"argv": argv, "cwd": str(folder.absolute()), "env": env, "sandbox": sandbox, **rest}
    return json.dumps(fields).encode() + b"\n"

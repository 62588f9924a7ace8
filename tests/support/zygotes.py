"""Zygotes (agent/execution/zygote.py) that outlive the command that started them: the next one has them at once.

A user's command has zygotes of its own, which import once what its runs import. Tests give hundreds of commands, and to
import torch takes longer than all runs of a stand-in. So a command that is forked here takes a zygote with the same
needs, environment included, from those before it, and hands over what it starts itself. It is the product's own zygote
all the same: it forks each run into a sandbox of its own, and one run can leave nothing to another.

Whoever forks commands calls `collect` before each, and the command calls `adopt`. Zygotes end with their keeper.
"""

import os
import pickle
import socket
import subprocess
import weakref
from dataclasses import replace

from agent.execution.worker import FOR_OPTIMIZERS, READY_S, Needs, Workers, Zygote

_kept: dict[Needs, tuple[int, int]] = {}  # descriptors: where requests go, and what keeps the zygote alive
_started: list[subprocess.Popen[bytes]] = []
_inbox, _outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # from a command to its keeper
_inbox.setblocking(False)


class Kept(Zygote):
    """A zygote that does not end with this object."""

    def __init__(self, needs: Needs) -> None:
        """Take a kept one with these needs, or start one and hand it over. Raises OSError where it cannot be had."""
        key = replace(needs, env=tuple(pair for pair in needs.env if pair[0] != "TMPDIR"))  # nothing that is loaded
        if not _alive(key):
            super().__init__(replace(needs, modules=(*needs.modules, *_more(needs))))
            _keep(key, self)
        self.needs = needs
        self.requests = socket.socket(fileno=os.dup(_kept[key][0]))
        self.requests.settimeout(READY_S)
        self.close = weakref.finalize(self, self.requests.close)


def _more(needs: Needs) -> tuple[str, ...]:
    """Return what else an optimizer imports, half the time of eight steps: no run of a test sets what it reads."""
    return ("torch._dynamo",) if set(FOR_OPTIMIZERS) <= {*needs.modules} else ()


def _alive(key: Needs) -> bool:
    """Return whether a zygote is kept that still takes requests."""
    if key not in _kept:
        return False
    with socket.socket(fileno=os.dup(_kept[key][0])) as requests:
        try:
            return requests.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:  # nothing to read, and its end is open
            return True


def _keep(key: Needs, zygote: Zygote) -> None:
    """Let a zygote that was started here live on, and hand it to whoever forked this process."""
    end = zygote.close.detach()
    assert end is not None
    process, requests, life = end[2]
    _started.append(process)
    _kept[key] = requests.detach(), life
    socket.send_fds(_outbox, [pickle.dumps(key)], _kept[key])


def adopt() -> list[int]:
    """Have this process take its zygotes from those that are kept, and return the descriptors that it needs for it."""
    Workers.kind = Kept
    return [_outbox.fileno(), *(fd for pair in _kept.values() for fd in pair)]


def collect() -> None:
    """Keep what the commands before have handed over."""
    while True:
        try:
            message, fds, _, _ = socket.recv_fds(_inbox, 1 << 16, 2, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        key = pickle.loads(message)
        _discard(*_kept.pop(key, ()))
        _kept[key] = fds[0], fds[1]


def _discard(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def close() -> None:
    """Let the zygotes end that are kept here; those that this process started are waited for."""
    collect()
    while _kept:
        _discard(*_kept.popitem()[1])
    while _started:
        _started.pop().wait()

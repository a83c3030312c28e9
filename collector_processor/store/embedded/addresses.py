"""Where the server listens: a port on the loopback address, and a unix socket in a short folder."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

from collector_processor.errors import EmbeddedServerError
from collector_processor.store.embedded.account import Account

# A socket's path has 103 bytes at most. Not TMPDIR, which may be long, or closed to the account.
_PARENT = Path("/tmp")  # noqa: S108 - the folder in it is made by mkdtemp
_PREFIX = "otel-benchmark-"


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens on it on the loopback address, else another one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            # As the server does it: connections that have just ended don't stand in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmbeddedServerError("no port is free on 127.0.0.1")


def make_socket_directory(account: Account) -> Path:
    """A new folder with mode 0700 for the unix socket."""
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
    account.give(directory)
    return directory


def remove_socket_directory(name: str | None, account: Account) -> None:
    """Remove a folder of `make_socket_directory`, which a killed server may have left; no other one."""
    directory = Path(name or "")
    ours = directory.parent == _PARENT and directory.name.startswith(_PREFIX) and directory.is_dir()
    if ours and directory.stat().st_uid == account.uid:
        shutil.rmtree(directory, ignore_errors=True)

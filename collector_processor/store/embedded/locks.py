"""File locks that end with their holders: flock(2), which children can inherit."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collector_processor.errors import EmbeddedServerError

_POLL_SECONDS = 0.02


class FileLock:
    """An advisory lock on a file, created with mode 0600 when it is missing.

    The lock belongs to the open file, not to the process: two `FileLock` on one path exclude each other within
    one process as well, and a child that was given `fileno()` goes on holding it after its parent's death.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def try_acquire(self, *, shared: bool = False) -> bool:
        """Take the lock, or change its mode, if that needs no waiting."""
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self.fileno(), mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, *, shared: bool = False, timeout: float) -> None:
        """Take the lock, waiting up to `timeout` seconds; EmbeddedServerError when others keep it longer."""
        deadline = time.monotonic() + timeout
        while not self.try_acquire(shared=shared):
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"{self._path} has been locked by another process for {timeout:.0f} s")
            time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Unlock for every holder of this open file, and close it."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.hand_over()

    def hand_over(self) -> None:
        """Close the file without unlocking it: the children that inherited it keep the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def held(self, *, timeout: float) -> Iterator[None]:
        """Hold the lock exclusively for a block."""
        self.acquire(timeout=timeout)
        try:
            yield
        finally:
            self.release()

    def fileno(self) -> int:
        """The descriptor that holds the lock, to be passed on to children."""
        if self._descriptor is None:
            self._descriptor = open_private(self._path, os.O_RDWR)
        return self._descriptor


def open_private(path: Path, flags: int) -> int:
    """Open a file that only the owner of its folder may use, created if missing; root doesn't shut the owner out."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor

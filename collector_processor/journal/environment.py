"""Open the journal's LMDB environment safely: one owner, owner-only files, checked after an unclean stop.

LMDB itself lets a second process write unhindered, dies by a signal on a damaged file and never syncs the
folder, so this module holds a lock of its own, verifies the file in a child process before it is mapped, and
syncs the folder when it has opened it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import lmdb
import msgspec

from collector_processor.errors import DamagedEntryError, JournalError, JournalInUseError
from collector_processor.journal.format import DATABASES, VERSION
from collector_processor.journal.keys import KeyFolder, check_private, sync_folder
from collector_processor.journal.reader import read_counters, read_epochs

_OPTIONS: Final = {"max_dbs": 16, "max_readers": 126, "mode": 0o700, "lib_version": 0}
_CLEAN: Final = "clean"
"""Marker file: present while nobody has the journal open and the last owner closed it."""
_GARBLED: Final = (DamagedEntryError, msgspec.DecodeError, struct.error, ValueError)
"""How rows that stand in clear can't be read, where a disk has changed them."""
_KILLED: Final = (-signal.SIGKILL, -signal.SIGTERM)
"""Ends of a check that come from outside and tell nothing of the file."""
_CHECKS: Final = 3


def take_lock(folder: Path) -> int:
    """Hold a journal's lock until the descriptor is closed. Raises JournalInUseError, and JournalError without one."""
    try:
        descriptor = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise JournalError(
            f"the journal {folder} can't be locked: {error.strerror}; check the disk of DATA_DIR"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalInUseError(
            f"another process uses the journal {folder}: stop it, or give this one its own DATA_DIR"
        ) from None
    return descriptor


def verify(folder: Path) -> str | None:
    """What is wrong with the file's pages, None where nothing is. The lock is held.

    In a child, because a truncated or garbled file kills whoever maps it. Raises JournalError where others kill it.
    """
    for _ in range(_CHECKS):
        check = subprocess.run(  # noqa: S603  # our own interpreter and our own path
            [sys.executable, "-m", "lmdb", "verify", "-e", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if check.returncode == 0:
            return None
        if check.returncode not in _KILLED:
            said = (check.stdout + check.stderr).strip().splitlines()
            return said[-1] if said else f"exit {check.returncode}"
    raise JournalError(
        f"the check of the journal {folder} was killed {_CHECKS} times (for want of memory?): start again"
    )


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Read within it what a journal says of itself. Raises JournalError where it is garbled."""
    try:
        yield
    except _GARBLED as error:
        raise _damaged(folder, str(error)) from error


def _damaged(folder: Path, problem: str) -> JournalError:
    return JournalError(
        f"the journal {folder} is damaged ({problem}): save what is readable by `otel-benchmark journal export`, and "
        "move the folder away to start a new one; the file is left as it is"
    )


def check_version(folder: Path, stored: bytes) -> None:
    """See that this program knows the format that a journal says it has. Raises JournalError."""
    if stored != str(VERSION).encode():
        raise JournalError(
            f"the journal {folder} has format {stored.decode(errors='replace')}, this program knows {VERSION}: "
            "use the program that wrote it, or another DATA_DIR"
        )


class Environment:
    """The journal's environment, held by the one process that may write it.

    Args:
        folder: the journal's directory, created owner-only where missing.
        max_bytes: `JOURNAL_MAX_BYTES`; the map is a quarter larger, because a full map refuses deletes too.
        closed_timeout: `CLOSED_TIMEOUT` in ns: how long a stored task's spans are recognised.

    Attributes:
        identity: 8 hex digits that tell this journal from others, for as long as the folder lives.
        keys: of its epochs.

    Raises:
        JournalInUseError: another process holds the lock.
        JournalError: the folder or a file in it has another owner or is open to others, the file is damaged, or a
            program with another format wrote it.
    """

    def __init__(self, folder: Path, max_bytes: int, closed_timeout: int = 0) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.closed_timeout = closed_timeout
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise JournalError(
                f"the journal's directory {folder} can't be created: {error.strerror}; set DATA_DIR"
            ) from error
        check_private(folder)
        self.keys = KeyFolder(folder)
        self._lock = take_lock(folder)
        data = folder / "data.mdb"
        found = data.exists()
        try:
            if found:
                check_private(data)
                if not (folder / _CLEAN).exists():
                    self._refuse_damage()
            self.keys.prepare()
            self._lmdb = self._open()
            with self._refusals(), readable(folder):
                self._check_version()
                (folder / _CLEAN).unlink(missing_ok=True)
                self.databases = {name: self._lmdb.open_db(name.encode()) for name in DATABASES}
                self.identity = self._identify()
                with self._lmdb.begin() as transaction:
                    read_counters(transaction, self.databases)
                    read_epochs(transaction, self.databases)
                # Nor may a power loss bring back the mark of a good end.
                sync_folder(folder)
                sync_folder(folder.parent)
        except BaseException:
            if not found:  # half a file, which nothing was promised for, would be refused as damaged
                for begun in (data, folder / "lock.mdb"):
                    begun.unlink(missing_ok=True)
            os.close(self._lock)
            raise

    def _refuse_damage(self) -> None:
        if (damage := verify(self.folder)) is not None:
            raise _damaged(self.folder, damage)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the disk refuses is said in our words, and the file let go of."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            self._lmdb.close()
            why = error.strerror if isinstance(error, OSError) else error
            raise JournalError(
                f"the journal {self.folder} can't be written: {why}; check the disk of DATA_DIR"
            ) from error
        except JournalError:
            self._lmdb.close()
            raise

    def _open(self) -> lmdb.Environment:
        size = max(self.max_bytes + self.max_bytes // 4, 16 << 20)
        try:
            return lmdb.open(str(self.folder), map_size=-(-size // 4096) * 4096, **_OPTIONS)  # type: ignore[arg-type]  # one dict of options, typed apart by the stub
        except lmdb.Error as error:
            raise JournalError(f"the journal {self.folder} can't be opened: {error}") from error

    def _check_version(self) -> None:
        """Before anything is written: a journal of another version is left as it is."""
        meta = self._lmdb.open_db(b"meta")
        with self._lmdb.begin(write=True) as transaction:
            stored = transaction.get(b"version", db=meta)
            if stored is None:
                transaction.put(b"version", str(VERSION).encode(), db=meta)
            else:
                check_version(self.folder, stored)

    def _identify(self) -> str:
        with self._lmdb.begin(write=True) as transaction:
            stored = transaction.get(b"identity", db=self.databases["meta"])
            if stored is None:
                stored = secrets.token_hex(4).encode()
                transaction.put(b"identity", stored, db=self.databases["meta"])
            return stored.decode()

    @property
    def lmdb(self) -> lmdb.Environment:
        """The LMDB environment itself, for the writer."""
        return self._lmdb

    def grow(self) -> None:
        """Enlarge the map by 16 MiB: a delete needs room too."""
        self._lmdb.set_mapsize(self._lmdb.info()["map_size"] + (16 << 20))

    def forget_dead_readers(self) -> None:
        """A worker that was killed while it read would keep freed pages alive for good."""
        self._lmdb.reader_check()

    def close(self) -> None:
        """Close, mark the file as closed in order, and let go of the lock."""
        self._lmdb.close()
        (self.folder / _CLEAN).touch(mode=0o600)
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

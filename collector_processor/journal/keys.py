"""Key files: 32 random bytes for each epoch, in a folder that its owner alone can enter.

A key is on disk before the first value is encrypted with it. When it is destroyed, it is overwritten before its file
goes, and what LMDB's freed pages still hold of its epoch is noise from then on. No key ever stands in LMDB itself,
whose freed pages would keep it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path
from typing import Final

from collector_processor.errors import JournalError, KeyWriteError, LostKeyError

KEY_BYTES: Final = 32


class KeyFolder:
    """The key files of one journal, each named by the number of its epoch.

    Args:
        journal: the environment's directory; the keys lie in a folder of it, which `prepare` makes.
    """

    def __init__(self, journal: Path) -> None:
        self.folder = journal / "keys"

    def prepare(self) -> None:
        """Make the folder where it is missing, and see that nobody else can look into it.

        Raises:
            JournalError: it can't be made, or it or a key in it is open to other users.
        """
        try:
            self.folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise JournalError(f"the keys' directory {self.folder} can't be created: {error.strerror}") from error
        for path in (self.folder, *map(self.path, self.epochs())):
            check_private(path)

    def path(self, epoch: int) -> Path:
        """The file of an epoch's key."""
        return self.folder / str(epoch)

    def epochs(self) -> set[int]:
        """Every epoch with a file, also one that was not written to its end."""
        return {int(name) for name in os.listdir(self.folder) if name.isdecimal()}  # noqa: PTH208  # names alone

    def read(self, epoch: int) -> bytes:
        """An epoch's key.

        Raises:
            LostKeyError: there is no such file, or it is no key.
        """
        try:
            key = self.path(epoch).read_bytes()
        except OSError as error:
            raise LostKeyError(f"the key {self.path(epoch)} can't be read: {error.strerror}") from error
        if len(key) != KEY_BYTES:
            raise LostKeyError(f"the key {self.path(epoch)} is damaged: it has {len(key)} bytes, not {KEY_BYTES}")
        return key

    def make(self, epoch: int) -> bytes:
        """A new key, durable when this returns.

        Raises:
            KeyWriteError: the disk refused.
        """
        key, path = secrets.token_bytes(KEY_BYTES), self.path(epoch)
        try:
            _write(path, key, os.O_CREAT | os.O_EXCL)
            sync_folder(self.folder)
        except OSError as error:
            if not isinstance(error, FileExistsError):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise KeyWriteError(f"the key {path} can't be written: {error.strerror}") from error
        return key

    def destroy(self, epoch: int) -> None:
        """Overwrite and remove a key; one that has no file is destroyed already.

        Raises:
            OSError: the disk refused; the key may still be there.
        """
        path = self.path(epoch)
        with contextlib.suppress(FileNotFoundError):
            _write(path, secrets.token_bytes(KEY_BYTES))
            path.unlink()
        sync_folder(self.folder)


def check_private(path: Path) -> None:
    """See that a file or folder is its owner's alone, and that this is us.

    Raises:
        JournalError: another user owns it or could read it; the message says how to mend it.
    """
    stat = path.stat()
    if stat.st_uid != os.geteuid():
        raise JournalError(
            f"the journal's {path} belongs to another user (uid {stat.st_uid}): run as that user or set DATA_DIR"
        )
    if stat.st_mode & 0o077:
        raise JournalError(
            f"the journal's {path} is open to other users (mode {stat.st_mode & 0o777:04o}): `chmod go= {path}`"
        )


def sync_folder(folder: Path) -> None:
    """Make durable which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The files of the fallback: one an hour, their owner's alone, durable before anything leaves the journal for them.

A file is only appended to, block by block. What is erased is overwritten with blanks where it stands, so that no
block moves. Damaged lines are kept apart in `damaged-<file>`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from collector_processor.errors import FallbackError, FallbackFullError

_DAMAGED: Final = "damaged-"
_SUFFIX: Final = ".jsonl"


class Block(NamedTuple):
    """Where a batch's lines stand: a file's name, and bytes of it."""

    file: str
    offset: int
    length: int


class Folder:
    """A directory of fallback files that one process writes.

    Args:
        path: created owner-only where missing, by `prepare`.
        journal: identity of the journal whose batches these are; it stands in the files' names.
        max_bytes: of all files together.
    """

    def __init__(self, path: Path, journal: str, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._journal = journal

    def prepare(self) -> None:
        """Make it, and see that it is ours alone. Raises FallbackError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            stat = self.path.stat()
        except OSError as error:
            raise self._error(error) from error
        if stat.st_uid != os.geteuid() or stat.st_mode & 0o077:
            raise FallbackError(
                f"the fallback directory {self.path} must be yours alone: "
                f"`chown {os.geteuid()}` and `chmod 700` it, or set FALLBACK_DIR"
            )

    # -- Lines -----------------------------------------------------------------------------------------------

    def append(self, lines: bytes, now: datetime) -> Block:
        """Write whole lines; they are on disk when this returns.

        Raises:
            FallbackFullError: `max_bytes` would be passed.
            FallbackError: the disk refused; what was written of them is taken back.
        """
        used = self.used_bytes
        if used + len(lines) > self.max_bytes:
            raise FallbackFullError(
                f"the fallback {self.path} is full ({used} of {self.max_bytes} bytes): "
                "bring the database back, or raise FALLBACK_MAX_BYTES"
            )
        name = f"{now.astimezone(UTC):%Y-%m-%dT%H}.{self._journal}{_SUFFIX}"
        with self._opened(name, os.O_RDWR | os.O_CREAT) as descriptor:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            content = b"\n" * torn + lines
            try:
                _write(descriptor, content, size)
                os.fsync(descriptor)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise
            if size == 0:
                self._sync()
        return Block(name, size + torn, len(lines))

    def read(self, block: Block) -> list[bytes]:
        """The lines of a block, without those that were erased; none of a file that is gone. Raises FallbackError."""
        if not (self.path / block.file).exists():
            return []  # whoever deleted it meant it
        with self._opened(block.file, os.O_RDONLY) as descriptor:
            content = os.pread(descriptor, block.length, block.offset)
        return [line for line in content.split(b"\n") if line.strip()]

    def blank(self, block: Block, lines: list[bytes]) -> None:
        """Overwrite lines of a block; they are gone from the disk when this returns. Raises FallbackError."""
        with self._opened(block.file, os.O_RDWR) as descriptor:
            content = os.pread(descriptor, block.length, block.offset)
            for line in lines:
                if (at := content.find(line)) >= 0:
                    _write(descriptor, b" " * len(line), block.offset + at)
            os.fsync(descriptor)

    def set_apart(self, file: str, lines: list[bytes]) -> None:
        """Keep damaged lines for a person. Raises FallbackError."""
        with self._opened(f"{_DAMAGED}{file}", os.O_RDWR | os.O_CREAT) as descriptor:
            _write(descriptor, b"".join(line + b"\n" for line in lines), os.fstat(descriptor).st_size)
            os.fsync(descriptor)
            self._sync()

    def whole(self, file: str) -> Block:
        """A file as one block. Raises FallbackError."""
        with self._opened(file, os.O_RDONLY) as descriptor:
            return Block(file, 0, os.fstat(descriptor).st_size)

    # -- Files -----------------------------------------------------------------------------------------------

    def files(self) -> list[str]:
        """Names of the files with lines to be imported, oldest first."""
        return [name for name in self._names() if not name.startswith(_DAMAGED)]

    def damaged_files(self) -> list[str]:
        """Names of the files with damaged lines."""
        return [name for name in self._names() if name.startswith(_DAMAGED)]

    def remove(self, file: str) -> None:
        """Delete a file that nothing is to be imported of any more. Raises FallbackError."""
        try:
            (self.path / file).unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise self._error(error) from error

    def is_ours(self, file: str) -> bool:
        """Whether the file is of this journal."""
        return file.endswith(f".{self._journal}{_SUFFIX}")

    @property
    def used_bytes(self) -> int:
        """Bytes of all files."""
        total = 0
        for name in self._names():
            with contextlib.suppress(OSError):
                total += (self.path / name).stat().st_size
        return total

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.path) if name.endswith(_SUFFIX))  # noqa: PTH208  # names alone
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._error(error) from error

    @contextmanager
    def _opened(self, name: str, flags: int) -> Iterator[int]:
        try:
            descriptor = os.open(self.path / name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._error(error) from error

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _error(self, error: OSError) -> FallbackError:
        return FallbackError(f"the fallback {self.path} can't be used: {error.strerror}; set FALLBACK_DIR")


def _write(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written

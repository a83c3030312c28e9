"""Read what is readable of a journal that nobody has open, and change nothing in it.

LMDB ends the process that meets a garbled page, so a child walks through the file (`walk`). Where one ends before its
time, the next begins behind the place.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from collector_processor.errors import JournalError
from collector_processor.journal.environment import check_version, take_lock, verify
from collector_processor.journal.keys import check_private
from collector_processor.journal.walk import HIGHEST, LENGTH, Answer, Ended, Found, Overview, Resumes, Unreadable

MAX_PLACES: Final = 1000
"""A file with more damaged places than this is given up there."""
_decode: Final = msgspec.msgpack.Decoder(Answer).decode


class Salvage:
    """A journal that is read for a person, under its lock.

    Args:
        folder: the journal's directory.

    Raises:
        JournalInUseError: a processor has it.
        JournalError: there is none, it is another user's or open to others.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "data.mdb").exists():
            raise JournalError(f"there is no journal in {folder}: set DATA_DIR")
        check_private(folder)
        self._lock = take_lock(folder)

    def damage(self) -> str | None:
        """What is wrong with its pages, None where nothing is. The bytes of values are another matter (`found`)."""
        return verify(self.folder)

    def overview(self) -> Overview | None:
        """Version and counters; None where they can't be read. Raises JournalError: its format is another one."""
        for answer in self._ask("overview"):
            if isinstance(answer, Overview):
                check_version(self.folder, answer.version)
                return answer
        return None

    def found(self) -> Iterator[Found | Unreadable]:
        """Every fragment that spans are left of, in order of arrival, then dead letters; what can't be read as such.

        Places that end a child are told as one `Unreadable` without a number of spans.
        """
        overview = self.overview()
        highest = HIGHEST if overview is None else overview.highest
        start = 0
        for _ in range(MAX_PLACES):
            last = start - 1
            for answer in self._ask("spans", start):
                if isinstance(answer, Ended):
                    break
                if isinstance(answer, Found | Unreadable):
                    last = max(last, answer.sequence)  # a garbled tree may lead back
                    yield answer
            else:
                begin = self._behind(last + 1, highest)
                until = "nothing" if begin is None else f"entry {begin}"
                problem = f"the file is damaged behind journal entry {last}: {until} is the next that can be read"
                yield Unreadable(last + 1, problem, 0)
                if begin is None:
                    break
                start = begin
                continue
            break
        yield from self._dead()

    def _dead(self) -> Iterator[Found | Unreadable]:
        answer: object = None
        for answer in self._ask("dead"):
            if isinstance(answer, Found | Unreadable):
                yield answer
        if not isinstance(answer, Ended):
            yield Unreadable(0, "the file is damaged among the dead letters", 0)

    def _behind(self, bad: int, highest: int) -> int | None:
        """The first sequence from which a child can read on; None where there is none."""
        return next((answer.start for answer in self._ask("behind", bad, highest) if isinstance(answer, Resumes)), None)

    def _ask(self, what: str, *numbers: int) -> Iterator[Answer]:
        """What a child says until it ends, of itself or by a signal."""
        command = [sys.executable, "-m", "collector_processor.journal.walk"]
        asked = [*command, str(self.folder), what, *map(str, numbers)]
        with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:  # noqa: S603  # our own
            assert child.stdout is not None
            try:
                while (answer := _read(child.stdout)) is not None:
                    yield answer
            finally:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(stream: IO[bytes]) -> Answer | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    body = stream.read(size)
    return _decode(body) if len(body) == size else None

"""A small closed journal that holds a bit of everything, and ways to damage copies of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import lmdb

from collector_processor.app.journalling.front import Front
from collector_processor.config import Settings
from collector_processor.journal.format import DATABASES
from support.running_front import RunningFront
from support.spans import Piece

DATA: Final = Path("journal/data.mdb")
_MAX_BYTES: Final = 16 << 20


class Row(NamedTuple):
    database: str
    key: bytes
    value: bytes


@cache
def closed_journal() -> Mapping[Path, bytes]:
    """The files below its data directory: of spans that are open, sealed, and foreign, and of a task that is stored."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        front = RunningFront(folder)
        for trace in range(1, 40):
            front.send(Piece(trace, 1, 0, "task"), *(Piece(trace, each, 1, "tool") for each in range(2, 6)))
            if trace == 20:
                front.store()
        front.wait(11)
        front.send(Piece(50, 9, 8, "tool"))
        front.end()
        front.loop.close()
        return {
            path.relative_to(folder): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "lock.mdb"
        }


@contextmanager
def copied(files: Mapping[Path, bytes] | None = None) -> Iterator[Path]:
    """A data directory with these files for a block, or with those of the journal as it was closed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in (closed_journal() if files is None else files).items():
            place = folder / path
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.touch(mode=0o600)
            place.write_bytes(content)
        yield folder


@cache
def rows() -> tuple[Row, ...]:
    """All rows of the journal, in order."""
    with copied() as folder, closing(_opened(folder)) as environment:
        found = []
        for name in DATABASES:
            database = environment.open_db(name.encode())
            with environment.begin() as transaction, transaction.cursor(db=database) as cursor:
                found += [Row(name, key, value) for key, value in cursor]
        return tuple(found)


def put_instead(folder: Path, row: Row, key: bytes, value: bytes) -> None:
    """Exchange a row in a data directory."""
    with closing(_opened(folder)) as environment:
        database = environment.open_db(row.database.encode())
        with environment.begin(write=True) as transaction:
            transaction.delete(row.key, db=database)
            transaction.put(key, value, db=database)


def start(folder: Path) -> None:
    """Start over a data directory as a front does, and end again. Raises JournalError."""

    async def work() -> None:
        front = Front(settings_of(folder), lambda _: None)
        try:
            await front.recover()
        finally:
            await front.stop()

    asyncio.run(work())


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder, journal_max_bytes=_MAX_BYTES)


def _opened(folder: Path) -> lmdb.Environment:
    return lmdb.open(str(folder / DATA.parent), max_dbs=16, map_size=_MAX_BYTES, lib_version=0)

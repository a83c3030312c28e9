"""The SQL of this package: every statement stands in a file of its own under `sql/`, so that it can be read and run."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Final, NamedTuple

_SQL: Final = resources.files("collector_processor.store") / "sql"


class Migration(NamedTuple):
    """One step of the schema: version and name from its file name, its SQL, and the SHA-256 of the SQL in hex."""

    version: int
    name: str
    sql: bytes
    checksum: str


@cache
def statement(name: str) -> bytes:
    """The named statement of `sql/queries`."""
    return (_SQL / "queries" / f"{name}.sql").read_bytes()


@cache
def script(name: str) -> bytes:
    """The named script of `sql`: several statements, without parameters, that may be run again."""
    return (_SQL / f"{name}.sql").read_bytes()


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration that this program knows, in order of version."""
    files = (_SQL / "migrations").iterdir()
    return tuple(sorted(_migration(file.name, file.read_bytes()) for file in files if file.name.endswith(".sql")))


def _migration(file_name: str, content: bytes) -> Migration:
    version, _, name = file_name.removesuffix(".sql").partition("_")
    # A checkout on Windows ends lines otherwise; that is no change of the schema.
    sql = content.replace(b"\r\n", b"\n")
    return Migration(int(version), name, sql, sha256(sql).hexdigest())

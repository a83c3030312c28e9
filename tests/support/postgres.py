"""A real PostgreSQL for tests: the embedded server in a folder that is thrown away, and databases on it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import psycopg

from collector_processor.store.embedded import EmbeddedServer


class Server(Protocol):
    """Any that has the embedded server's two log-ins."""

    @property
    def superuser_url(self) -> str:
        """The libpq URL of the database `postgres` for the superuser."""

    @property
    def url(self) -> str:
        """The libpq URL of the database `benchmark` for its owner."""


# Nothing in a test outlives its server, so nothing needs to reach the disk.
THROWAWAY_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}


@contextmanager
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that root's stand-in can enter too, as it can't enter pytest's `tmp_path`."""
    folder = Path(tempfile.mkdtemp(prefix="otel-benchmark-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def throwaway_hold(data_dir: Path) -> EmbeddedServer:
    """A hold, not started yet, on a server that is quick instead of safe."""
    return EmbeddedServer(data_dir, settings=THROWAWAY_SETTINGS)


@contextmanager
def throwaway_server() -> Iterator[EmbeddedServer]:
    """A server of one's own; stopped and deleted at the end."""
    with reachable_folder() as folder, throwaway_hold(folder / "postgres") as server:
        yield server


@contextmanager
def temporary_database(server: Server, *, template: str = "template1") -> Iterator[str]:
    """The URL of a new database, copied from `template`, for its owner `benchmark_owner`; dropped at the end.

    Roles belong to the server, not to the database: the next test finds those that this one created.
    """
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        # A copy of files costs half of what a copy by way of the log does.
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER benchmark_owner STRATEGY FILE_COPY")
    try:
        yield urlsplit(server.url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

"""A database server that gets into trouble while a processor uses it by a proxy, and out of it again."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
import psycopg

from collector_processor.store.embedded import EmbeddedServer
from support.embedded import server_processes
from support.proxy import Proxy
from support.small_disk import SmallDisk

MOST_BYTES: Final = 4000
"""After which a response is cut: a batch takes about so many."""
DISK_BYTES: Final = 1 << 30
"""Of the disk on which it lies, where that is one of its own."""
HALF: Final = 0.5


def port_of(server: EmbeddedServer) -> int:
    return int(psycopg.conninfo.conninfo_to_dict(server.url)["port"])


class Troubled:
    """A server of one's own in `folder`, and the proxy by which it is reached. Seed `random`, and choices repeat."""

    def __init__(self, server: EmbeddedServer, folder: Path, proxy: Proxy) -> None:
        self.server, self.folder, self.proxy = server, folder, proxy
        self.random = random.Random()
        self.kinds = [self.stopped, self.killed, self.only_reading, self.cut_off, self.stalled]

    def direct(self, database_url: str) -> str:
        """The URL by which a database is reached now without the proxy."""
        return urlsplit(self.server.url)._replace(path=urlsplit(database_url).path).geturl()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It keeps its connections open and says nothing."""
        processes = server_processes(self.folder)
        for process in processes:
            _signal(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                _signal(process, signal.SIGCONT)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """All of its processes at once; then it recovers, perhaps at another port."""
        for process in server_processes(self.folder):
            _signal(process, signal.SIGKILL)
        try:
            yield
        finally:
            self.server.start()
            self.proxy.lead_to(port_of(self.server))

    @contextmanager
    def only_reading(self) -> Iterator[None]:
        """As a standby does."""
        self._configure("SET default_transaction_read_only = on")
        try:
            yield
        finally:
            self._configure("RESET default_transaction_read_only")

    @contextmanager
    def full(self, disk: SmallDisk) -> Iterator[None]:
        """The disk that it lies on has no room, half of the times for its next log neither, which ends it."""
        disk.fill()
        if self.random.random() < HALF:
            with suppress(psycopg.Error), psycopg.connect(self.server.superuser_url, autocommit=True) as connection:
                connection.execute("SELECT pg_switch_wal()")
        try:
            yield
        finally:
            disk.resize(DISK_BYTES)
            self.server.start()
            self.proxy.lead_to(port_of(self.server))

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Every connection, in the middle of a response; new ones are refused."""
        self.proxy.refuse()
        self.proxy.cut_after(self.random.randrange(MOST_BYTES))
        try:
            yield
        finally:
            self.proxy.refuse(refusing=False)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Connections stay open and nothing goes through."""
        self.proxy.stall()
        try:
            yield
        finally:
            self.proxy.cut()
            self.proxy.flow()

    def _configure(self, change: str) -> None:
        with psycopg.connect(self.server.superuser_url, autocommit=True) as connection:
            connection.execute("SET transaction_read_only = off")
            connection.execute(f"ALTER SYSTEM {change}".encode())
            connection.execute("SELECT pg_reload_conf()")


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)

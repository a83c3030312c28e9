"""The way to a PostgreSQL: a small pool of connections, one transaction at a time, and errors told apart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from collector_processor.errors import StoreError
from collector_processor.store.statements import statement

Connection = AsyncConnection[DictRow]

_CONNECT_TIMEOUT: Final = 10
_SOON: Final = 1.0
"""Seconds after which it is looked into why there is no connection: a server that refuses does so at once."""
_READ_ONLY: Final = frozenset({"25006"})
"""A server that only reads, as after a failover: psycopg doesn't count it as operational, but it passes."""


class Database:
    """Connections to one PostgreSQL, opened when they are first needed and again after they broke.

    `url` is any libpq connection string. A worker needs one connection; `application_name` is how its backend is
    found when the worker has died (`terminate_others`). `prepare_threshold` as in psycopg: None prepares nothing,
    for servers or poolers that keep no prepared statements. `patience` is how many seconds a connection is waited for.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        connections: int = 1,
        prepare_threshold: int | None = 5,
        patience: float = 10.0,
    ) -> None:
        self._url = url
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=AsyncConnection[DictRow],
            kwargs={
                "application_name": application_name,
                "connect_timeout": _CONNECT_TIMEOUT,
                "prepare_threshold": prepare_threshold,
                "row_factory": dict_row,
            },
            min_size=0,
            max_size=connections,
            timeout=patience,
            check=AsyncConnectionPool.check_connection,
            name=application_name,
            open=False,
        )
        self._name = application_name

    async def open(self) -> None:
        """Make the pool ready. The database needn't answer yet."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def owning(self) -> AsyncIterator[Connection]:
        """One transaction as the role that logged in. Raises StoreError."""
        with translated():
            async with self._transaction() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """One transaction as `benchmark_writer`, durable once it has committed. Raises StoreError."""
        async with self.owning() as connection:
            await connection.execute(statement("begin_write"))
            yield connection

    @asynccontextmanager
    async def reading(self, *, timeout_seconds: float) -> AsyncIterator[Connection]:
        """One read-only transaction as `benchmark_reader`. Raises StoreError."""
        with translated(passing=frozenset()):
            async with self._transaction() as connection:
                await connection.execute(statement("begin_read"), {"timeout": f"{int(timeout_seconds * 1000)}ms"})
                yield connection

    async def terminate_others(self) -> int:
        """End the backends that a dead process of this name left on this database; returns how many."""
        async with self.owning() as connection:
            ended = await connection.execute(statement("end_backends"), {"application_name": self._name})
            return len(await ended.fetchall())

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        async with self._connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            connection = await self._pool.getconn(_SOON)
        except PoolTimeout:
            # The pool only knows that there is no connection; trying ourselves says why, if there can't be one.
            await (await psycopg.AsyncConnection.connect(self._url, connect_timeout=_CONNECT_TIMEOUT)).close()
            connection = await self._pool.getconn()
        try:
            yield connection
        finally:
            await self._pool.putconn(connection)


@contextmanager
def translated(passing: frozenset[str] = _READ_ONLY) -> Iterator[None]:
    """Turn psycopg's errors into StoreError, transient where the same call may succeed later.

    `passing` are SQLSTATEs that are transient beside the operational ones.
    The message is the server's first line and its code: the detail lines may quote stored values.
    """
    try:
        yield
    except psycopg.Error as error:
        operational = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        raise StoreError(describe(error), transient=operational or error.sqlstate in passing) from error


def describe(error: psycopg.Error) -> str:
    """One line for a person: what the server said, or what the client noticed, and the SQLSTATE."""
    said = error.diag.message_primary or (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"PostgreSQL: {said} ({error.sqlstate})" if error.sqlstate else f"PostgreSQL: {said}"

"""The way to a PostgreSQL: a small pool of connections, one transaction at a time, and errors told apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from collector_processor.errors import StoreError, Trouble
from collector_processor.store.faults import describe, store_error
from collector_processor.store.statements import statement

Connection = AsyncConnection[DictRow]
T = TypeVar("T")

ANSWER_SECONDS: Final = 120.0
_CONNECT_TIMEOUT: Final = 10
_SOON: Final = 1.0
"""Seconds after which it is looked into why there is no connection: a server that refuses does so at once."""
_LOCK_SECONDS: Final = 30.0
_READ_ONLY: Final = "25006"
_HURRY_SECONDS: Final = 5.0
"""How much longer than its own limit for a statement a server is waited for."""


class Database:
    """Connections to one PostgreSQL, opened when they are first needed and again after they broke.

    `url` is any libpq connection string. A worker needs one connection; `application_name` is how its backend is
    found when the worker has died (`terminate_others`). `prepare_threshold` as in psycopg: None prepares nothing,
    for servers or poolers that keep no prepared statements. `patience` is how many seconds a connection is waited for,
    `answer_seconds` how long the answer to one statement of a writing transaction: a server that is stopped keeps its
    connections open and says nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        application_name: str,
        connections: int = 1,
        prepare_threshold: int | None = 5,
        patience: float = 10.0,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._url = url
        self._answer_seconds = answer_seconds
        self._connect_timeout = max(2, min(_CONNECT_TIMEOUT, int(answer_seconds)))  # libpq takes no less
        self._pool: AsyncConnectionPool[_Guarded] = AsyncConnectionPool(
            url,
            connection_class=_Guarded,
            kwargs={
                "application_name": application_name,
                "connect_timeout": self._connect_timeout,
                "prepare_threshold": prepare_threshold,
                "row_factory": dict_row,
            },
            min_size=0,
            max_size=connections,
            timeout=patience,
            reconnect_timeout=_SOON,  # who asks next tries anew, instead of waiting for a pause that has grown
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
            async with self._transaction(self._answer_seconds) as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """One transaction as `benchmark_writer`, durable once it has committed. Raises StoreError."""
        async with self.owning() as connection:
            limits = {"statement": _ms(self._answer_seconds), "lock": _ms(min(self._answer_seconds, _LOCK_SECONDS))}
            await connection.execute(statement("begin_write"), limits)
            yield connection

    @asynccontextmanager
    async def reading(self, *, timeout_seconds: float) -> AsyncIterator[Connection]:
        """One read-only transaction as `benchmark_reader`. Raises StoreError."""
        with translated(reading=True):
            async with self._transaction(timeout_seconds) as connection:
                await connection.execute(statement("begin_read"), {"timeout": _ms(timeout_seconds)})
                yield connection

    async def terminate_others(self) -> int:
        """End the backends that a dead process of this name left on this database; returns how many."""
        async with self.owning() as connection:
            ended = await connection.execute(statement("end_backends"), {"application_name": self._name})
            return len(await ended.fetchall())

    @asynccontextmanager
    async def _transaction(self, answer_seconds: float) -> AsyncIterator[Connection]:
        async with self._connection() as connection:
            connection.silence = answer_seconds + min(answer_seconds, _HURRY_SECONDS)
            async with connection.transaction():
                yield connection

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Guarded]:
        try:
            connection = await self._pool.getconn(_SOON)
        except PoolTimeout:
            # The pool only knows that there is no connection; trying ourselves says why, if there can't be one.
            await (await psycopg.AsyncConnection.connect(self._url, connect_timeout=self._connect_timeout)).close()
            connection = await self._pool.getconn()
        try:
            yield connection
        finally:
            await self._pool.putconn(connection)


class _Guarded(AsyncConnection[DictRow]):
    """A connection whose server has `silence` seconds for each answer; then it is closed."""

    silence = _CONNECT_TIMEOUT + _HURRY_SECONDS

    async def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """As psycopg has it, through which all that is awaited of a server goes."""
        try:
            async with asyncio.timeout(self.silence):
                return await super().wait(gen, *args, **kwargs)
        except TimeoutError:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server has not answered for {self.silence:g} s") from None


def _ms(seconds: float) -> str:
    return f"{int(seconds * 1000)}ms"


@contextmanager
def translated(*, reading: bool = False) -> Iterator[None]:
    """Turn psycopg's errors into StoreError, which says whether the same call may succeed later.

    Who is `reading` and is refused to write was wrong himself.
    """
    try:
        yield
    except psycopg.Error as error:
        if reading and error.sqlstate == _READ_ONLY:
            raise StoreError(describe(error), trouble=Trouble.SETUP) from error
        raise store_error(error) from error

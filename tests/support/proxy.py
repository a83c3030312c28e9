"""A TCP proxy between a processor and its database, whose connections tests cut, stall or refuse."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Forwards connections to a port on this machine, in a thread of its own.

    Attributes:
        port: where it listens on 127.0.0.1.
        forwarded: bytes that went from the server to its clients.
    """

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._refusing = False
        self._cut_at: int | None = None
        self.port = 0
        self.forwarded = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.flow()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, database_url: str) -> str:
        """The URL of the same database by this way."""
        parts = urlsplit(database_url)
        return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self.port}").geturl()

    def lead_to(self, target_port: int) -> None:
        """Forward new connections to another port."""
        self._do(lambda: setattr(self, "_target", target_port))

    # -- Trouble ---------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """End every connection in the middle of whatever it is at."""
        self._do(self._cut)

    def cut_after(self, size: int) -> None:
        """End every connection in the middle of the response that brings so many more bytes."""
        self._do(lambda: setattr(self, "_cut_at", self.forwarded + size))

    def refuse(self, refusing: bool = True) -> None:
        """End new connections at once."""
        self._do(lambda: setattr(self, "_refusing", refusing))

    def stall(self) -> None:
        """Let nothing through in either direction, with connections left open."""
        self._do(self._flowing.clear)

    def flow(self) -> None:
        """Let everything through again."""
        self._do(self._flowing.set)

    # -- Forwarding ------------------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, server_writer}
        for source, target, counted in ((reader, server_writer, False), (server_reader, writer, True)):
            task = asyncio.ensure_future(self._pump(source, target, counted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, counted: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(1 << 12):
                await self._flowing.wait()
                if counted:
                    self.forwarded += len(data)
                    if self._cut_at is not None and self.forwarded >= self._cut_at:
                        self._cut_at = None
                        target.write(data[: len(data) // 2])
                        self._cut()
                        return
                target.write(data)
                await target.drain()
        target.close()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _close(self) -> None:
        self._server.close()
        self._flowing.set()
        self._cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _do(self, work) -> None:
        async def done() -> None:
            work()

        self._call(done())

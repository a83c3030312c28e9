"""One worker process as the front sees it: started, asked, and ended whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from collector_processor.app.child import spawn
from collector_processor.app.protocol import Begin, Failed, Reply, Request, Up, decode_reply, frame, read_frame


class StartError(Exception):
    """A worker says why it can't work."""


class WorkerProcess:
    """Answers one request after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests = process.stdin
        self._replies = process.stdout

    async def ask(self, request: Request) -> Reply:
        """Raises EOFError or ConnectionError where the process ends instead of answering."""
        self._requests.write(frame(request))
        await self._requests.drain()
        return await self._reply()

    async def begin(self, begin: Begin) -> None:
        """Come back when it is up. Raises StartError, EOFError or ConnectionError."""
        self._requests.write(frame(begin))
        reply = await self._reply()
        if not isinstance(reply, Up):
            raise StartError(reply.error if isinstance(reply, Failed) else repr(reply))

    async def _reply(self) -> Reply:
        return decode_reply(await read_frame(self._replies))


@asynccontextmanager
async def started(begin: Begin) -> AsyncIterator[WorkerProcess]:
    """A process that is up, for as long as the block takes. Raises as `WorkerProcess.begin`."""
    process = await spawn("collector_processor.app.storing.worker")
    worker = WorkerProcess(process)
    try:
        await worker.begin(begin)
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

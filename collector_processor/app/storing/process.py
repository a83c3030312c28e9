"""One worker process as the front sees it: started, asked, and ended whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from collector_processor.app.child import spawn
from collector_processor.app.protocol import Begin, Failed, Reply, Request, Up, decode_reply, frame, read_frame

START_SECONDS: Final = 60.0
"""How long a process may take to be up; less than two as a rule."""
_ENDED: Final = "a worker process ended unexpectedly"


class StartError(Exception):
    """A worker says why it can't work."""


class EndedError(Exception):
    """A worker gives no answer: it has ended, or has to be."""


class WorkerProcess:
    """Answers one request after the other, each within so many seconds of patience."""

    def __init__(self, process: asyncio.subprocess.Process, patience: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests = process.stdin
        self._replies = process.stdout
        self._patience = patience

    async def ask(self, request: Request) -> Reply:
        """Raises EndedError where it doesn't answer."""
        try:
            return await self._exchange(request, self._patience)
        except TimeoutError:
            raise EndedError(f"a worker process took longer than {self._patience:g} s, and was ended") from None

    async def begin(self, begin: Begin) -> None:
        """Come back when it is up. Raises StartError, EndedError."""
        try:
            reply = await self._exchange(begin, START_SECONDS)
        except TimeoutError:
            raise StartError(f"a worker process was not up within {START_SECONDS:g} s") from None
        if not isinstance(reply, Up):
            raise StartError(reply.error if isinstance(reply, Failed) else repr(reply))

    async def _exchange(self, message: Begin | Request, seconds: float) -> Reply:
        if self._requests.is_closing():  # uvloop raises a RuntimeError where it is written to
            raise EndedError(_ENDED)
        try:
            async with asyncio.timeout(seconds):
                self._requests.write(frame(message))
                await self._requests.drain()
                return decode_reply(await read_frame(self._replies))
        except (EOFError, ConnectionError):
            raise EndedError(_ENDED) from None


@asynccontextmanager
async def started(begin: Begin) -> AsyncIterator[WorkerProcess]:
    """A process that is up, for as long as the block takes. Raises as `WorkerProcess.begin`."""
    process = await spawn("collector_processor.app.storing.worker")
    worker = WorkerProcess(process, begin.patience)
    try:
        await worker.begin(begin)
        yield worker
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

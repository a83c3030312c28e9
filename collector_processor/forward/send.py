"""Bring pieces to a backend: joined to requests, one at a time, again after a pause where that may help.

Memory is bounded by the room that pieces claim: while the backend is away they wait, in order, until it is used up;
then new ones are dropped. A piece may be sent twice where an answer was lost, as OTLP has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from typing import Final

from collector_processor.errors import ForwardError
from collector_processor.forward.otlp import Exporter
from collector_processor.forward.prepare import Piece
from collector_processor.forward.tally import Drop, Room, Tally
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

REQUEST_BYTES: Final = 1 << 20
"""A request of several pieces is no larger; what a backend takes is 4 MiB unless told otherwise."""
FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 30.0
"""Between tries of one request; each pause is twice the one before, give or take a third."""
GIVE_UP_SECONDS: Final = 600.0
"""One request that is never taken doesn't keep back the others for longer."""


class Sender:
    """Sends until it is cancelled or has finished.

    Attributes:
        problem: why the backend takes nothing right now; None while it does.
    """

    def __init__(self, exporter: Exporter, room: Room, tally: Tally, first_pause: float = FIRST_PAUSE) -> None:
        self._exporter = exporter
        self._room = room
        self._tally = tally
        self._first_pause = first_pause
        self._waiting: deque[Piece] = deque()
        self._request: list[Piece] = []
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._finishing = asyncio.Event()
        self.problem: str | None = None

    def add(self, piece: Piece) -> None:
        """Queue a piece, or drop it where there is no room."""
        if not self._room.take(len(piece.body)):
            self._tally.drop(Drop.NO_ROOM, piece.spans)
            return
        self._waiting.append(piece)
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Send what is queued, for ever."""
        while True:
            await self._news.wait()
            while self._waiting:
                self._request = self._next_request()
                await self._send(self._request)
                self._room.give_back(sum(len(piece.body) for piece in self._request))
                self._request = []
            self._news.clear()
            self._idle.set()

    async def finish(self, seconds: float) -> None:
        """Send what is queued within that time, each request tried once; count the rest as dropped. The last call."""
        self._finishing.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        self._tally.drop(Drop.UNREACHABLE, sum(piece.spans for piece in (*self._request, *self._waiting)))

    def _next_request(self) -> list[Piece]:
        request = [self._waiting.popleft()]
        size = len(request[0].body)
        while self._waiting and size + len(self._waiting[0].body) <= REQUEST_BYTES:
            size += len(self._waiting[0].body)
            request.append(self._waiting.popleft())
        return request

    async def _send(self, request: list[Piece]) -> None:
        """Send one request until it is taken, refused for good, or given up."""
        body = b"".join(piece.body for piece in request)
        spans = sum(piece.spans for piece in request)
        pause = self._first_pause
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                answer = await self._exporter.export(body)
            except ForwardError as error:
                self._tell(str(error))
                if not error.transient:
                    self._tally.drop(Drop.REFUSED, spans)
                    return
                left = deadline - time.monotonic()
                if self._finishing.is_set() or left <= 0:
                    self._tally.drop(Drop.UNREACHABLE, spans)
                    return
                wait = error.retry_after if error.retry_after is not None else pause
                # A backend's own time is a lower bound, so that only more is added to it.
                wait *= random.uniform(1.0, 1.3) if error.retry_after is not None else random.uniform(0.7, 1.3)  # noqa: S311 - spreads senders, guards nothing
                # One that asks for more than we have isn't sent the next request at once in place of this one.
                wait = min(wait, left)
                pause = min(pause * 2, LAST_PAUSE)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._finishing.wait(), wait)
            except Exception as error:
                log.exception("forward: a request failed")
                self._tell(repr(error))
                self._tally.drop(Drop.REFUSED, spans)
                return
            else:
                self._tally.drop(Drop.REJECTED, min(answer.rejected, spans))
                self._tally.sent += spans - min(answer.rejected, spans)
                self.problem = f"spans were rejected: {answer.message}" if answer.rejected else None
                return

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("forward: the backend has not taken a request", problem=problem)
        self.problem = problem

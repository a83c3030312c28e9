"""Bring pieces to a backend: joined to requests, one at a time, again after a pause where that may help.

Memory is bounded by the room that pieces claim: while the backend is away they wait, in order, until it is used up;
then new ones are dropped. A piece may be sent twice where an answer was lost, as OTLP has it. What has waited is sent
only if its records are still shown: meanwhile they may have been erased.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
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
FRESH_SECONDS: Final = 1.0
"""So long after its records were looked at a piece is sent without another look."""

Shown = Callable[[Sequence[Piece]], Awaitable[list[Piece]]]
"""Those of some pieces that may still be sent. Raises ForwardError where nobody can tell now."""


class Sender:
    """Sends until it is cancelled or has finished.

    Args:
        exporter: how the backend is reached.
        room: what may wait.
        tally: of what became of spans.
        shown: asked about pieces that have waited.
        first_pause: in seconds.

    Attributes:
        problem: why the backend takes nothing right now; None while it does.
    """

    def __init__(
        self, exporter: Exporter, room: Room, tally: Tally, shown: Shown, first_pause: float = FIRST_PAUSE
    ) -> None:
        self._exporter = exporter
        self._shown = shown
        self._room = room
        self._tally = tally
        self._first_pause = first_pause
        self._waiting: deque[tuple[float, Piece]] = deque()
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
        self._waiting.append((time.monotonic(), piece))
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Send what is queued, for ever."""
        while True:
            await self._news.wait()
            while self._waiting:
                looked_at, _ = self._waiting[0]
                self._request = self._next_request()
                await self._send(looked_at)
                self._room.give_back(_size(self._request))
                self._request = []
            self._news.clear()
            self._idle.set()

    async def finish(self, seconds: float) -> None:
        """Send what is queued within that time, each request tried once; count the rest as dropped. The last call."""
        self._finishing.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        self._tally.drop(Drop.UNREACHABLE, _spans(self._request) + sum(piece.spans for _, piece in self._waiting))

    def _next_request(self) -> list[Piece]:
        request: list[Piece] = []
        size = 0
        while self._waiting and (not request or size + len(self._waiting[0][1].body) <= REQUEST_BYTES):
            _, piece = self._waiting.popleft()
            size += len(piece.body)
            request.append(piece)
        return request

    async def _withdraw(self) -> None:
        """Take out of the request what is shown no more. Raises ForwardError."""
        before, self._request = self._request, await self._shown(self._request)
        self._room.give_back(_size(before) - _size(self._request))
        self._tally.drop(Drop.NOT_SHOWN, _spans(before) - _spans(self._request))

    async def _send(self, looked_at: float) -> None:
        """Send the request until it is taken, refused for good, or given up. `looked_at`: when its records were."""
        pause = self._first_pause
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while True:
            spans = _spans(self._request)
            try:
                if time.monotonic() - looked_at > FRESH_SECONDS:
                    await self._withdraw()
                    looked_at = time.monotonic()
                    spans = _spans(self._request)
                    if not spans:
                        return
                answer = await self._exporter.export(b"".join(piece.body for piece in self._request))
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


def _size(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.body) for piece in pieces)


def _spans(pieces: Sequence[Piece]) -> int:
    return sum(piece.spans for piece in pieces)

"""What was asked of models in the last hour, kept in the journal: a restart gives nobody a new hour to spend."""

from __future__ import annotations

from typing import Final

import msgspec

from collector_processor.analyse.pool import Booked
from collector_processor.app.journalling.running import Run
from collector_processor.model.sampling import Facet
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

_NOTE: Final = "requests"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[Facet, dict[int, int]]).decode


class Requests:
    """One per journal: numbers, nothing of a task.

    Args:
        run: of the front.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    async def recall(self) -> Booked:
        """What was kept. Raises JournalError."""
        stored = await self._run(lambda transaction: transaction.recall(_NOTE))
        try:
            return {} if stored is None else _decode(stored)
        except msgspec.DecodeError as error:
            log.critical("analysis: the hour's requests are counted anew", problem=str(error))
            return {}

    async def keep(self, booked: Booked) -> None:
        """Returns when it is durable. Raises JournalError."""
        note = _encode(booked)
        await self._run(lambda transaction: transaction.note(_NOTE, note))

"""Share the journal among services, so that one that sends without end leaves room for the others.

A service may hold `SERVICE_SHARE` of what others leave it: one alone gets that much of the journal, two that send all
they can get equal parts, and there is always room for who comes next. Used in the journal's commit thread alone.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from collector_processor.app.journalling.ledger import Ledger, Service
from collector_processor.assemble.messages import RawTraces
from collector_processor.convert.source import describe
from collector_processor.errors import DamagedEntryError, JournalFullError
from collector_processor.journal.shedding import Left
from collector_processor.journal.transaction import Transaction
from collector_processor.model.otlp import Origin
from collector_processor.model.stages import Fragment, Stored

RECOUNT_SECONDS: Final = 0.02
"""For so long each tick reads fragments that were found at the start, to know whose they are: requests go on."""
NEARLY: Final = 0.8
"""Part of its share from which on a service is told to be near its end."""


class Shares:
    """Payloads in the journal by service, that of a fragment's first span, which is nearly always of all.

    In bytes, and in spans, which share `MAX_OPEN_SPANS`: those of fragments that have one open span or more, or one
    that is sealed, so they only count where many are open.

    Args:
        max_bytes: of the journal.
        share: `SERVICE_SHARE`; 1 is no limit.
        max_spans: that may be open.
    """

    def __init__(self, max_bytes: int, share: float, max_spans: int) -> None:
        self._max_bytes = max_bytes
        self._share = share
        self._max_spans = max_spans
        self._ledger = Ledger()
        self._coming: Counter[Service] = Counter()
        self._coming_in: Transaction | None = None
        self._unknown_from, self._unknown_to = 0, -1

    def check(self, transaction: Transaction, fragments: Iterable[Fragment], limit: int) -> None:
        """Refuse a request whose service holds its share already; `limit` are the bytes that it may fill up to.

        Raises:
            JournalFullError: it does; nothing has changed.
        """
        if self._coming_in is not transaction:
            self._coming, self._coming_in = Counter(), transaction
        sizes: Counter[Service] = Counter()
        for fragment in fragments:
            sizes[_service(fragment.resource)] += len(fragment.payload)
        used = transaction.filled
        for service, size in sizes.items() if self._share < 1 else ():
            held = self._ledger.bytes[service] + self._coming[service]
            room = self._room(held, used, limit)
            if held + size > room:
                raise JournalFullError(
                    f"{service} holds {held} bytes of the journal, and its share is {room} now (SERVICE_SHARE): "
                    "come back"
                )
            self._check_spans(service, transaction.counters.open, limit / self._max_bytes)
        self._coming += sizes

    def _check_spans(self, service: Service, open_spans: int, part: float) -> None:
        held, limit = self._ledger.spans[service], int(self._max_spans * part)
        room = self._room(held, open_spans, limit)
        if open_spans > self._share * limit and held > room:
            raise JournalFullError(
                f"{service} has {held} spans in the journal, and its share of those that may be open is {room} now "
                "(SERVICE_SHARE of MAX_OPEN_SPANS): come back"
            )

    def _room(self, held: int, used: int, limit: int) -> int:
        return int(self._share * (limit - max(0, used - held)))

    def note(self, stored: Stored, fragment: Fragment) -> None:
        """A fragment is in the journal."""
        self._ledger.enter(stored.sequence, _service(fragment.resource), len(fragment.payload), stored.spans)

    def gone(self, sequences: Sequence[int]) -> None:
        """These fragments have left it."""
        for sequence in sequences:
            self._ledger.leave(sequence)

    def shrunk(self, left: Mapping[int, Left]) -> None:
        """These fragments have so much left."""
        for sequence, now in left.items():
            if (entered := self._ledger.leave(sequence)) is not None:
                self._ledger.enter(sequence, entered.service, now.bytes, now.spans)

    def sizes(self, services: Collection[object] | None = None) -> Callable[[int], int]:
        """Bytes of a fragment by its sequence; 0 of one that none of these services sent, 1 where nobody knows yet."""

        def size_of(sequence: int) -> int:
            entered = self._ledger.get(sequence)
            if services is None:
                return entered.bytes if entered else 1
            return entered.bytes if entered and entered.service in services else 0

        return size_of

    def over(self, mark: float, to: float, used: int, limit: int) -> dict[Service, int]:
        """Services that hold more than this part of their share, and what they hold above the part `to` of it."""
        rooms = {service: self._room(held, used, limit) for service, held in self._ledger.bytes.items()}
        return {
            service: int(self._ledger.bytes[service] - to * room)
            for service, room in rooms.items()
            if self._share < 1 and self._ledger.bytes[service] > mark * room
        }

    def over_spans(self, mark: float, to: float, open_spans: int, limit: int) -> dict[Service, int]:
        """The same of their share of the spans that may be open."""
        if self._share >= 1 or open_spans <= mark * self._share * limit:
            return {}
        rooms = {service: self._room(held, open_spans, limit) for service, held in self._ledger.spans.items()}
        return {
            service: int(self._ledger.spans[service] - to * room)
            for service, room in rooms.items()
            if self._ledger.spans[service] > mark * room
        }

    def found(self, last: int) -> None:
        """Fragments up to this sequence may be there from before the start; whose they are is read tick by tick."""
        self._unknown_from, self._unknown_to = 0, last

    def recount(self, transaction: Transaction) -> None:
        """Read whose some of these are."""
        if self._unknown_from > self._unknown_to:
            return
        until = time.perf_counter() + RECOUNT_SECONDS
        for stored in transaction.fragments(self._unknown_from):
            if stored.sequence > self._unknown_to:
                break
            with contextlib.suppress(DamagedEntryError):  # nobody can say whose it is
                payload = transaction.payload(stored.sequence)
                resources = RawTraces.FromString(payload).resource_spans
                service = _service(b"".join(resources[0].resource) if resources else b"")
                self._ledger.enter(stored.sequence, service, len(payload), stored.spans)
            self._unknown_from = stored.sequence + 1
            if time.perf_counter() > until:
                return
        self._unknown_from = self._unknown_to + 1

    def crowded(self, used: int) -> int:
        """How many services hold nearly all of their share."""
        if self._share >= 1:
            return 0
        return sum(held > NEARLY * self._room(held, used, self._max_bytes) for held in [*self._ledger.bytes.values()])


@lru_cache(maxsize=1024)
def _service(resource: bytes) -> Service:
    source = describe(Origin(resource, b"")).source
    return Service(source.service_namespace, source.service_name)

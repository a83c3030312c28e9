"""Share the journal among services, so that one that sends without end leaves room for the others.

A service may hold `SERVICE_SHARE` of what others leave it: one alone gets that much of the journal, two that send all
they can get equal parts, and there is always room for who comes next. Used in the journal's commit thread alone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from collector_processor.assemble.messages import RawTraces
from collector_processor.convert.source import describe
from collector_processor.errors import DamagedEntryError, JournalFullError
from collector_processor.journal.shedding import Left
from collector_processor.journal.transaction import Transaction
from collector_processor.model.otlp import Origin
from collector_processor.model.stages import Fragment, Stored

RECOUNTED: Final = 200
"""Fragments found at the start that one commit reads, to know whose they are: requests go on meanwhile."""
NEARLY: Final = 0.8
"""Part of its share from which on a service is told to be near its end."""


class Service(NamedTuple):
    """Namespace and name, as its resource says; None where it says none."""

    namespace: str | None
    name: str | None

    def __str__(self) -> str:
        return "/".join(part for part in self if part) or "an unnamed service"


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
        self._held: Counter[Service] = Counter()
        self._spans: Counter[Service] = Counter()
        self._fragments: dict[int, tuple[Service, int, int]] = {}
        self._coming: Counter[Service] = Counter()
        self._coming_in: Transaction | None = None
        self._unknown: deque[tuple[int, int]] = deque()

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
        used = transaction.used_bytes()
        for service, size in sizes.items() if self._share < 1 else ():
            held = self._held[service] + self._coming[service]
            room = self._room(held, used, limit)
            if held + size > room:
                raise JournalFullError(
                    f"{service} holds {held} bytes of the journal, and its share is {room} now (SERVICE_SHARE): "
                    "come back"
                )
            self._check_spans(service, transaction.counters.open, limit / self._max_bytes)
        self._coming += sizes

    def _check_spans(self, service: Service, open_spans: int, part: float) -> None:
        held, limit = self._spans[service], int(self._max_spans * part)
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
        self._enter(stored.sequence, _service(fragment.resource), len(fragment.payload), stored.spans)

    def gone(self, sequences: Sequence[int]) -> None:
        """These fragments have left it."""
        for sequence in sequences:
            known = self._fragments.pop(sequence, None)
            if known is not None:
                service, size, spans = known
                self._held[service] -= size
                self._spans[service] -= spans
                if not self._spans[service]:
                    del self._held[service], self._spans[service]

    def shrunk(self, left: Mapping[int, Left]) -> None:
        """These fragments have so much left."""
        for sequence, now in left.items():
            if (known := self._fragments.get(sequence)) is not None:
                service, size, spans = known
                self._held[service] -= size - now.bytes
                self._spans[service] -= spans - now.spans
                self._fragments[sequence] = service, now.bytes, now.spans

    def sizes(self, services: Collection[object] | None = None) -> Callable[[int], int]:
        """Bytes of a fragment by its sequence; 0 of one that none of these services sent, 1 where nobody knows yet."""

        def size_of(sequence: int) -> int:
            service, size, _ = self._fragments.get(sequence, (None, 1, 0))
            return size if services is None or service in services else 0

        return size_of

    def over(self, mark: float, to: float, used: int, limit: int) -> dict[Service, int]:
        """Services that hold more than this part of their share, and what they hold above the part `to` of it."""
        rooms = {service: self._room(held, used, limit) for service, held in self._held.items()}
        return {
            service: int(self._held[service] - to * room)
            for service, room in rooms.items()
            if self._share < 1 and self._held[service] > mark * room
        }

    def over_spans(self, mark: float, to: float, open_spans: int, limit: int) -> dict[Service, int]:
        """The same of their share of the spans that may be open."""
        if self._share >= 1 or open_spans <= mark * self._share * limit:
            return {}
        rooms = {service: self._room(held, open_spans, limit) for service, held in self._spans.items()}
        return {
            service: int(self._spans[service] - to * room)
            for service, room in rooms.items()
            if self._spans[service] > mark * room
        }

    def found(self, stored: Stored) -> None:
        """A fragment was there at the start; whose it is, is read later."""
        self._unknown.append((stored.sequence, stored.spans))

    def recount(self, transaction: Transaction) -> None:
        """Read whose some of these are."""
        for _ in range(min(RECOUNTED, len(self._unknown))):
            sequence, spans = self._unknown.popleft()
            try:
                payload = transaction.payload(sequence)
            except DamagedEntryError:
                continue  # it has left meanwhile, or nobody can say whose it is
            resources = RawTraces.FromString(payload).resource_spans
            service = _service(b"".join(resources[0].resource) if resources else b"")
            self._enter(sequence, service, len(payload), spans)

    def _enter(self, sequence: int, service: Service, size: int, spans: int) -> None:
        self._fragments[sequence] = (service, size, spans)
        self._held[service] += size
        self._spans[service] += spans

    def crowded(self, used: int) -> int:
        """How many services hold nearly all of their share."""
        if self._share >= 1:
            return 0
        return sum(held > NEARLY * self._room(held, used, self._max_bytes) for held in [*self._held.values()])


@lru_cache(maxsize=1024)
def _service(resource: bytes) -> Service:
    source = describe(Origin(resource, b"")).source
    return Service(source.service_namespace, source.service_name)

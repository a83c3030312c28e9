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
    """Bytes of payloads in the journal, by service: that of a fragment's first span, which is nearly always of all.

    Args:
        max_bytes: of the journal.
        share: `SERVICE_SHARE`; 1 is no limit.
    """

    def __init__(self, max_bytes: int, share: float) -> None:
        self._max_bytes = max_bytes
        self._share = share
        self._held: Counter[Service] = Counter()
        self._fragments: dict[int, tuple[Service, int]] = {}
        self._coming: Counter[Service] = Counter()
        self._coming_in: Transaction | None = None
        self._unknown: deque[int] = deque()

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
        self._coming += sizes

    def _room(self, held: int, used: int, limit: int) -> int:
        return int(self._share * (limit - max(0, used - held)))

    def note(self, stored: Stored, fragment: Fragment) -> None:
        """A fragment is in the journal."""
        self._enter(stored.sequence, _service(fragment.resource), len(fragment.payload))

    def gone(self, sequences: Sequence[int]) -> None:
        """These fragments have left it."""
        for sequence in sequences:
            known = self._fragments.pop(sequence, None)
            if known is not None:
                self._held[known[0]] -= known[1]
                if not self._held[known[0]]:
                    del self._held[known[0]]

    def shrunk(self, left: Mapping[int, int]) -> None:
        """These fragments have so many bytes of payload left."""
        for sequence, size in left.items():
            if (known := self._fragments.get(sequence)) is not None:
                self._held[known[0]] -= known[1] - size
                self._fragments[sequence] = known[0], size

    def sizes(self, services: Collection[object] | None = None) -> Callable[[int], int]:
        """Bytes of a fragment by its sequence; 0 of one that none of these services sent, or whose it isn't known."""

        def size_of(sequence: int) -> int:
            service, size = self._fragments.get(sequence, (None, 0))
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

    def found(self, stored: Stored) -> None:
        """A fragment was there at the start; whose it is, is read later."""
        self._unknown.append(stored.sequence)

    def recount(self, transaction: Transaction) -> None:
        """Read whose some of these are."""
        for _ in range(min(RECOUNTED, len(self._unknown))):
            sequence = self._unknown.popleft()
            try:
                payload = transaction.payload(sequence)
            except DamagedEntryError:
                continue  # it has left meanwhile, or nobody can say whose it is
            resources = RawTraces.FromString(payload).resource_spans
            self._enter(sequence, _service(b"".join(resources[0].resource) if resources else b""), len(payload))

    def _enter(self, sequence: int, service: Service, size: int) -> None:
        self._fragments[sequence] = (service, size)
        self._held[service] += size

    def crowded(self, used: int) -> int:
        """How many services hold nearly all of their share."""
        if self._share >= 1:
            return 0
        return sum(held > NEARLY * self._room(held, used, self._max_bytes) for held in [*self._held.values()])


@lru_cache(maxsize=1024)
def _service(resource: bytes) -> Service:
    source = describe(Origin(resource, b"")).source
    return Service(source.service_namespace, source.service_name)

"""Who holds what of the journal: bytes and spans by service, and what of it each fragment is.

A fragment takes eight bytes here, packed; as objects it would take two hundred, a quarter of all that an open task of
eight spans costs. Used in the journal's commit thread alone.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Final, NamedTuple

_PAGE: Final = 64
"""Fragments of neighbouring sequences that stand together; the place behind them counts those that are there."""
_SIZE_BITS: Final = 26
_SPAN_BITS: Final = 14
_MOST_BYTES: Final = (1 << _SIZE_BITS) - 1
"""A larger fragment, which is one of a single span, counts as this: 64 MiB."""
_MOST_SPANS: Final = (1 << _SPAN_BITS) - 1


class Service(NamedTuple):
    """Namespace and name, as its resource says; None where it says none."""

    namespace: str | None
    name: str | None

    def __str__(self) -> str:
        return "/".join(part for part in self if part) or "an unnamed service"


class Entered(NamedTuple):
    """What a fragment counts for."""

    service: Service
    bytes: int
    spans: int


class Ledger:
    """Fragments by sequence.

    Attributes:
        bytes: of each service; one that holds nothing is none here.
        spans: likewise.
    """

    def __init__(self) -> None:
        self.bytes: Counter[Service] = Counter()
        self.spans: Counter[Service] = Counter()
        self._pages: dict[int, array[int]] = {}
        self._services: list[Service] = []
        self._numbers: dict[Service, int] = {}
        self._free: list[int] = []

    def enter(self, sequence: int, service: Service, size: int, spans: int) -> None:
        """A fragment of one span or more; one that is there already is left before."""
        size, spans = min(size, _MOST_BYTES), min(spans, _MOST_SPANS)
        page = self._pages.get(sequence // _PAGE)
        if page is None:
            page = self._pages[sequence // _PAGE] = array("Q", bytes(8 * (_PAGE + 1)))
        number = self._numbers.get(service)
        if number is None:
            number = self._number(service)
        page[sequence % _PAGE] = (number << _SIZE_BITS | size) << _SPAN_BITS | spans
        page[_PAGE] += 1
        self.bytes[service] += size
        self.spans[service] += spans

    def _number(self, service: Service) -> int:
        if self._free:
            number = self._free.pop()
            self._services[number] = service
        else:
            number = len(self._services)
            self._services.append(service)
        self._numbers[service] = number
        return number

    def get(self, sequence: int) -> Entered | None:
        """What a fragment counts for; None where nobody knows."""
        page = self._pages.get(sequence // _PAGE)
        packed = page[sequence % _PAGE] if page is not None else 0
        if not packed:
            return None
        number = packed >> _SPAN_BITS + _SIZE_BITS
        return Entered(self._services[number], packed >> _SPAN_BITS & _MOST_BYTES, packed & _MOST_SPANS)

    def leave(self, sequence: int) -> Entered | None:
        """A fragment has gone; returns what it counted for."""
        entered = self.get(sequence)
        if entered is not None:
            page = self._pages[sequence // _PAGE]
            page[sequence % _PAGE] = 0
            page[_PAGE] -= 1
            if not page[_PAGE]:
                del self._pages[sequence // _PAGE]
            service, size, spans = entered
            self.bytes[service] -= size
            self.spans[service] -= spans
            if not self.spans[service]:
                del self.bytes[service], self.spans[service]
                self._free.append(self._numbers.pop(service))
        return entered

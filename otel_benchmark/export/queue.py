"""The spans that wait to be sent: bounded in bytes, lifecycle spans before foreign ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from otel_benchmark.attributes import SCOPE_NAME, Kind
from otel_benchmark.export.drops import Drops, Reason, Sort

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

BATCH_SPANS: Final = 512
BATCH_BYTES: Final = 4 << 20
"""What one request may hold, estimated as below: in protobuf that is about 1 MiB of usual spans."""

_TOGETHER: Final = 64
"""So many ended spans are sorted and estimated in one go, which costs a third less than each at its end."""

_WORDS: Final = frozenset(kind.value for kind in Kind)
_SPAN_BYTES, _EVENT_BYTES, _LINK_BYTES, _ATTRIBUTE_BYTES, _ITEM_BYTES, _TUPLE_BYTES = 2700, 500, 600, 145, 45, 56
_LONG: Final = 200
_SMALL: Final = frozenset({bool, int, float, type(None)})

Waiting: TypeAlias = "tuple[ReadableSpan, Sort, int]"
"""A span in the queue, with the bytes of memory that it is estimated to take: no class, which would take longer."""


class SpanQueue:
    """Takes ended spans in from any thread, and gives them out in batches.

    When it is full a lifecycle span takes the place of the oldest foreign ones; a foreign span is dropped, and a
    lifecycle span only where lifecycle spans alone fill the queue. A batch that was taken counts until `done`. Beside
    all that stand at most 63 spans that have just ended, of whatever size.
    """

    def __init__(self, capacity: int, drops: Drops) -> None:
        self.capacity = capacity
        self.bytes = 0
        self._drops = drops
        self._ended: deque[ReadableSpan] = deque()
        self._lifecycle: deque[Waiting] = deque()
        self._foreign: deque[Waiting] = deque()
        self._foreign_bytes = 0
        # Reentrant, since any line may start the garbage collector, which may end a span of an abandoned generator.
        self._lock = threading.RLock()

    def __len__(self) -> int:
        with self._lock:  # one that is just given its place is nowhere
            return len(self._ended) + len(self._lifecycle) + len(self._foreign)

    def put(self, span: ReadableSpan) -> bool:
        """Take a span in; True if a whole batch waits, which is looked at when 64 have ended."""
        self._ended.append(span)
        if len(self._ended) < _TOGETHER:
            return False
        self.settle()
        return len(self) >= BATCH_SPANS

    def settle(self) -> None:
        """Give those that have ended a place each, or count what is dropped instead."""
        with self._lock:
            while self._ended:
                span = self._ended.popleft()
                try:
                    sort, size = sort_of(span), estimate(span)
                except Exception as error:  # noqa: BLE001 - a host's own kind of span must not end who sends others
                    self._drops.add(Reason.REFUSED, Sort.FOREIGN, detail=repr(error))
                    continue
                if size > self.capacity - self.bytes and not self._make_room(sort, size):
                    continue
                self.bytes += size
                if sort is Sort.LIFECYCLE:
                    self._lifecycle.append((span, sort, size))
                else:
                    self._foreign.append((span, sort, size))
                    self._foreign_bytes += size

    def _make_room(self, sort: Sort, size: int) -> bool:
        room = self.capacity - self.bytes
        if sort is Sort.FOREIGN or size > room + self._foreign_bytes:
            self._drops.add(Reason.QUEUE_FULL, sort)
            return False
        while self._foreign and self.bytes + size > self.capacity:
            _, _, freed = self._foreign.popleft()
            self.bytes -= freed
            self._foreign_bytes -= freed
            self._drops.add(Reason.QUEUE_FULL, Sort.FOREIGN)
        return True

    def take(self) -> list[Waiting]:
        """Return the next batch, at least one span where any waits; end it by `done` or `put_back`."""
        batch: list[Waiting] = []
        total = 0
        with self._lock:
            self.settle()
            while len(batch) < BATCH_SPANS and (source := self._lifecycle or self._foreign):
                _, sort, size = waiting = source[0]
                total += size
                if batch and total > BATCH_BYTES:
                    break
                source.popleft()
                if sort is Sort.FOREIGN:
                    self._foreign_bytes -= size
                batch.append(waiting)
        return batch

    def done(self, batch: Sequence[Waiting]) -> None:
        """Free the room of a batch that was taken."""
        freed = sum([size for _, _, size in batch])
        with self._lock:
            self.bytes -= freed

    def put_back(self, batch: Sequence[Waiting]) -> None:
        """Set a batch that was taken before those that wait."""
        with self._lock:
            for waiting in reversed(batch):
                _, sort, size = waiting
                if sort is Sort.LIFECYCLE:
                    self._lifecycle.appendleft(waiting)
                else:
                    self._foreign.appendleft(waiting)
                    self._foreign_bytes += size


def sort_of(span: ReadableSpan) -> Sort:
    """Tell a lifecycle span, ours or another emitter's, from a foreign one."""
    scope = span.instrumentation_scope
    ours = (scope is not None and scope.name == SCOPE_NAME) or span.name.partition(" ")[0] in _WORDS
    return Sort.LIFECYCLE if ours else Sort.FOREIGN


def estimate(span: ReadableSpan) -> int:
    """Return the bytes of memory that an ended span takes, within a quarter below and a half above."""
    # Past the properties, which wrap and copy under locks what is nearly always empty, at each call.
    attributes = getattr(span, "_attributes", None)
    size = _SPAN_BYTES + _content(span.attributes if attributes is None else attributes)
    for event in getattr(span, "_events", None) or ():
        size += _EVENT_BYTES + _content(event.attributes)
    for link in getattr(span, "_links", None) or ():
        size += _LINK_BYTES + _content(link.attributes)
    return size


def _content(attributes: Any) -> int:
    if attributes is None:
        return 0
    # A copy's values come at once, those of the SDK's attributes one by one under a lock.
    values = attributes.copy().values()
    return _ATTRIBUTE_BYTES * len(values) + _beyond(values)


def _beyond(values: Iterable[Any]) -> int:
    """Return the bytes of what values hold, beyond the same for each."""
    size = 0
    for value in values:
        kind = type(value)
        if kind is str:
            length = len(value)  # much cheaper than its bytes, and near them while it is short
            size += length if length < _LONG else getsizeof(value)
        elif kind in _SMALL:
            continue
        elif kind is tuple:  # what the SDK makes of every sequence
            size += _TUPLE_BYTES + _ITEM_BYTES * len(value) + _beyond(value)
        elif isinstance(value, Mapping):
            size += getsizeof(value) + 2 * _ITEM_BYTES * len(value) + _beyond(value) + _beyond(value.values())
        elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            size += getsizeof(value) + _ITEM_BYTES * len(value) + _beyond(value)
        else:
            size += getsizeof(value)
    return size

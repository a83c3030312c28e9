"""Which task a span belongs to: the nearest task span above it, through open, closed and departed spans. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from collector_processor.model.stages import Known, Role

NO_PARENT: Final = bytes(8)


class Place(IntEnum):
    """What a span's chain of parents leads to."""

    TASK = 0
    """An open task span (perhaps the span itself)."""
    CLOSED = 1
    """A task that is closed already: the span is late."""
    ROOT = 2
    """A root that is no task: nothing can come above it."""
    WAITING = 3
    """A parent that has not been seen."""
    CYCLE = 4
    """Itself: no later span can change that."""


class Owner(NamedTuple):
    """Where a chain ends: the span id of the task, the root or the missing parent."""

    place: Place
    span_id: bytes


class OpenSpan(NamedTuple):
    """A span that waits in the journal, and where its bytes stand."""

    span_id: bytes
    parent_id: bytes
    role: Role
    size: int
    sequence: int
    position: int
    arrived: int


_WALKING: Final = Owner(Place.CYCLE, NO_PARENT)


def owners(spans: dict[bytes, OpenSpan], known: Known, extra: Iterable[bytes] = ()) -> dict[bytes, Owner]:
    """The owner of every open span, and of the `extra` ids (links whose owner is asked for).

    A task span owns itself and never attaches to a task above it.
    """
    found: dict[bytes, Owner] = {}
    closed, links = known
    for start in (*spans, *extra):
        path: list[bytes] = []
        current = start
        while True:
            owner = found.get(current)
            if owner is not None:
                break
            span = spans.get(current)
            if span is not None:
                if span.role == Role.TASK:
                    owner = found[current] = Owner(Place.TASK, current)
                    break
                parent = span.parent_id
            elif current in closed:
                owner = Owner(Place.CLOSED, closed[current])
                break
            elif current in links:
                parent = links[current].parent_id
            else:
                owner = Owner(Place.WAITING, current)
                break
            found[current] = _WALKING
            path.append(current)
            if parent == NO_PARENT:
                owner = Owner(Place.ROOT, current)
                break
            current = parent
        for span_id in path:
            found[span_id] = owner
    return found

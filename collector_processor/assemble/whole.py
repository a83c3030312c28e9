"""The usual trace, decided at once: one task, and all of its spans lead to it. Pure.

To what `closing.plan` would say of it, but without an object for every span. Anything else about a trace is left to
that: a second task, a parent that was not seen, spans that are gone already, a limit that is passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from collector_processor.assemble.closing import Limits, Plan
from collector_processor.assemble.index import ROLES, Entry
from collector_processor.model.facts import Ending
from collector_processor.model.stages import HEADER, Closing, Member, Role, SealedTask, SealKind

_TASK: Final = ROLES.index(Role.TASK)


def plan_whole(
    trace_id: bytes, entries: Sequence[Entry], limits: Limits, now: int, *, flush: bool = False
) -> Plan | None:
    """Decide for a trace that the journal remembers nothing else of; None where it is not of the usual kind.

    Args:
        trace_id: 16 bytes.
        entries: its fragments with their headers, in order of arrival.
        limits: the settings.
        now: ns.
        flush: close it without waiting for late spans.
    """
    if any(entry.taken or not entry.headers for entry in entries):
        return None
    headers = b"".join([entry.headers or b"" for entry in entries])
    ids, parents, roles, sizes = zip(*HEADER.iter_unpack(headers), strict=True)
    size = sum(sizes)
    if roles.count(_TASK) != 1 or len(ids) > limits.max_task_spans or size > limits.max_task_bytes:
        return None
    place = roles.index(_TASK)
    above = dict(zip(ids, parents, strict=True))
    if len(above) != len(ids) or not _lead_to(ids[place], above):
        return None
    last = max([entry.arrived for entry in entries])
    due = min(last + limits.grace, _arrival(entries, place) + limits.max_grace)
    if now < due and not flush:
        return Plan((), 0, due)
    members = tuple([Member(entry.sequence, entry.arrived, _all_of(entry.spans)) for entry in entries])
    ended_by = Ending.FLUSH if now < due else Ending.TASK_ENDED
    sealed = SealedTask(SealKind.TASK, trace_id, ids[place], members, ended_by=ended_by)
    return Plan((Closing(trace_id, sealed, b"".join(ids), (), (), 0, size),), 1, None)


def _lead_to(task: bytes, above: dict[bytes, bytes]) -> bool:
    """Whether the chain of every span, child → parent, leads to the task, whatever is above that; it is taken out."""
    del above[task]
    reached = {task}
    for start in {*above.values()}:
        path: set[bytes] = set()
        current = start
        while current not in reached:
            if current in path or current not in above:
                return False
            path.add(current)
            current = above[current]
        reached |= path
    return True


def _arrival(entries: Sequence[Entry], place: int) -> int:
    """When the span at a place, counted over all fragments, arrived."""
    for entry in entries:
        if place < entry.spans:
            return entry.arrived
        place -= entry.spans
    raise AssertionError("the place is one of theirs")


@lru_cache(maxsize=256)
def _all_of(spans: int) -> tuple[int, ...]:
    return tuple(range(spans))

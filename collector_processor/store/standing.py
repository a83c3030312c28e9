"""What comes of erased tasks after the wish, under their ids: for a while it is refused, as what was found then is.

A task that was erased by its id may still lie in a sender's queue or another processor's journal, also as a further
attempt with a trace of its own. It gets a tombstone when it comes, and the write path refuses what belongs to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from collector_processor.model.record import point_id
from collector_processor.model.stages import Stray
from collector_processor.store.contribution import Contribution, each_fact, weight
from collector_processor.store.database import Connection
from collector_processor.store.erasure import Awaited, bury_ahead, erase_points, erased_name
from collector_processor.store.statements import statement


async def refuse(
    connection: Connection, shares: Sequence[Contribution], strays: Sequence[Stray]
) -> tuple[Sequence[Stray], int]:
    """Bury what belongs to erased tasks; the strays that are left, and how many spans of the others were refused.

    Shares stay: each meets its tombstone as it is written.
    """
    names = {erased_name(task_id) for share in shares for task_id in _task_ids(share)}
    names |= {erased_name(stray.fact.task_id) for stray in strays if stray.fact.task_id}
    if not names:
        return strays, 0
    rows = await connection.execute(statement("standing_erasures"), {"names": [*names]})
    numbers = {row["name"]: row["erasure"] for row in await rows.fetchall()}
    if not numbers:
        return strays, 0
    left: list[Stray] = []
    tombstones: dict[int, list[Awaited]] = {}
    refused = 0
    for share in shares:
        for task_id in _task_ids(share):
            if (number := numbers.get(erased_name(task_id))) is not None:
                tombstones.setdefault(number, []).append(Awaited(share.key, task_id))
    for stray in strays:
        number = numbers.get(erased_name(stray.fact.task_id)) if stray.fact.task_id else None
        if number is None:
            left.append(stray)
            continue
        refused += weight(stray.fact)
        if stray.fact.fact_id == stray.fact.trace_id + stray.fact.span_id:  # a span, on which others may hang
            tombstones.setdefault(number, []).append(Awaited(stray.key, stray.fact.task_id))
    for number, gone in tombstones.items():
        await bury_ahead(connection, number, gone)
        await _erase_awaited(connection, number, [point_id(*each.key) for each in gone])
    return left, refused


def _task_ids(share: Contribution) -> Iterator[str]:
    """The id of a share's task; where that hasn't come, all that its facts name."""
    facts = (share.facts.task,) if share.facts.task else each_fact(share.facts)
    yield from {task_id for fact in facts if (task_id := getattr(fact, "task_id", None))}


async def _erase_awaited(connection: Connection, number: int, ids: Sequence[UUID]) -> None:
    """Facts that came before their task, without its id, and waited."""
    rows = await (await connection.execute(statement("awaited_of"), {"ids": ids})).fetchall()
    if rows:
        await erase_points(connection, number, [row["id"] for row in rows])

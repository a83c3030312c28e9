"""What a person decides about a record: correct, revalidate, release, discard. Every decision is in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from collector_processor.errors import StoreError
from collector_processor.model.facts import Anomaly, Correction, Facts, Problem
from collector_processor.model.record import BenchmarkDataPoint, State
from collector_processor.model.stages import Revise
from collector_processor.store.contribution import Unite
from collector_processor.store.database import Connection, Database
from collector_processor.store.merge import Held, Merged, carry_over, key_of
from collector_processor.store.points import lock_and_read, read, write_points
from collector_processor.store.rows import instant, withheld
from collector_processor.store.statements import statement
from collector_processor.store.tally import Tally
from collector_processor.store.writing import move

JsonPatch = Sequence[dict[str, Any]]
"""Steps of RFC 6902."""


class Selection(NamedTuple):
    """Records of some states that match all that is given; a gate and a severity are those of one failure."""

    states: Sequence[State] = (State.QUARANTINED,)
    ids: Sequence[UUID] | None = None
    gate: str | None = None
    severity: str | None = None
    task_type: str | None = None
    agent: str | None = None
    since: datetime | None = None


class Quarantined(NamedTuple):
    """A record to decide about; `severities` are those of `gates_failed`, entry by entry."""

    id: UUID
    timestamp: datetime
    task_id: str | None
    task_type: str | None
    agent_id: str | None
    state: str
    gates_failed: list[str]
    severities: list[str]


class Decision(NamedTuple):
    """An entry of the audit trail; `patch` is that of a correction."""

    time: datetime
    action: str
    author: str
    reason: str
    patch: JsonPatch | None


class Audited(NamedTuple):
    """A decision and the record that it is about."""

    time: datetime
    id: UUID
    action: str
    author: str
    reason: str
    patch: JsonPatch | None


_WAITING: Final = Selection()
_FOUND: Final = frozenset({Problem.PERSONAL_DATA, Problem.CREDENTIAL})


class Quarantine:
    """Decisions about records. `revise` and `unite` are those of the store."""

    def __init__(self, database: Database, revise: Revise, unite: Unite) -> None:
        self._database = database
        self._revise = revise
        self._unite = unite

    async def newest(self, selection: Selection = _WAITING, *, limit: int | None = 100) -> list[Quarantined]:
        """The newest records of a selection, all of them without a limit. Raises StoreError."""
        parameters = selection._asdict() | {"states": [state.value for state in selection.states], "limit": limit}
        async with self._database.writing() as connection:
            rows = await connection.execute(statement("quarantined"), parameters)
            return [Quarantined(**row) for row in await rows.fetchall()]

    async def show(self, id_: UUID) -> BenchmarkDataPoint:
        """The whole record, in whatever state it is. Raises StoreError where there is none."""
        async with self._database.writing() as connection:
            return _existing(id_, await read(connection, [id_]))[1]

    async def trail(self, id_: UUID) -> list[Decision]:
        """Who decided what about it, oldest first. Raises StoreError."""
        async with self._database.writing() as connection:
            rows = await connection.execute(statement("audit_trail"), {"id": id_})
            return [Decision(**row) for row in await rows.fetchall()]

    async def audit(
        self,
        *,
        action: str | None = None,
        author: str | None = None,
        since: datetime | None = None,
        limit: int | None = 100,
    ) -> list[Audited]:
        """The newest decisions about any record. Raises StoreError."""
        parameters = {"action": action, "author": author, "since": since, "limit": limit}
        async with self._database.writing() as connection:
            rows = await connection.execute(statement("audit"), parameters)
            return [Audited(**row) for row in await rows.fetchall()]

    async def correct(self, id_: UUID, patch: JsonPatch, *, author: str, reason: str, time: str) -> BenchmarkDataPoint:
        """Add a correction (RFC 6902) to the record's facts and have it folded and judged again.

        `time` is now, as RFC 3339 in nine digits. Raises StoreError where the record doesn't exist or is discarded.
        """
        async with self._database.writing() as connection:
            held, record = await _locked(connection, id_)
            _refuse_discarded(record)
            identity = sha256(msgspec.json.encode((id_, time, author, patch))).hexdigest()[:48]
            correction = Correction(identity, time, author, reason, tuple(patch))
            facts = self._unite(record.facts, Facts(corrections=(correction,)))
            revised = self._revised(record, facts)
            await _replace(connection, held, revised)
            await write_down(connection, id_, "correct", author=author, reason=reason, patch=patch)
            return revised

    async def revalidate(self, id_: UUID, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Have the record folded and judged again by today's settings; where nothing changes there is no revision.

        What a person released stays released unless a critical gate fails. What a scan condemned is judged by the
        settings too, and stays condemned where these withhold it as well. Raises StoreError where the record doesn't
        exist or is discarded.
        """
        async with self._database.writing() as connection:
            held, record = await _locked(connection, id_)
            _refuse_discarded(record)
            revised = self._revised(record, undone(record.facts))
            if withheld(revised):
                revised = self._revised(record, record.facts)
            if msgspec.structs.replace(revised, revision=record.revision) == record:
                revised = record
            else:
                await _replace(connection, held, revised)
            await write_down(connection, id_, "revalidate", author=author, reason=reason)
            return revised

    async def release(self, id_: UUID, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Let a quarantined record count as it is. What a scan found in it is from then on what was redacted in time.

        Raises StoreError where it isn't in quarantine, or another critical gate failed: then it has to be corrected.
        """
        async with self._database.writing() as connection:
            held, record = await _locked(connection, id_)
            if record.state is not State.QUARANTINED:
                raise StoreError(f"record {id_} is {record.state}: only a quarantined one can be released")
            if (settled := undone(record.facts, settled=True)) is not record.facts:
                record = self._revised(record, settled)
            if withheld(record):
                raise StoreError(f"record {id_} failed a critical gate: correct or discard it")
            released = msgspec.structs.replace(record, state=State.RELEASED)
            await _replace(connection, held, released)
            await write_down(connection, id_, "release", author=author, reason=reason)
            return released

    async def discard(self, id_: UUID, *, author: str, reason: str) -> BenchmarkDataPoint:
        """Take a record out of every view for good; its spans don't come back when they are sent again.

        Raises StoreError where it doesn't exist or is discarded already.
        """
        async with self._database.writing() as connection:
            held, record = await _locked(connection, id_)
            _refuse_discarded(record)
            discarded = msgspec.structs.replace(record, state=State.DISCARDED)
            await _replace(connection, held, discarded)
            await move(connection, "review", Tally(in_points=-held.spans, discarded=held.spans))
            await write_down(connection, id_, "discard", author=author, reason=reason)
            return discarded

    def _revised(self, record: BenchmarkDataPoint, facts: Facts) -> BenchmarkDataPoint:
        return carry_over(record, self._revise(record.id, facts, record.revision + 1).point)


def undone(facts: Facts, *, settled: bool = False) -> Facts:
    """The facts of a record without the marks by which a scan condemned it.

    With `settled`, what the scan found counts as redacted, like what is found when a task comes; else as found still.
    """
    if not any(each.problem is Problem.CONDEMNED for each in facts.anomalies):
        return facts
    kept: dict[tuple[str, str, Problem], Anomaly] = {}
    for each in facts.anomalies:
        if each.problem is Problem.CONDEMNED:
            continue
        found = each.problem in _FOUND and settled
        anomaly = msgspec.structs.replace(each, problem=Problem.REDACTED) if found else each
        place = (anomaly.span_id, anomaly.field, anomaly.problem)
        if (before := kept.get(place)) is not None:
            detail = ", ".join(filter(None, (before.detail, anomaly.detail)))
            anomaly = msgspec.structs.replace(anomaly, detail=detail)
        kept[place] = anomaly
    return msgspec.structs.replace(facts, anomalies=tuple(kept[place] for place in sorted(kept)))


def _refuse_discarded(record: BenchmarkDataPoint) -> None:
    if record.state is State.DISCARDED:
        raise StoreError(f"record {record.id} is discarded: that is for good")


async def _locked(connection: Connection, id_: UUID) -> tuple[Held, BenchmarkDataPoint]:
    return _existing(id_, await lock_and_read(connection, [id_]))


def _existing(id_: UUID, found: Mapping[UUID, Held]) -> tuple[Held, BenchmarkDataPoint]:
    held = found.get(id_)
    if held is None or held.record is None:
        raise StoreError(f"there is no record {id_}")
    return held, held.record


async def _replace(connection: Connection, held: Held, record: BenchmarkDataPoint) -> None:
    merged = Merged(key_of(record, held.spans), record, replaced=instant(record.timestamp))
    await write_points(connection, {record.id: merged}, {record.id: held})


async def write_down(
    connection: Connection, id_: UUID, action: str, *, author: str, reason: str, patch: JsonPatch | None = None
) -> None:
    """Put a decision into the audit trail, in the running transaction."""
    written = None if patch is None else msgspec.json.encode(patch).decode()
    await connection.execute(
        statement("write_audit"), {"id": id_, "action": action, "author": author, "reason": reason, "patch": written}
    )

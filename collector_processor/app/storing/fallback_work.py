"""A worker's part of the fallback: a batch made into lines, and lines made into a batch again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from collector_processor.app.protocol import Import, Imported, Prepared, RefusedLine, SpilledLine
from collector_processor.errors import DamagedLineError, told
from collector_processor.fallback import Folder, converted_of, decode, encode, line_of, narrowed, span_of
from collector_processor.model.stages import (
    Applied,
    Converted,
    PreparedBatch,
    Redactions,
    Refused,
    SealKind,
    SpanKey,
)
from collector_processor.telemetry import get_logger

log = get_logger(__name__)


class Recovered(NamedTuple):
    """What a block holds of a batch: conversions with their places and lines, and the places that are damaged."""

    tasks: dict[int, Converted]
    raw: dict[int, bytes]
    damaged: tuple[int, ...]


def as_lines(prepared: PreparedBatch, redactions: Redactions) -> Prepared:
    """The lines of a batch that was converted and guarded. A task that has no form as a line is refused."""
    lines: list[SpilledLine] = []
    refused = list(prepared.refused)
    undecodable: list[tuple[bytes, bytes, bytes, str]] = []
    for place, task in enumerate(prepared.tasks):
        sealed = task.sealed
        undecodable += [(*each.key, each.raw, each.reason) for each in task.undecodable]
        try:
            raw = encode(line_of(prepared.id, place, task))
        except Exception as error:
            log.exception("fallback: a task was refused", trace_id=sealed.trace_id.hex())
            refused.append(Refused(sealed.trace_id, sealed.span_id, task.spans, f"fallback: {told(error)}"))
        else:
            lines.append(SpilledLine(place, task.spans, int(sealed.kind is SealKind.TASK), raw))
    left = Applied(undecodable=len(undecodable), refused=tuple(refused), undecodable_spans=tuple(undecodable))
    return Prepared(prepared.id, tuple(lines), left, redactions)


def recover(request: Import) -> Recovered:
    """Read a batch's lines; those of others in the block are left alone. Raises FallbackError: they can't be read."""
    folder = Folder(Path(request.folder), "", 0)
    wanted = set(request.places)
    tasks: dict[int, Converted] = {}
    raws: dict[int, bytes] = {}
    for raw in folder.read(request.block):
        try:
            line = decode(raw)
        except DamagedLineError:
            continue
        if line.batch == request.source and line.place in wanted:
            tasks[line.place] = converted_of(line)
            raws[line.place] = raw
    return Recovered(tasks, raws, tuple(sorted(wanted - tasks.keys())))


def batch_of(request: Import, recovered: Recovered) -> PreparedBatch:
    """What is given to the store."""
    tasks = [recovered.tasks[place] for place in sorted(recovered.tasks)]
    return PreparedBatch(request.batch_id, tasks, sampling=request.sampling)


def outcome(batch_id: UUID, applied: Applied, recovered: Recovered) -> Imported:
    """The answer, with the lines whose facts were refused; of strays these alone."""
    by_key: dict[SpanKey, int] = {}
    for place, task in recovered.tasks.items():
        by_key[SpanKey(task.sealed.trace_id, task.sealed.span_id)] = place
        by_key |= dict.fromkeys(map(span_of, task.strays), place)
    refused: dict[int, list[Refused]] = {}
    # A row that was there already names tasks too that were refused before there were lines.
    ours = tuple(item for item in applied.refused if SpanKey(item.trace_id, item.span_id) in by_key)
    for item in ours:
        refused.setdefault(by_key[SpanKey(item.trace_id, item.span_id)], []).append(item)
    lines = tuple(_refused(place, items, recovered) for place, items in refused.items())
    return Imported(batch_id, msgspec.structs.replace(applied, refused=ours), recovered.damaged, lines)


def _refused(place: int, items: Sequence[Refused], recovered: Recovered) -> RefusedLine:
    spans = sum(item.spans for item in items)
    line = narrowed(decode(recovered.raw[place]), {SpanKey(item.trace_id, item.span_id) for item in items}, spans)
    return RefusedLine(place, recovered.tasks[place].sealed, spans, items[-1].error, encode(line).rstrip(b"\n"))

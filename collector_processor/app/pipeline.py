"""A worker's way from a sealed batch to what the store takes: decode, facts, guard. Folding is the store's callback."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.task import convert
from collector_processor.guard import GateSettings, judge, protect
from collector_processor.model.facts import Facts
from collector_processor.model.stages import Converted, GuardedPoint, PreparedBatch, RawTask, Refused
from collector_processor.telemetry import get_logger

log = get_logger(__name__)


class Pipeline:
    """Pure conversion with its settings; one per worker."""

    def __init__(self, tenant_key: bytes | None, fold_settings: FoldSettings, gate_settings: GateSettings) -> None:
        self._tenant_key = tenant_key
        self._fold_settings = fold_settings
        self._gate_settings = gate_settings

    def prepare(self, batch_id: UUID, tasks: Sequence[RawTask], damaged: Sequence[Refused] = ()) -> PreparedBatch:
        """Convert and guard a batch. A task that makes the conversion fail is refused, the others go on.

        `damaged` tasks could not even be read.
        """
        converted: list[Converted] = []
        refused = list(damaged)
        for task in tasks:
            try:
                converted.append(protect(convert(task), self._tenant_key))
            except Exception as error:
                log.exception("convert: a task was refused", trace_id=task.sealed.trace_id.hex())
                sealed = task.sealed
                refused.append(Refused(sealed.trace_id, sealed.span_id, sealed.spans, f"conversion: {error!r}"))
        return PreparedBatch(batch_id, converted, refused)

    def revise(self, point_id: UUID, facts: Facts, revision: int) -> GuardedPoint:
        """Fold facts into a record and judge it (see model.stages.Revise)."""
        return judge(fold(point_id, facts, revision, self._fold_settings), self._gate_settings)

"""A worker's way from a sealed batch to what the store takes: decode, facts, guard. Folding is the store's callback."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.task import convert
from collector_processor.errors import told
from collector_processor.guard import GateSettings, Protector, judge
from collector_processor.model.facts import Facts
from collector_processor.model.stages import Converted, GuardedPoint, PreparedBatch, RawTask, Redactions, Refused
from collector_processor.telemetry import get_logger

log = get_logger(__name__)


class Pipeline:
    """Pure conversion with its settings; one per worker."""

    def __init__(self, protector: Protector, fold_settings: FoldSettings, gate_settings: GateSettings) -> None:
        self._protector = protector
        self._fold_settings = fold_settings
        self._gate_settings = gate_settings

    def prepare(self, batch_id: UUID, tasks: Sequence[RawTask], damaged: Sequence[Refused] = ()) -> PreparedBatch:
        """Convert and guard a batch. A task that makes one of them fail is refused, the others go on.

        `damaged` tasks could not even be read. What is not redacted is refused too: nothing is stored as it came.
        """
        converted: list[Converted] = []
        refused = list(damaged)
        for task in tasks:
            try:
                converted.append(self._protector.protect(convert(task)))
            except Exception as error:
                log.exception("convert: a task was refused", trace_id=task.sealed.trace_id.hex())
                sealed = task.sealed
                refused.append(Refused(sealed.trace_id, sealed.span_id, sealed.spans, f"conversion: {told(error)}"))
        return PreparedBatch(batch_id, converted, refused)

    def take_account(self) -> Redactions:
        """What the privacy pass did since this was asked last."""
        return self._protector.take_account()

    def revise(self, point_id: UUID, facts: Facts, revision: int) -> GuardedPoint:
        """Fold facts into a record and judge it (see model.stages.Revise)."""
        return judge(fold(point_id, facts, revision, self._fold_settings), self._gate_settings)

"""A worker's way from a sealed batch to what the store takes: decode, facts, guard. Folding is the store's callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from collector_processor.config import Settings
from collector_processor.convert.fold import FoldSettings, fold
from collector_processor.convert.task import convert
from collector_processor.errors import told
from collector_processor.guard import GateSettings, Protector, judge, with_baseline
from collector_processor.model.facts import Baseline, Facts
from collector_processor.model.record import OutlierRule, Severity
from collector_processor.model.sampling import SamplingState
from collector_processor.model.stages import Converted, GuardedPoint, PreparedBatch, RawTask, Redactions, Refused
from collector_processor.sample.decision import NOTHING_KNOWN
from collector_processor.telemetry import get_logger

log = get_logger(__name__)

_Item = TypeVar("_Item", RawTask, Converted)


def gate_settings(settings: Settings) -> GateSettings:
    """What the gates need of a processor's settings."""
    return GateSettings(
        task_types=frozenset(settings.task_types),
        agents=frozenset(settings.agents),
        clock_skew_ms=settings.clock_skew * 1000,
        severities={gate: Severity(severity) for gate, severity in settings.gate_severities},
        outlier_rule=OutlierRule(settings.outlier_rule),
        outlier_min_tasks=settings.outlier_min_tasks,
    )


def fold_settings(settings: Settings) -> FoldSettings:
    """What folding needs of a processor's settings."""
    return FoldSettings(settings.evaluator, frozenset(settings.unsampled))


class Pipeline:
    """Pure conversion with its settings; one per worker."""

    def __init__(self, protector: Protector, fold_settings: FoldSettings, gate_settings: GateSettings) -> None:
        self._protector = protector
        self._fold_settings = fold_settings
        self._gate_settings = gate_settings
        self.baselines: Mapping[str, Baseline] = {}
        """What is usual now, by task type: tasks that are prepared from now on are compared with it."""

    def prepare(
        self,
        batch_id: UUID,
        tasks: Sequence[RawTask],
        damaged: Sequence[Refused] = (),
        sampling: SamplingState = NOTHING_KNOWN,
    ) -> PreparedBatch:
        """Convert and guard a batch. A task that makes one of them fail is refused, the others go on.

        `damaged` tasks could not even be read. What is not redacted is refused too: nothing is stored as it came.
        `sampling` is what was sealed with the batch, and goes along.
        """
        refused = list(damaged)
        # Step by step and not task by task: a step's code stays in the caches of the CPU.
        converted = _each(convert, tasks, refused)
        protected = _each(self._protector.protect, converted, refused)
        compared = _each(partial(with_baseline, baselines=self.baselines), protected, refused)
        return PreparedBatch(batch_id, compared, refused, sampling)

    def take_account(self) -> Redactions:
        """What the privacy pass did since this was asked last."""
        return self._protector.take_account()

    def revise(self, point_id: UUID, facts: Facts, revision: int) -> GuardedPoint:
        """Fold facts into a record and judge it (see model.stages.Revise)."""
        return judge(fold(point_id, facts, revision, self._fold_settings), self._gate_settings)


def _each(step: Callable[[_Item], Converted], items: Sequence[_Item], refused: list[Refused]) -> list[Converted]:
    """Take a step with every task; one that makes it fail is refused."""
    taken: list[Converted] = []
    for item in items:
        try:
            taken.append(step(item))
        except Exception as error:
            sealed = item.sealed
            log.exception("convert: a task was refused", trace_id=sealed.trace_id.hex())
            refused.append(Refused(sealed.trace_id, sealed.span_id, sealed.spans, f"conversion: {told(error)}"))
    return taken

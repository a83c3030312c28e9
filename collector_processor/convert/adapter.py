"""What a convention brings: the spans of one task → its facts."""

from __future__ import annotations

from typing import Protocol

from collector_processor.convert.decode import Decoded
from collector_processor.model.facts import Convention, Facts
from collector_processor.model.stages import SealedTask


class Adapter(Protocol):
    """Reads spans that follow one convention."""

    @property
    def convention(self) -> Convention:
        """The vocabulary that it knows."""

    def read(self, sealed: SealedTask, decoded: Decoded) -> Facts:
        """Return what the spans say; `task` is null where the task's own span is not among them.

        Spans that are no part of the lifecycle say nothing. Values that had to be cleaned are in the anomalies.
        """

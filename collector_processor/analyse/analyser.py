"""What an analyser is: material in, a finding out; one process runs it, one sample at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from collector_processor.analyse.material import Material
from collector_processor.model.samples import SampleReason, SampleStatus
from collector_processor.model.sampling import Facet


class Cleaned(NamedTuple):
    """Texts as they may be stored, in the order in which they were given, and the positions of those withheld."""

    values: Sequence[str]
    withheld: frozenset[int]


Clean = Callable[[Sequence[tuple[str, str]], str | None], Cleaned]
"""(texts of one task as pairs of field name and value, hash of its tenant) → the same texts without personal data."""


class Finding(NamedTuple):
    """What an analyser found, still with the task's own words; whoever runs it cleans them before they go anywhere."""

    status: SampleStatus
    content: Mapping[str, Any]
    reason: SampleReason | None = None
    gaps: tuple[str, ...] = ()
    calls: int = 0


class Analyser(Protocol):
    """One way of looking at a task.

    Attributes:
        facet: which one it fills.
        version: counts up when the content changes its shape or meaning.
    """

    facet: Facet
    version: int

    def analyse(self, material: Material, clean: Clean) -> Finding:
        """Look at a task. `clean` is for what has to leave this process while it does.

        Whatever it raises costs this sample only: FAILED, CRASHED.
        """

"""The one uniform number that decides about a task, and the hashes by which strata, agents and tools are known.

The number depends on the point's id and the seed alone: workers, replays and revisions draw the same, and what a head
sampler did with the trace id or the tracestate says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from uuid import UUID

from collector_processor.model.record import BenchmarkDataPoint

BITS: Final = 56
RANGE: Final = 1 << BITS
"""Draws are whole numbers from 0 to below it."""

_BYTES: Final = BITS // 8
_KEY_BYTES: Final = 32


class Draw:
    """Gives each point its number, by a seed of any length."""

    def __init__(self, seed: str) -> None:
        key = blake2b(seed.encode(), digest_size=_KEY_BYTES).digest()
        self._begun = blake2b(key, digest_size=_BYTES, person=b"deep facets")

    def __call__(self, point_id: UUID) -> int:
        """Return the point's number: uniform below RANGE, and kept where it is below probability times RANGE."""
        # A copy of what is begun costs a third of beginning again.
        hashed = self._begun.copy()
        hashed.update(point_id.bytes)
        return int.from_bytes(hashed.digest(), "big")


def stratum_of(point: BenchmarkDataPoint) -> int:
    """Return the hash of a task's stratum: its agent, type and outcome."""
    return hashed("stratum", *stratum_names(point))


def stratum_names(point: BenchmarkDataPoint) -> tuple[str | None, str | None, str | None]:
    """Return agent, type and outcome of a task, each null where it isn't known."""
    return point.execution.agent.id if point.execution else None, point.task.type, point.rl_labels.final_outcome


def agent_of(point: BenchmarkDataPoint) -> Iterable[int]:
    """Return the hash of the agent that executed, if one is known."""
    if point.execution is None or point.execution.agent.id is None:
        return ()
    return (hashed("agent", point.execution.agent.id),)


def tools_of(point: BenchmarkDataPoint) -> Iterable[int]:
    """Return the hashes of the tools that were used."""
    if point.execution is None:
        return ()
    return [hashed("tool", each.tool_name) for each in point.execution.tools_used]


@lru_cache(maxsize=4096)
def hashed(*names: str | None) -> int:
    """Hash names to 56 bits."""
    # The length goes before each name: no two lists of names are written alike.
    written = "".join("-" if name is None else f"{len(name)}:{name}" for name in names)
    return int.from_bytes(blake2b(written.encode(), digest_size=_BYTES, person=b"strata").digest(), "big")

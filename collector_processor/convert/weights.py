"""How many tasks one recorded task stands for: the head sampler's adjusted count, null where nobody knows it."""

from __future__ import annotations

import re
from typing import Final

_DIGITS: Final = 14
"""Hex digits of a threshold: 56 bits."""
_THRESHOLD: Final = re.compile(rf"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{{1,{_DIGITS}}})(?:[;,\s]|$)")
_RATIO: Final = re.compile(r"(?i:TraceIdRatioBased)\{([0-9.eE+-]+)\}")
_PARENT_BASED: Final = re.compile(r"ParentBased\{root[:=](AlwaysOnSampler|(?i:TraceIdRatioBased)\{[0-9.eE+-]+\})[,}]")
_ALWAYS_ON: Final = "AlwaysOnSampler"


def adjusted_count(trace_state: str | None, sampler: str | None, *, is_root: bool) -> float | None:
    """Return 1 / probability with which the head sampler keeps such a task.

    The tracestate's threshold (`ot=th:…`) says it of the span itself. Else the description of the sampler does, but
    one that follows its parent decided only where the task's span is a root: who sampled the parent is not known.
    """
    if trace_state and (found := _THRESHOLD.search(trace_state)):
        threshold = int(found[1].ljust(_DIGITS, "0"), 16)
        return 2**56 / (2**56 - threshold)
    if not sampler:
        return None
    if found := _PARENT_BASED.match(sampler):
        if not is_root:
            return None
        sampler = found[1]
    if sampler == _ALWAYS_ON:
        return 1.0
    if found := _RATIO.fullmatch(sampler):
        return _inverse(found[1])
    return None


def _inverse(text: str) -> float | None:
    try:
        probability = float(text)
    except ValueError:
        return None
    return 1 / probability if 0 < probability <= 1 else None

"""How many tasks one recorded task stands for: the head sampler's adjusted count, null where nobody knows it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from collector_processor.model.facts import TaskFact

_DIGITS: Final = 14
"""Hex digits of a threshold: 56 bits."""
_THRESHOLD: Final = re.compile(rf"(?:^|,)\s*ot=(?:[^,]*;)?th:([0-9a-f]{{1,{_DIGITS}}})(?:[;,\s]|$)")
_RANDOMNESS: Final = re.compile(rf"(?:^|,)\s*ot=(?:[^,]*;)?rv:([0-9a-f]{{{_DIGITS}}})(?:[;,\s]|$)")
_RATIO: Final = re.compile(r"(?i:TraceIdRatioBased)\{([0-9.eE+-]+)\}")
_PARENT_BASED: Final = re.compile(r"ParentBased\{root[:=](AlwaysOnSampler|(?i:TraceIdRatioBased)\{[0-9.eE+-]+\})[,}]")
_ALWAYS_ON: Final = "AlwaysOnSampler"
_EVERY: Final = "*"


def adjusted_count(task: TaskFact, unsampled: Collection[str] = ()) -> float | None:
    """Return 1 / probability with which the head sampler keeps such a task.

    The tracestate's threshold (`ot=th:…`) says it of the span itself, unless its randomness (`rv`, else the trace id)
    lies below: such a span should have been rejected, so nothing is known of it. Else the description of the sampler
    says it, but one that follows its parent decided only where the task's span is a root: who sampled the parent is
    not known. Where neither does, `unsampled` names sources that are known to send every task: `namespace/name` of
    their services, `name` of those without a namespace, `*` for all.
    """
    if task.trace_state and (found := _THRESHOLD.search(task.trace_state)):
        threshold = int(found[1].ljust(_DIGITS, "0"), 16)
        explicit = _RANDOMNESS.search(task.trace_state)
        randomness = int(explicit[1] if explicit else task.trace_id[-_DIGITS:], 16)
        return 2**56 / (2**56 - threshold) if randomness >= threshold else None
    told = _told_by(task.sampler, is_root=task.parent_span_id is None)
    if told is None and unsampled:
        source = "/".join(filter(None, (task.source.service_namespace, task.source.service_name)))
        return 1.0 if source in unsampled or _EVERY in unsampled else None
    return told


def _told_by(sampler: str | None, *, is_root: bool) -> float | None:
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

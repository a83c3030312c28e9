"""Recognise lifecycle spans without decoding them: name and raw bytes → Role.

The first word of a span's name says what it claims to be; one of the kind's attributes, searched for as it stands
on the wire, confirms it (README, "Span contract"). Conversion, which decodes, has the last word.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from collector_processor.model.stages import Role
from otel_benchmark import attributes as names


class _Mark(NamedTuple):
    """What a span's first word promises, and the bytes of which one must be in the span to confirm it."""

    role: int
    proofs: tuple[bytes, ...]


def _key(name: str) -> bytes:
    """Bytes of an attribute's key on the wire: field 1 of KeyValue."""
    return b"\x0a" + bytes([len(name)]) + name.encode()


def _event(name: str) -> bytes:
    """Bytes of an event's name on the wire: field 2 of Span.Event."""
    return b"\x12" + bytes([len(name)]) + name.encode()


_TASK_ID: Final = _key(names.TASK_ID)
_OPERATION: Final = _key(names.GEN_AI_OPERATION_NAME)
_FOREIGN: Final = int(Role.FOREIGN)
_MARKS: Final = {
    names.Kind.TASK.encode(): _Mark(int(Role.TASK), (_TASK_ID,)),
    names.Kind.ROUTE.encode(): _Mark(int(Role.LIFECYCLE), (_key(names.ROUTING_SELECTED_ID), _TASK_ID)),
    names.Kind.EXECUTION.encode(): _Mark(int(Role.LIFECYCLE), (_OPERATION, _TASK_ID)),
    names.Kind.TOOL_CALL.encode(): _Mark(int(Role.LIFECYCLE), (_OPERATION, _TASK_ID)),
    names.Kind.EVALUATION.encode(): _Mark(
        int(Role.EVALUATION),
        (_key(names.EVALUATION_OVERALL_SCORE), _event(names.GEN_AI_EVALUATION_EVENT), _TASK_ID),
    ),
}


def role_of(name: bytes, span: bytes) -> int:
    """Role of a span: its name's first word, confirmed by a search in its bytes. Conversion has the last word."""
    mark = _MARKS.get(name.partition(b" ")[0])
    if mark:
        for proof in mark.proofs:
            if proof in span:
                return mark.role
    return _FOREIGN

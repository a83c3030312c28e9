"""Recognise lifecycle spans and GenAI log records without decoding them: name and raw bytes → Role.

The first word of a span's name says what it claims to be; one of the kind's attributes, searched for as it stands
on the wire, confirms it (the span contract, `otel_benchmark/README.md`). Conversion, which decodes, has the last word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
_GEN_AI: Final = names.GEN_AI_PREFIX.encode()
_EVALUATION: Final = names.GEN_AI_EVALUATION_EVENT.encode()
_EVENT_NAME: Final = re.compile(re.escape(_key(names.EVENT_NAME)) + rb"\x12.\x0a.(gen_ai\.[a-z_.]+)", re.DOTALL)
"""How senders said an event's name before log records had a field for it: as an attribute."""


_CARRIER: Final = _key(names.OPENINFERENCE_KIND) + b"\x12\x0b\x0a\x09" + names.OPENINFERENCE_EVALUATOR.encode()
"""The whole attribute, as a text, by which a span of OpenInference judges another one."""
_RARE: Final = b"V"
"""A byte of it that texts rarely have."""
_FEEDBACK: Final = (
    *(name.encode() for name in names.OPENINFERENCE_FEEDBACK_NAMES),
    _event(names.GEN_AI_EVALUATION_EVENT),
)


def roles_of(names: Sequence[bytes], spans: Sequence[bytes]) -> list[int]:
    """Roles of spans: a name's first word, confirmed by a search in the span's bytes, or what it is in OpenInference.

    Conversion has the last word.
    """
    marks = {name: _MARKS.get(name.partition(b" ")[0]) for name in {*names}}
    # One byte is found in a tenth of the time that a word takes, and is in few of the spans that don't matter.
    return [
        _role(mark, span) if (mark := marks[name]) or _RARE in span else _FOREIGN
        for name, span in zip(names, spans, strict=True)
    ]


def _role(mark: _Mark | None, span: bytes) -> int:
    if mark:
        for proof in mark.proofs:
            if proof in span:
                return mark.role
    if _CARRIER in span and any(proof in span for proof in _FEEDBACK):
        return int(Role.EVALUATION)
    return _FOREIGN


def role_of_record(event_name: bytes, record: bytes) -> int | None:
    """Role of a log record: an evaluation, or foreign for the other events of GenAI conventions.

    None for every other record: it is no concern of tasks.
    """
    if not event_name and _GEN_AI in record and (said := _EVENT_NAME.search(record)):
        event_name = said[1]
    if event_name == _EVALUATION:
        return int(Role.EVALUATION)
    return _FOREIGN if event_name.startswith(_GEN_AI) else None

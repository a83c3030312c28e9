"""Whose data is to be erased, as an application wrote it: recognised in what nothing was done to yet.

A payload is one of spans or, where `logs` says so, one of log records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.assemble.messages import RawTraces
from collector_processor.forward.texts import said_by
from collector_processor.guard.privacy import Person, Text
from collector_processor.journal.format import DeadLetter, UndecodableSpan
from collector_processor.model.stages import FragmentFlag, RawTask
from collector_processor.store.erasure import Kind
from otel_benchmark import attributes as a


class Subject:
    """A tenant, a user or a task.

    A tenant and a task are recognised by their attribute, a user by the value as a word of any text of a span or log
    record or its resource, and wherever a stored record would have a pseudonym of it: in any spelling and encoding. Of
    what can't be decoded the bytes decide.

    Args:
        kind: whose data.
        value: as applications write it.
        hashes: under which a tenant is known.
        person: finds a user.
    """

    def __init__(self, kind: Kind, value: str, *, hashes: Iterable[str] = (), person: Person | None = None) -> None:
        self.kind = kind
        self.value = value
        self._values = frozenset({value, *hashes})
        self._bytes = tuple(each.encode().lower() for each in self._values)
        self._person = person
        self._word = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE)

    @property
    def searches(self) -> bool:
        """Whether every text is looked through, which takes its time."""
        return self._person is not None

    def is_named_in(self, payload: bytes, positions: tuple[int, ...] | None = None, *, logs: bool = False) -> set[int]:
        """Positions in an OTLP payload that name it, among `positions` where they are given."""
        if self._person is None and not self._occurs(payload):
            return set()
        named = set()
        position = -1
        for resource in RawTraces.FromString(payload).resource_spans:
            described = self.kind is Kind.USER and self._is_user_in(b"".join(resource.resource), Resource)
            for scope in resource.scope_spans:
                for raw in scope.spans:
                    position += 1
                    if (positions is None or position in positions) and (described or self._is_in(raw, logs=logs)):
                        named.add(position)
        return named

    def is_sealed_in(self, raw: RawTask) -> bool:
        """Whether a span or a log record of a sealed task names it."""
        return any(self.is_named_in(payload, positions) for _, payload, positions in raw.payloads) or any(
            self.is_named_in(payload, positions, logs=True) for _, payload, positions in raw.logs
        )

    def is_kept_in(self, item: DeadLetter | UndecodableSpan) -> bool:
        """Whether a dead letter or an undecodable span names it."""
        if isinstance(item, UndecodableSpan):
            return self._occurs(item.raw)
        return any(
            self.is_named_in(payload, positions, logs=bool(flags & FragmentFlag.LOGS))
            for (_, payload, positions), (flags, _) in zip(item.payloads, item.headers, strict=True)
        )

    def _occurs(self, content: bytes) -> bool:
        lower = content.lower()
        return any(each in lower for each in self._bytes)

    def _is_in(self, raw: bytes, *, logs: bool) -> bool:
        type_ = LogRecord if logs else Span
        if self.kind is Kind.USER:
            return self._is_user_in(raw, type_)
        if not self._occurs(raw):
            return False
        try:
            said = type_.FromString(raw)
        except DecodeError:
            return True
        names = (a.TASK_ID,) if self.kind is Kind.TASK else (a.TENANT_ID, a.TENANT_HASH)
        return any(each.key in names and each.value.string_value in self._values for each in said.attributes)

    def _is_user_in(self, raw: bytes, type_: type[Span | LogRecord | Resource]) -> bool:
        occurs = self._occurs(raw)
        if not occurs and self._person is None:
            return False
        try:
            message = type_.FromString(raw)
        except DecodeError:
            return occurs
        if occurs and any(map(self._word.search, _texts(message))):
            return True
        return self._person is not None and bool(self._person.named_in([*map(Text._make, said_by(message))]))


def _texts(message: Any) -> Iterator[str]:
    """Every text of a message, keys as well as values."""
    for field, value in message.ListFields():
        repeated = value if field.is_repeated else (value,)
        if field.type == field.TYPE_STRING:
            yield from repeated
        elif field.type == field.TYPE_MESSAGE:
            for each in repeated:
                yield from _texts(each)

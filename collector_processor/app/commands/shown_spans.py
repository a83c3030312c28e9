"""Journalled spans as a person may see them: redacted as their record would be, before they are printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from collector_processor.app.privacy import privacy_keys, protector_of
from collector_processor.config import Settings
from collector_processor.errors import told
from collector_processor.guard.privacy import Text
from collector_processor.guard.tenants import hashed
from collector_processor.model.times import to_text
from otel_benchmark import attributes as a


def shown(payloads: Iterable[bytes], settings: Settings) -> list[dict[str, Any]]:
    """Spans of OTLP payloads with their attributes and events; texts, names and whole numbers are redacted.

    Tenants are hashed.

    What can't be redacted is left out, and says why. Raises ConfigError.
    """
    protector = protector_of(settings.tenant_key, privacy_keys(settings))
    gatherer = _Gatherer(settings.tenant_key)
    try:
        spans = [
            gatherer.span(span, resource.resource.attributes)
            for payload in payloads
            for resource in TracesData.FromString(payload).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        values = protector.redact(gatherer.texts, None).values
    except Exception as error:  # noqa: BLE001  # whatever made the task a dead letter may fail here again
        return [{"withheld": told(error)}]
    return [_with(span, values) for span in spans]


class _Place(int):
    """Stands in a span for the text of that number."""


class _Number(_Place):
    """Stands for a whole number, which is one again where nothing was found in it."""


class _Gatherer:
    """Takes spans apart: `texts` are those that are to be searched."""

    def __init__(self, tenant_key: bytes | None) -> None:
        self._tenant_key = tenant_key
        self.texts: list[Text] = []

    def span(self, span: Span, resource: Iterable[KeyValue]) -> dict[str, Any]:
        return {
            "span_id": span.span_id.hex(),
            "parent_id": span.parent_span_id.hex() or None,
            "name": self._text("name", span.name),
            "start": to_text(span.start_time_unix_nano),
            "end": to_text(span.end_time_unix_nano),
            "status": self._text("status", span.status.message),
            "attributes": self._attributes(span.attributes),
            "events": [
                {"name": self._text("event", event.name), "attributes": self._attributes(event.attributes)}
                for event in span.events
            ],
            "resource": self._attributes(resource),
        }

    def _text(self, key: str, value: str) -> Any:
        if not value:
            return None
        if key == a.TENANT_ID:
            return hashed(value, self._tenant_key)
        self.texts.append(Text(key, value))
        return _Place(len(self.texts) - 1)

    def _attributes(self, attributes: Iterable[KeyValue]) -> dict[str, Any]:
        return {each.key and self._text("", each.key): self._value(each.key, each.value) for each in attributes}

    def _value(self, key: str, value: AnyValue) -> Any:
        kind = value.WhichOneof("value")
        match kind:
            case None:
                return None
            case "string_value":
                return self._text(key, value.string_value)
            case "int_value":
                self.texts.append(Text(key, str(value.int_value)))
                return _Number(len(self.texts) - 1)
            case "bytes_value":
                return f"{len(value.bytes_value)} bytes"
            case "array_value":
                return [self._value(key, each) for each in value.array_value.values]
            case "kvlist_value":
                return self._attributes(value.kvlist_value.values)
        return getattr(value, kind)


def _with(part: Any, values: list[str]) -> Any:
    match part:
        case _Number():
            said = values[part]
            return int(said) if said.removeprefix("-").isdecimal() else said
        case _Place():
            return values[part]
        case dict():
            return {_with(key, values): _with(value, values) for key, value in part.items()}
        case list():
            return [_with(value, values) for value in part]
    return part

"""OTLP/JSON → protobuf bytes. It differs from protobuf's own JSON mapping in its ids, which are hex.

Slow (a few MB a second): callers run it in a thread, under a lower limit than protobuf's.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from google.protobuf import json_format

from collector_processor.errors import MalformedRequestError
from collector_processor.receive.endpoints import Endpoint

_BRANCHES: Final = frozenset(
    name
    for camel, snake in (
        ("resourceSpans", "resource_spans"),
        ("scopeSpans", "scope_spans"),
        ("spans", "spans"),
        ("links", "links"),
        ("resourceLogs", "resource_logs"),
        ("scopeLogs", "scope_logs"),
        ("logRecords", "log_records"),
    )
    for name in (camel, snake)
)
"""Fields on the way to an id. Attributes are none: a user's key may be called anything."""
_IDS: Final = frozenset({"traceId", "trace_id", "spanId", "span_id", "parentSpanId", "parent_span_id"})
_BAD_ID: Final = base64.b64encode(b"?").decode()
"""Stands for an id that is no hex: of no valid length, so that its span alone is rejected, and no root is made."""


def to_protobuf(body: bytes, endpoint: Endpoint) -> bytes:
    """Turn an OTLP/JSON request into its protobuf form. Unknown fields are ignored, as OTLP asks.

    Raises:
        MalformedRequestError: it is not JSON, or a field has another type than OTLP gives it.
    """
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError(f"The body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise MalformedRequestError("The body is not an OTLP request: a JSON object is expected")
    try:
        _restore_ids(document)
        message = json_format.ParseDict(document, endpoint.request(), ignore_unknown_fields=True)
        encoded: bytes = message.SerializeToString()
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        # ParseDict raises plain errors too where a value has a shape that it did not foresee.
        raise MalformedRequestError(f"The body is not an OTLP request in JSON: {error}") from error
    return encoded


def _restore_ids(node: dict[str, Any]) -> None:
    """Rewrite every hex id below into base64, which protobuf's JSON mapping expects of bytes."""
    for key, value in node.items():
        if key in _IDS:
            node[key] = _base64(value)
        elif key in _BRANCHES and isinstance(value, list):
            for child in value:
                if isinstance(child, dict):
                    _restore_ids(child)


def _base64(value: Any) -> str:
    if value is None:
        return ""
    try:
        return base64.b64encode(binascii.unhexlify(value)).decode()
    except (TypeError, ValueError):
        return _BAD_ID

"""Addresses and tokens planted wherever a text can stand in a span, each with the name of its place."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from typing import Any

import psycopg
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_benchmark import attributes as a

DOMAIN = "planted-corp.com"
"""Of every planted address: whoever finds it in an output has found a leak."""
KEPT = frozenset({a.GEN_AI_OPERATION_NAME, a.TASK_ID, a.TENANT_ID, a.TENANT_HASH})
"""What tells what a span is, and whose."""


def address(place: str) -> str:
    """An address that names its place."""
    return f"jo.{''.join(c if c.isalnum() else '-' for c in place)}@{DOMAIN}"


def token() -> str:
    """A credential in a provider's form, made anew, so that no such thing stands in this file."""
    return "gh" + "p_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))


class Planting:
    """Plants into spans, and remembers what."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def text(self, before: str, place: str) -> str:
        """A text with an address and a credential behind it."""
        self.tokens.append(token())
        return f"{before} {address(place)} {self.tokens[-1]}"

    def span(self, span: Span) -> Span:
        """Plant into name, tracestate, status, attributes and their names, and events of a span."""
        number = span.span_id.hex()[-2:]
        if not any(item.key in KEPT for item in span.attributes):
            span.name = self.text(span.name, f"name-{number}")
        else:
            span.name = self.text(span.name.split(" ")[0], f"name-{number}")
        span.trace_state = f"vendor={address(f'state-{number}')}"
        span.status.message = self.text("it failed", f"status-{number}")
        self.attributes(span.attributes, number)
        for event in span.events:
            self.attributes(event.attributes, f"event-{number}")
        return span

    def attributes(self, items: Any, place: str) -> None:
        """Plant behind every text, and as the name of an attribute that nobody knows."""
        for item in items:
            for value in item.value.array_value.values or [item.value]:
                if value.WhichOneof("value") == "string_value" and item.key not in KEPT:
                    value.string_value = self.text(value.string_value, f"{item.key}-{place}")
        items.append(KeyValue(key=address(f"key-{place}")))
        items[-1].value.string_value = self.text("unknown", f"unknown-{place}")

    def resource(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Plant into a resource."""
        return {name: self.text(str(value), name) for name, value in attributes.items()}

    def found_in(self, outputs: Iterable[tuple[str, bytes]]) -> list[str]:
        """What of it stands in some outputs: output and what was planted, for a person to read."""
        needles = [DOMAIN.encode(), b"planted-corp", *(each.encode() for each in self.tokens)]
        return [
            f"{name}: …{content[max(0, place - 80) : place + 60]!r}"
            for name, content in outputs
            for needle in needles
            if (place := content.find(needle)) >= 0
        ]


def dump(database_url: str) -> list[tuple[str, bytes]]:
    """Every row of every table of a database as text, by the table's name; those of PostgreSQL itself excepted."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert tables
        return [
            (table, "\n".join(row for (row,) in connection.execute(f"SELECT each::text FROM {table} each")).encode())
            for (table,) in tables
        ]

"""The span contract as data: what an emitter in any language has to send (`otel-benchmark schema spans`).

Built from the same fields that the plugin reads host objects by, so that it can't say anything else than what is sent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.fields import Field, Value
from otel_benchmark.vocabulary import CANDIDATES, FIELDS, GATES, ITEM_FIELDS, TURNS

_TYPES: Final = {
    Value.IDENTIFIER: "string",
    Value.TEXT: "string, at most 2 kB",
    Value.NUMBER: "double",
    Value.INTEGER: "int",
    Value.FLAG: "bool",
    Value.TEXTS: "string[]",
    Value.AMOUNTS: "double[], null where an entry has none",
    Value.CONTENT: "string, only by opt-in",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute and its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Event:
    """A span event that carries facts."""

    name: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SpanContract:
    """One lifecycle span: recognised by the first word of its name, confirmed by any of the named attributes."""

    event: str
    name: str
    confirmed_by: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    events: tuple[Event, ...]


_SPANS: Final = {
    Kind.TASK: ("task received", "task {type}", a.TASK_ID),
    Kind.ROUTE: ("routing decided", "route {router}", a.ROUTING_SELECTED_ID),
    Kind.EXECUTION: ("execution started, completed", "invoke_agent {agent}", a.GEN_AI_OPERATION_NAME),
    Kind.TOOL_CALL: ("tool called", "execute_tool {tool}", a.GEN_AI_OPERATION_NAME),
    Kind.EVALUATION: ("evaluation finished", "evaluate {evaluator}", a.EVALUATION_OVERALL_SCORE),
}
_OWN: Final = {
    Kind.TASK: (
        Attribute(a.EMITTER_ID, "string, random per process"),
        Attribute(a.EMITTER_SEQUENCE, "int, 1, 2, 3 … per emitter"),
        Attribute(a.COLLECTION_OVERHEAD_MS, "double"),
        Attribute(a.SAMPLER, "string"),
    ),
    Kind.EXECUTION: (Attribute(a.GEN_AI_OPERATION_NAME, f"string, {a.OPERATION_INVOKE_AGENT}"),),
    Kind.TOOL_CALL: (Attribute(a.GEN_AI_OPERATION_NAME, f"string, {a.OPERATION_EXECUTE_TOOL}"),),
}
_EVENT_NAMES: Final = {GATES: a.GEN_AI_EVALUATION_EVENT, TURNS: a.TURN_EVENT}


def _attributes(fields: tuple[Field, ...]) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(name, _TYPES[each.value])
        for each in fields
        if each.value is not Value.ITEMS
        for name in each.attributes
    )


def _events(fields: tuple[Field, ...]) -> tuple[Event, ...]:
    return tuple(
        Event(_EVENT_NAMES[each.key], _attributes(tuple(f for f in ITEM_FIELDS[each.key] if f.key != "tool")))
        for each in fields
        if each.value is Value.ITEMS and each.key != CANDIDATES
    )


CONTRACT: Final = tuple(
    SpanContract(
        event,
        name,
        (confirmed_by, a.TASK_ID) if confirmed_by != a.TASK_ID else (a.TASK_ID,),
        (*_attributes(FIELDS[kind]), *_OWN.get(kind, ())),
        _events(FIELDS[kind]),
    )
    for kind, (event, name, confirmed_by) in _SPANS.items()
)
"""The five lifecycle spans."""


def as_json(contract: tuple[SpanContract, ...] = CONTRACT) -> list[dict[str, Any]]:
    """Return the contract in JSON's types."""
    return [asdict(span) for span in contract]


def as_markdown(contract: tuple[SpanContract, ...] = CONTRACT) -> str:
    """Return the contract as tables, one a span, ending in a newline."""
    lines: list[str] = []
    for span in contract:
        confirmed = " or ".join(f"`{name}`" for name in span.confirmed_by)
        lines += [f"### `{span.name}`", "", f"{span.event.capitalize()}. Kind INTERNAL; confirmed by {confirmed}.", ""]
        lines += [
            "| attribute | type |",
            "|---|---|",
            *(f"| `{each.name}` | {each.type} |" for each in span.attributes),
        ]
        for event in span.events:
            names = ", ".join(f"`{each.name}` ({each.type})" for each in event.attributes)
            lines += ["", f"Event `{event.name}`: {names}"]
        lines.append("")
    return "\n".join(lines)

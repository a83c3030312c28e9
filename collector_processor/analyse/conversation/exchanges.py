"""Spans and log records → exchanges with a model, and runs of tools.

A message may stand on the span of the call, in an event of it, or in a log record that names the span; the first
place that has any is believed. A log record whose span never came is an exchange of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from collector_processor.analyse.conversation.forms import Read, inputs_of, outputs_of
from collector_processor.analyse.conversation.messages import Message, message_of, text_of
from collector_processor.analyse.material import Event, Material, SpanRead
from otel_benchmark import attributes as a


class Exchange(NamedTuple):
    """A model call, or an agent's work as a whole: what went in at its start, and what came out at its end.

    `is_call` tells a model call, of which messages are expected, from a span that merely has some.
    """

    span_id: str
    start: int
    end: int
    inputs: Read
    outputs: Read
    is_call: bool
    agent: str | None = None
    dropped: int = 0

    @property
    def silent(self) -> bool:
        """Whether it carries no message."""
        return not (self.inputs.messages or self.outputs.messages)


class ToolRun(NamedTuple):
    """A tool's span; texts are None where it doesn't say them."""

    span_id: str
    start: int
    end: int
    call_id: str | None
    name: str | None
    arguments: str | None
    result: str | None
    failed: bool


def exchanges_of(material: Material) -> list[Exchange]:
    """Return the exchanges of a task: silent ones too where they are model calls."""
    logged: dict[str, list[Event]] = {}
    for event in material.logs:
        logged.setdefault(event.span_id, []).append(event)
    found = []
    for span in material.spans:
        if is_tool(span):
            continue
        events = [*span.events, *logged.pop(span.span_id, ())]
        exchange = _exchange(span, events, is_call=_is_call(span.attributes))
        if exchange.is_call or not exchange.silent:
            found.append(exchange)
    for span_id, events in logged.items():
        span = SpanRead(span_id, "", "", events[0].time, events[-1].time, {}, ())
        exchange = _exchange(span, events, is_call=True)
        if not exchange.silent:
            found.append(exchange)
    return found


def tool_runs_of(spans: Iterable[SpanRead]) -> list[ToolRun]:
    """Return the runs of tools in order of their start."""
    return [_tool_run(span) for span in spans if is_tool(span)]


def is_tool(span: SpanRead) -> bool:
    """Whether a span is a tool's."""
    at = span.attributes
    return (
        at.get(a.GEN_AI_OPERATION_NAME) == a.OPERATION_EXECUTE_TOOL
        or at.get(a.OPENINFERENCE_KIND) == "TOOL"
        or at.get(a.TRACELOOP_KIND) == "tool"
    )


def _is_call(attributes: Mapping[str, Any]) -> bool:
    return (
        text_of(attributes.get(a.GEN_AI_OPERATION_NAME)) in a.MODEL_OPERATIONS
        or attributes.get(a.OPENINFERENCE_KIND) == "LLM"
        or attributes.get(a.LLM_REQUEST_TYPE) in ("chat", "completion")
    )


def _exchange(span: SpanRead, events: Sequence[Event], *, is_call: bool) -> Exchange:
    places = [span.attributes, *(event.attributes for event in events if event.name == a.GEN_AI_DETAILS_EVENT)]
    places += [event.body for event in events if event.name == a.GEN_AI_DETAILS_EVENT and isinstance(event.body, dict)]
    given, said = [inputs_of(place) for place in places], [outputs_of(place) for place in places]
    asked, answered = _from_events(events)
    return Exchange(
        span.span_id,
        span.start,
        span.end,
        _first(given, asked),
        _first(said, answered),
        is_call=is_call,
        agent=text_of(span.attributes.get(a.GEN_AI_AGENT_NAME)),
        dropped=span.dropped,
    )


def _first(reads: Sequence[Read], otherwise: Sequence[Message]) -> Read:
    """Return what the first place says that says anything, cut if any of them was."""
    messages = next((read.messages for read in reads if read.messages), otherwise)
    return Read(messages, cut=any(read.cut for read in reads))


def _from_events(events: Sequence[Event]) -> tuple[list[Message], list[Message]]:
    """Read events that carry one message each, and those that carry a prompt or a completion."""
    asked: list[Message] = []
    answered: list[Message] = []
    for event in sorted(events, key=lambda each: each.time):
        role = a.FORMER_MESSAGE_EVENTS.get(event.name)
        if role is not None:
            said = event.body if event.body is not None else _unfolded(event.attributes)
            message = message_of(said, role)
            if message.parts:
                (answered if event.name == a.FORMER_CHOICE_EVENT else asked).append(message)
        elif event.name != a.GEN_AI_DETAILS_EVENT and (
            a.FORMER_PROMPT in event.attributes or a.FORMER_COMPLETION in event.attributes
        ):
            asked += inputs_of(event.attributes).messages
            answered += outputs_of(event.attributes).messages
    return asked, answered


def _unfolded(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's attributes as the message that they are; lists and maps stand in them as JSON."""
    said = dict(attributes)
    for name in ("message", "tool_calls"):
        value = said.get(name)
        if isinstance(value, str) and value[:1] in ("[", "{"):
            try:
                said[name] = msgspec.json.decode(value)
            except msgspec.DecodeError:
                continue
    return said


def _tool_run(span: SpanRead) -> ToolRun:
    def first(*names: str) -> str | None:
        return next((text_of(span.attributes[name]) for name in names if span.attributes.get(name) is not None), None)

    return ToolRun(
        span_id=span.span_id,
        start=span.start,
        end=span.end,
        call_id=first(a.GEN_AI_TOOL_CALL_ID, a.OPENINFERENCE_TOOL_CALL_ID),
        name=first(a.GEN_AI_TOOL_NAME, a.OPENINFERENCE_TOOL_NAME, a.TRACELOOP_ENTITY_NAME),
        arguments=first(a.GEN_AI_TOOL_CALL_ARGUMENTS, a.OPENINFERENCE_INPUT, a.TRACELOOP_ENTITY_INPUT),
        result=first(a.GEN_AI_TOOL_CALL_RESULT, a.OPENINFERENCE_OUTPUT, a.TRACELOOP_ENTITY_OUTPUT),
        failed=span.failed or span.attributes.get(a.TOOL_SUCCESS) is False,
    )

"""Tasks before an analyser: made of spans as their senders write them, and read as a pool's process reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector_processor.analyse import Cleaned, Material, Part, Work
from collector_processor.analyse.otlp import read
from collector_processor.model.record import encode_point
from collector_processor.model.sampling import Facet
from collector_processor.model.stages import Signal
from otel_benchmark import attributes as a
from support.lifecycle import MS, T0, TRACE, execution, key_values, model_call, payload, task, tool_call, value_of
from support.lifecycle import span_id as span_id_of
from support.records import record_of


def log(
    name: str, attributes: Mapping[str, Any] | None = None, *, body: Any = None, number: int, at: float
) -> LogRecord:
    """A log record that names span `number`; `at` is milliseconds since T0."""
    return LogRecord(
        time_unix_nano=T0 + int(at * MS),
        event_name=name,
        attributes=key_values(attributes or {}),
        body=None if body is None else value_of(body),
        trace_id=TRACE,
        span_id=span_id_of(number),
    )


def work_of(*spans: Span, facet: Facet = Facet.CONVERSATION, logs: Iterable[LogRecord] = (), **more: Any) -> Work:
    """The work that a task of these spans and log records is."""
    spans = spans if any(each.name.startswith("task ") for each in spans) else (task(), *spans)
    parts = [Part(payload(spans), tuple(range(len(spans))))]
    if records := list(logs):
        body = LogsData(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
        parts.append(Part(body.SerializeToString(), tuple(range(len(records))), Signal.LOGS))
    record = more.pop("record", None) or record_of(*spans)
    return Work(facet, encode_point(record), tuple(parts), **more)


def material_of(*spans: Span, **more: Any) -> Material:
    """The same, as an analyser reads it."""
    return read(work_of(*spans, **more))


def unclean(texts: Sequence[tuple[str, str]], tenant: str | None) -> Cleaned:
    """A privacy pass that finds nothing."""
    return Cleaned([value for _, value in texts], frozenset())


# -- Trajectories ------------------------------------------------------------------------------------------


def as_parts(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the OpenAI form in that of the GenAI conventions."""
    if message["role"] == "tool":
        response = {"type": "tool_call_response", "id": message["tool_call_id"], "response": message["content"]}
        return {"role": "tool", "parts": [response], "name": message["name"]}
    text = message.get("content")
    parts: list[dict[str, Any]] = [] if text is None else [{"type": "text", "content": text}]
    for call in message.get("tool_calls") or ():
        function = call["function"]
        arguments = {"name": function["name"], "arguments": function["arguments"]}
        parts.append({"type": "tool_call", "id": call["id"], **arguments})
    return {"role": message["role"], "parts": parts}


def in_genai(inputs: Sequence[Mapping[str, Any]], output: Mapping[str, Any]) -> dict[str, Any]:
    """Messages as the GenAI conventions write them: JSON in two attributes."""
    return {
        a.GEN_AI_INPUT_MESSAGES: json.dumps([as_parts(message) for message in inputs]),
        a.GEN_AI_OUTPUT_MESSAGES: json.dumps([{**as_parts(output), "finish_reason": "stop"}]),
    }


def in_openai(inputs: Sequence[Mapping[str, Any]], output: Mapping[str, Any]) -> dict[str, Any]:
    """Messages as an application hands them to its client, in the same two attributes."""
    return {
        a.GEN_AI_INPUT_MESSAGES: json.dumps(list(inputs)),
        a.GEN_AI_OUTPUT_MESSAGES: json.dumps([output]),
    }


def in_openllmetry(inputs: Sequence[Mapping[str, Any]], output: Mapping[str, Any]) -> dict[str, Any]:
    """Messages as OpenLLMetry writes them: an attribute a field."""
    said: dict[str, Any] = {}
    for prefix, messages in ((a.FORMER_PROMPT, inputs), (a.FORMER_COMPLETION, [output])):
        for number, message in enumerate(messages):
            fields: dict[str, Any] = {name: message.get(name) for name in ("role", "content", "tool_call_id")}
            for place, call in enumerate(message.get("tool_calls") or ()):
                fields |= {f"tool_calls.{place}.id": call["id"]}
                fields |= {f"tool_calls.{place}.{name}": call["function"][name] for name in ("name", "arguments")}
            said |= {f"{prefix}.{number}.{name}": value for name, value in fields.items() if value is not None}
    return said


def in_openinference(inputs: Sequence[Mapping[str, Any]], output: Mapping[str, Any]) -> dict[str, Any]:
    """Messages as OpenInference writes them: an attribute a field, `message.` before each name."""
    said: dict[str, Any] = {}
    places = ((a.OPENINFERENCE_INPUT_MESSAGES, inputs), (a.OPENINFERENCE_OUTPUT_MESSAGES, [output]))
    for prefix, messages in places:
        for number, message in enumerate(messages):
            fields = {name: message.get(name) for name in ("role", "content", "name", "tool_call_id")}
            for place, call in enumerate(message.get("tool_calls") or ()):
                at = f"tool_calls.{place}.tool_call"
                fields |= {f"{at}.id": call["id"]}
                fields |= {f"{at}.function.{name}": call["function"][name] for name in ("name", "arguments")}
            said |= {f"{prefix}.{number}.message.{name}": value for name, value in fields.items() if value is not None}
    return said


FORMS = {"genai": in_genai, "openai": in_openai, "openllmetry": in_openllmetry, "openinference": in_openinference}


def replayed(trajectory: Sequence[Mapping[str, Any]], form: str = "genai", *, tools: bool = True) -> list[Span]:
    """A trajectory as the spans of the agent that had it: each model call carries all that was said before it."""
    spans = [task(end=10_000), execution(3, start=1, end=9_999)]
    kind = {a.OPENINFERENCE_KIND: "LLM"} if form == "openinference" else {}
    for number, message in enumerate(trajectory):
        at = 10 + 20 * number
        if message["role"] == "assistant":
            said = FORMS[form](trajectory[:number], message)
            spans.append(model_call(100 + number, start=at, end=at + 10, attributes=said | kind))
        elif message["role"] == "tool" and tools:
            identity = {a.GEN_AI_TOOL_NAME: message["name"], a.GEN_AI_TOOL_CALL_ID: message["tool_call_id"]}
            spans.append(tool_call(100 + number, start=at, end=at + 5, attributes=identity))
    return spans


def said_in(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The messages of a conversation's only thread in the OpenAI form."""
    (conversation,) = content["conversations"]
    messages = []
    for message in conversation["messages"]:
        parts = message["parts"]
        if message["role"] == "tool":
            (part,) = parts
            messages.append({"role": "tool", "tool_call_id": part["id"], "content": part["response"]})
            continue
        texts = [part["content"] for part in parts if part["type"] == "text" and part["content"] is not None]
        calls = [
            {"id": part["id"], "type": "function", "function": {name: part[name] for name in ("name", "arguments")}}
            for part in parts
            if part["type"] == "tool_call"
        ]
        messages.append({"role": message["role"], "content": "".join(texts) if texts else None})
        if calls:
            messages[-1]["tool_calls"] = calls
    return messages

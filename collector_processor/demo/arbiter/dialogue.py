"""What an agent and its model say to each other: each answer is a call, and each call a span.

A client of a model is mostly instrumented already, by its makers or by somebody else, and knows nobody who receives
the spans. So is this one: OpenTelemetry's API and the names of its GenAI conventions, nothing else. What is said stands
on them only where the operator has asked for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai

CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_TRACER: Final = trace.get_tracer("rules.client", "1.0")


class Answer:
    """What the model says in one call: thoughts, then what it wants done or its last word."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.finish_reason = "stop"

    def thinks(self, text: str) -> None:
        """Add a thought."""
        self.parts.append({"type": "reasoning", "content": text})

    def says(self, text: str) -> None:
        """End the conversation."""
        self.parts.append({"type": "text", "content": text})

    def asks_for(self, call_id: str, name: str, arguments: Mapping[str, Any]) -> None:
        """Ask for the use of a tool."""
        self.parts.append({"type": "tool_call", "id": call_id, "name": name, "arguments": arguments})
        self.finish_reason = "tool_call"


class Dialogue:
    """One agent's conversation with its model, from the task's description on."""

    def __init__(self, provider: str, model: str, description: str) -> None:
        self._name = f"{gen_ai.GenAiOperationNameValues.CHAT.value} {model}"
        self._attributes = {
            gen_ai.GEN_AI_OPERATION_NAME: gen_ai.GenAiOperationNameValues.CHAT.value,
            gen_ai.GEN_AI_PROVIDER_NAME: provider,
            gen_ai.GEN_AI_REQUEST_MODEL: model,
        }
        self._captures = os.environ.get(CAPTURE, "").lower() == "true"
        self._messages = [_message("user", {"type": "text", "content": description})]
        self._asked = ""

    def hear(self, text: str) -> None:
        """Add the result of what was asked for last."""
        self._messages.append(_message("tool", {"type": "tool_call_response", "id": self._asked, "response": text}))

    @contextmanager
    def answer(self) -> Iterator[Answer]:
        """One call of the model, which says its answer within."""
        answer = Answer()
        with _TRACER.start_as_current_span(self._name, kind=trace.SpanKind.CLIENT, attributes=self._attributes) as span:
            tells = self._captures and span.is_recording()
            if tells:
                span.set_attribute(gen_ai.GEN_AI_INPUT_MESSAGES, json.dumps(self._messages))
            yield answer
            said = _message("assistant", *answer.parts)
            if tells:
                finished = [{**said, "finish_reason": answer.finish_reason}]
                span.set_attribute(gen_ai.GEN_AI_OUTPUT_MESSAGES, json.dumps(finished))
        self._messages.append(said)
        self._asked = answer.parts[-1].get("id", "")


def _message(role: str, *parts: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": role, "parts": parts}

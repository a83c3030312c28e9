"""A message in the form of OpenTelemetry's GenAI conventions, and when two of them are the same one.

Parts are `text`, `reasoning`, `tool_call` (`arguments` as text) and `tool_call_response` (`response` as text); of any
other kind, an image say, only the kind is kept. What a task says stands in texts alone, so that it can be searched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import msgspec

_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}
_CALLS: Final = frozenset({"tool_call", "tool_use", "function_call", "function", "server_tool_call"})
_RESPONSES: Final = frozenset(
    {"tool_call_response", "tool_result", "function_call_output", "server_tool_call_response"}
)
_TEXTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
_REASONING: Final = frozenset({"reasoning", "thinking"})


@dataclass(frozen=True)
class Message:
    """One message."""

    role: str
    parts: Sequence[Mapping[str, Any]]
    name: str | None = None
    finish_reason: str | None = field(default=None, compare=False)

    @cached_property
    def key(self) -> str:
        """The same for a message and its echo in the history of a later call, which may have lost its reasoning."""
        said = "".join(part["content"] or "" for part in self.parts if part["type"] == "text").strip()
        calls = [(part["id"], part["name"], _canonical(part["arguments"])) for part in self.calls]
        responses = [(part["id"], _canonical(part["response"])) for part in self.responses]
        role = "tool" if responses else {"developer": "system"}.get(self.role, self.role)
        return json.dumps((role, said, calls, responses), sort_keys=True)

    @property
    def calls(self) -> Iterator[Mapping[str, Any]]:
        """Parts that ask for a tool."""
        return (part for part in self.parts if part["type"] == "tool_call")

    @property
    def responses(self) -> Iterator[Mapping[str, Any]]:
        """Parts that bring a tool's result."""
        return (part for part in self.parts if part["type"] == "tool_call_response")


def message_of(value: Any, otherwise: str) -> Message:
    """Read one message of any of the usual shapes: GenAI's parts, OpenAI's and Anthropic's, or a bare text.

    Args:
        value: what stands in its place.
        otherwise: its role where it doesn't say one.
    """
    if not isinstance(value, Mapping):
        return Message(otherwise, [_text(value)])
    inner = value.get("message")
    if isinstance(inner, Mapping):  # a choice with its message inside, and `message.*` of OpenInference
        value = {"finish_reason": value.get("finish_reason"), **inner}
    role = text_of(value.get("role")) or otherwise
    role = _ROLES.get(role.lower(), role.lower())
    contents = next((value[name] for name in ("parts", "contents", "content") if value.get(name)), None)
    parts = [_part(each) for each in (contents if isinstance(contents, list) else [contents]) if each is not None]
    if (reasoning := value.get("reasoning_content")) is not None:
        parts.insert(0, {"type": "reasoning", "content": text_of(reasoning)})
    response_id = value.get("tool_call_id") or (value.get("id") if role == "tool" else None)
    if role == "tool" and not any(part["type"] == "tool_call_response" for part in parts):
        said = [part["content"] for part in parts if part["type"] == "text"]
        parts = [_response(response_id, "".join(filter(None, said)))]
    calls = value.get("tool_calls")
    parts += [_call(each) for each in calls if isinstance(each, Mapping)] if isinstance(calls, list) else []
    if isinstance(value.get("function_call"), Mapping):
        parts.append(_call(value["function_call"]))
    return Message(role, parts, text_of(value.get("name")), text_of(value.get("finish_reason")))


def text_of(value: Any) -> str | None:
    """Return a value as text: itself, or its JSON."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _part(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return _text(value)
    value = _inside(value, "message_content")
    kind = text_of(value.get("type", "text"))
    if kind in _TEXTS:
        return _text(next((value[name] for name in ("content", "text", "refusal") if name in value), None))
    if kind in _REASONING:
        return {"type": "reasoning", "content": text_of(value.get("content", value.get("thinking")))}
    if kind in _CALLS:
        return _call(value)
    if kind in _RESPONSES:
        said = next((value[name] for name in ("response", "result", "output", "content") if name in value), None)
        return _response(value.get("id", value.get("tool_use_id", value.get("call_id"))), said)
    return {"type": "other", "kind": kind, "content": None}


def _text(value: Any) -> dict[str, Any]:
    return {"type": "text", "content": text_of(value)}


def _call(value: Mapping[str, Any]) -> dict[str, Any]:
    value = _inside(value, "tool_call")
    function = _inside(value, "function")
    arguments = next((function[name] for name in ("arguments", "input") if name in function), None)
    identity = value.get("id", value.get("call_id"))
    return {
        "type": "tool_call",
        "id": text_of(identity),
        "name": text_of(function.get("name")),
        "arguments": text_of(arguments),
    }


def _response(identity: Any, said: Any) -> dict[str, Any]:
    if isinstance(said, list) and all(isinstance(each, Mapping) and each.get("type") == "text" for each in said):
        said = "".join(text_of(each.get("text", each.get("content"))) or "" for each in said)
    return {"type": "tool_call_response", "id": text_of(identity), "response": text_of(said)}


def _inside(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object that stands within another under a name, the other where there is none."""
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else value


def _canonical(text: str | None) -> Any:
    """Return JSON with its keys in order: one sender writes arguments as text, another as an object."""
    try:
        return json.dumps(msgspec.json.decode(text or ""), sort_keys=True)
    except (msgspec.DecodeError, RecursionError):
        return text

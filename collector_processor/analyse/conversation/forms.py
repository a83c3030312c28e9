"""Forms in which attributes carry messages → messages: JSON in one attribute, or one attribute a field, numbered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from collector_processor.analyse.conversation.messages import Message, message_of
from otel_benchmark import attributes as a

_SCAN: Final = json.JSONDecoder(strict=False).raw_decode
_BEGINS: Final = re.compile(r'\s*(?:\[\s*)?\{\s*"')
_SEPARATOR: Final = re.compile(r"[\s,]*")


class Read(NamedTuple):
    """Messages that attributes carry; `cut` tells that the value ended too soon, and these stood before its end."""

    messages: Sequence[Message]
    cut: bool = False


def inputs_of(attributes: Mapping[str, Any]) -> Read:
    """Return what a model was given, as the first form that is there says it."""
    read = document(attributes.get(a.GEN_AI_INPUT_MESSAGES), "user")
    for prefix in (a.FORMER_PROMPT, a.OPENINFERENCE_INPUT_MESSAGES):
        read = read if read.messages else numbered(attributes, prefix, "user")
    read = read if read.messages else document(attributes.get(a.FORMER_PROMPT), "user")
    instructions = document(attributes.get(a.GEN_AI_SYSTEM_INSTRUCTIONS), "system")
    if instructions.messages and not (read.messages and read.messages[0].role == "system"):
        parts = [part for message in instructions.messages for part in message.parts]
        return Read([Message("system", parts), *read.messages], read.cut or instructions.cut)
    return read


def outputs_of(attributes: Mapping[str, Any]) -> Read:
    """Return what a model answered, as the first form that is there says it."""
    read = document(attributes.get(a.GEN_AI_OUTPUT_MESSAGES), "assistant")
    for prefix in (a.FORMER_COMPLETION, a.OPENINFERENCE_OUTPUT_MESSAGES):
        read = read if read.messages else numbered(attributes, prefix, "assistant")
    return read if read.messages else document(attributes.get(a.FORMER_COMPLETION), "assistant")


def document(value: Any, otherwise: str) -> Read:
    """Read messages that stand in one value: a list, JSON of one, or a text that is one message."""
    cut = False
    if isinstance(value, str):
        if value[:1] in ("[", "{"):
            value, cut = _decoded(value)
        elif not value.strip():
            return Read(())
    if value is None:
        return Read((), cut)
    if isinstance(value, Mapping):
        value = value.get("messages", [value])
    listed = value if isinstance(value, list) else [value]
    return Read([message_of(each, otherwise) for each in listed if each is not None], cut)


def numbered(attributes: Mapping[str, Any], prefix: str, otherwise: str) -> Read:
    """Read messages of which each field is an attribute of its own: `prefix.0.role`, `prefix.0.tool_calls.1.name`."""
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(prefix + ".") and name[len(prefix) + 1 : len(prefix) + 2].isdigit():
            *way, last = name[len(prefix) + 1 :].split(".")
            here = tree
            for step in way:
                inner = here.setdefault(step, {})
                here = inner if isinstance(inner, dict) else {}
            here.setdefault(last, value)
    listed = _listed(tree)
    return Read([message_of(each, otherwise) for each in listed] if isinstance(listed, list) else ())


def _listed(tree: Any) -> Any:
    """Turn maps of which all keys are numbers into lists."""
    if not isinstance(tree, dict):
        return tree
    inner = {key: _listed(value) for key, value in tree.items()}
    if inner and all(key.isdigit() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


def _decoded(text: str) -> tuple[Any, bool]:
    """Decode JSON; of a list that was cut, the items before its end. A text that is no JSON stays a text."""
    try:
        return msgspec.json.decode(text), False
    except (msgspec.DecodeError, RecursionError):
        if not _BEGINS.match(text):
            return text, False
    items = []
    at = 1
    while text.startswith("["):
        separator = _SEPARATOR.match(text, at)
        assert separator is not None  # it matches nothing, too
        try:
            item, at = _SCAN(text, separator.end())
        except (ValueError, RecursionError):
            break
        items.append(item)
    return items or None, True

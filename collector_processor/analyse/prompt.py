"""What a model is shown of a task: its record without anybody's judgement, and its conversation, both redacted.

Nothing in it changes with the attempt or the time of day, so the same work gives the same prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from collector_processor.analyse.analyser import Clean
from collector_processor.analyse.cleaning import sweep
from collector_processor.analyse.conversation import conversation_of
from collector_processor.analyse.material import Material
from collector_processor.model.sampling import Facet

_TASK: Final = ("type", "complexity", "requirements", "description")
_EXECUTION: Final = (
    "success",
    "partial_success",
    "failure_reason",
    "tool_call_count",
    "tool_call_success_rate",
    "tools_used",
    "input_tokens",
    "output_tokens",
)


class Prompt(NamedTuple):
    """The text, and what it lacks."""

    text: str
    has_conversation: bool
    gaps: tuple[str, ...]


def prompt_of(material: Material, clean: Clean, max_bytes: int) -> Prompt:
    """Tell a model about a task, in at most so many bytes: messages in the middle of a conversation go first."""
    shown = {"task": _part(material.record.task, _TASK), "execution": _part(material.record.execution, _EXECUTION)}
    record = msgspec.json.format(msgspec.json.encode(shown), indent=1).decode()
    gaps: list[str] = []
    messages: list[str] = []
    if Facet.CONVERSATION in material.kept:
        finding = conversation_of(material)
        swept = sweep(finding.content, material, clean)
        gaps += finding.gaps
        if swept.withheld:
            gaps.append(f"{swept.withheld} texts of the conversation were withheld")
        messages = [
            _line(message) for thread in swept.content.get("conversations", ()) for message in thread["messages"]
        ]
    room = max_bytes - len(record.encode()) - 1024
    kept = _fitting(messages, room)
    if len(kept) < len(messages):
        gaps.append(f"{len(messages) - len(kept)} messages in the middle were left out for want of room")
    text = f"<record>\n{record}\n</record>\n"
    if kept:
        text += "<conversation>\n" + "\n".join(kept) + "\n</conversation>\n"
    return Prompt(text, bool(kept), tuple(gaps))


def _part(section: msgspec.Struct | None, fields: tuple[str, ...]) -> dict[str, Any] | None:
    return None if section is None else {name: getattr(section, name) for name in fields}


def _line(message: Mapping[str, Any]) -> str:
    """Return a message as one line of JSON."""
    parts = [
        {name: part[name] for name in part if name != "run" and part[name] is not None} for part in message["parts"]
    ]
    return msgspec.json.encode({"role": message["role"], "parts": parts}).decode()


def _fitting(lines: list[str], room: int) -> list[str]:
    """Return the lines that fit, from both ends inwards: the task stands at the beginning, the outcome at the end."""
    first, last = 0, len(lines)
    head: list[str] = []
    tail: list[str] = []
    while first < last:
        from_end = len(head) > len(tail)
        line = lines[last - 1] if from_end else lines[first]
        room -= len(line.encode()) + 1
        if room < 0:
            break
        if from_end:
            tail.append(line)
            last -= 1
        else:
            head.append(line)
            first += 1
    return head + tail[::-1]

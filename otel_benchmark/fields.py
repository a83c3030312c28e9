"""What a field is: its key, the attributes it becomes, its type, and the common names it is found under.

`vocabulary` holds the fields themselves. A common name is a dotted path from a root, which is one of the
objects that a call shows: its parameters, its `self`, what it returns. Each name in snake_case is tried in
camelCase as well. `.` is the root itself (a router that returns the agent's id as a string); `!` before a name
takes the opposite of a flag.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark import values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Root(StrEnum):
    """Where a path of common names starts. The order is the order in which roots are tried."""

    PARAMETER = "parameter"
    """The parameters themselves, by name."""
    TASK = "task"
    """The parameter that is the task: by its name, else the first one (task, route, execute)."""
    AGENT = "agent"
    """The parameter that is the agent, by its name; in an execution else `self`."""
    DECISION = "decision"
    """The parameter that is a routing decision, by its name."""
    SUBJECT = "subject"
    """What an evaluation judges: by the parameter's name, else the first one that is no task."""
    SELF = "self"
    """The object whose method is called."""
    RESULT = "result"
    """What the call returns; of a generator that returns nothing, the last item it yielded."""
    ITEM = "item"
    """One entry of a list: a candidate, a gate, a turn."""


PARAMETER_ROLES: Final[Mapping[str, Root]] = MappingProxyType(
    {
        **dict.fromkeys(("task", "job", "ticket", "work_item", "task_request", "subtask", "sub_task"), Root.TASK),
        **dict.fromkeys(("agent", "worker", "selected_agent", "executor", "assistant"), Root.AGENT),
        **dict.fromkeys(("decision", "routing", "routing_decision", "route", "selection", "choice"), Root.DECISION),
        **dict.fromkeys(
            ("result", "outcome", "output", "response", "execution", "run", "task_result", "execution_result"),
            Root.SUBJECT,
        ),
    }
)
"""Parameter names that tell what an argument is."""


class Value(StrEnum):
    """Type of a field's value; each has one converter in `values.py`."""

    IDENTIFIER = "identifier"
    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    FLAG = "flag"
    TEXTS = "list of texts"
    AMOUNTS = "list of numbers"
    CONTENT = "content (opt-in)"
    ITEMS = "list of objects"


CONVERTERS: Final[Mapping[Value, Callable[[Any], Any]]] = MappingProxyType(
    {
        Value.IDENTIFIER: values.identifier,
        Value.TEXT: values.text,
        Value.NUMBER: values.number,
        Value.INTEGER: values.integer,
        Value.FLAG: values.flag,
        Value.TEXTS: values.texts,
        Value.AMOUNTS: values.amounts,
        Value.CONTENT: values.content,
        Value.ITEMS: values.items,
    }
)


@dataclass(frozen=True, slots=True)
class Field:
    """One fact about a call.

    `key` names it in a mapping file and in the API, `attributes` are the span attributes it is written to.
    """

    key: str
    attributes: tuple[str, ...]
    value: Value
    names: Mapping[Root, tuple[str, ...]] = field(default_factory=dict)

    @property
    def attribute(self) -> str:
        """The attribute under which the field is looked up again."""
        return self.attributes[0]

    @property
    def convert(self) -> Callable[[Any], Any]:
        """The converter of the field's type: a host's value to an attribute's, or None."""
        return CONVERTERS[self.value]


def make(key: str, attribute: str, value: Value, also: str | None = None, /, **names: str) -> Field:
    """Build a field; each keyword is a root's name, its value the common names parted by spaces."""
    return Field(
        key=key,
        attributes=(attribute,) if also is None else (attribute, also),
        value=value,
        names=MappingProxyType(
            {
                root: tuple(dict.fromkeys(spelling for name in text.split() for spelling in spellings(name)))
                for root in Root
                if (text := names.get(root.value))
            }
        ),
    )


def spellings(path: str) -> tuple[str, ...]:
    """Return a dotted path in snake_case and in camelCase."""
    return path, ".".join(_camel(part) for part in path.split("."))


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)

"""What is read from one callable's calls: its inputs at the start, its outcome at the end, its fallback names."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark import attributes as a
from otel_benchmark import composites
from otel_benchmark.attributes import Kind
from otel_benchmark.extract import Attributes, Reader, names_of
from otel_benchmark.fields import Root, Value
from otel_benchmark.inputs import Signature, input_reader, tool_arguments
from otel_benchmark.mapping import Lines
from otel_benchmark.vocabulary import CANDIDATES, FIELDS, GATES, ITEM_FIELDS, TURNS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GENERIC: Final = frozenset(
    {"__call__", "acall", "ainvoke", "arun", "call", "evaluate", "execute", "forward", "invoke", "run", "use", "_run"}
)
"""Method names that say nothing about what is called: there the object's name is the better one."""
NAME_ATTRIBUTES: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        Kind.TASK: (a.TASK_TYPE,),
        Kind.ROUTE: (),
        Kind.EXECUTION: (a.GEN_AI_AGENT_NAME, a.GEN_AI_AGENT_ID),
        Kind.TOOL_CALL: (a.GEN_AI_TOOL_NAME,),
        Kind.EVALUATION: (a.EVALUATOR_NAME,),
    }
)
"""What stands after the first word of a span's name, the first that is known."""
_FIXED: Final[Mapping[Kind, Mapping[str, str]]] = MappingProxyType(
    {
        Kind.TASK: {},
        Kind.ROUTE: {},
        Kind.EXECUTION: {a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT},
        Kind.TOOL_CALL: {a.GEN_AI_OPERATION_NAME: a.OPERATION_EXECUTE_TOOL, a.GEN_AI_TOOL_TYPE: "function"},
        Kind.EVALUATION: {},
    }
)
_LISTS: Final[Mapping[Kind, str | None]] = MappingProxyType(
    {
        Kind.TASK: None,
        Kind.ROUTE: CANDIDATES,
        Kind.EXECUTION: TURNS,
        Kind.TOOL_CALL: None,
        Kind.EVALUATION: GATES,
    }
)
"""Which list of objects a kind of span has."""


class Vocabulary:
    """The readers of one kind of span under one configuration, shared by all its callables."""

    def __init__(self, kind: Kind, lines: Lines | None = None, *, capture_content: bool = False) -> None:
        self.kind = kind
        self.capture_content = capture_content
        lines = lines or Lines()
        self.at_start = tuple(m for m in lines.fields if not m.at_end and self._allowed(m.field.value))
        self.at_end = tuple(m for m in lines.fields if m.at_end and self._allowed(m.field.value))
        self.readers: Mapping[Root, Reader] = {
            root: Reader(names_of(FIELDS[kind], root, capture_content=capture_content), fresh=root is Root.RESULT)
            for root in Root
        }
        self.item_readers: Mapping[str, Callable[[Any, Attributes], None]] = {
            key: self._item_reader(key, lines) for key in ITEM_FIELDS if any(f.key == key for f in FIELDS[kind])
        }

    def _allowed(self, value: Value) -> bool:
        return self.capture_content or value is not Value.CONTENT

    def _item_reader(self, key: str, lines: Lines) -> Callable[[Any, Attributes], None]:
        names = names_of(ITEM_FIELDS[key], Root.ITEM, capture_content=self.capture_content)
        reader = Reader(names, fresh=True).read
        mapped = lines.items.get(key, ())
        if not mapped:
            return reader

        def read(item: Any, out: Attributes) -> None:
            reader(item, out)
            for line in mapped:
                line.read({"item": item}, out)

        return read


class Plan:
    """How the calls of one callable become spans of one kind.

    `target` says which callables override one another: methods of one name and kind share it. `only` restricts a
    method's plan to some objects; a plan that is not `enabled` records nothing.
    """

    def __init__(
        self, vocabulary: Vocabulary, target: object, function: Any, signature: Signature, fallback_name: str | None
    ) -> None:
        self.kind = kind = vocabulary.kind
        self.vocabulary = vocabulary
        self.target = target
        self.function = function
        self.signature = signature
        self.fallback_name = fallback_name
        self.enabled = True
        self.only: tuple[object, ...] | None = None
        self.plain_type: type | None = None
        """The type of what the last call returned, known to need no step of ours (`wrappers.py`)."""
        # What each call asks for is looked up once: hashing an enum's member runs Python code.
        self.word = kind.value
        self.is_task = kind is Kind.TASK
        self.name_attributes = NAME_ATTRIBUTES[kind]
        self.named_by = {Kind.TOOL_CALL: a.GEN_AI_TOOL_NAME, Kind.EVALUATION: a.EVALUATOR_NAME}.get(kind)
        fixed = _FIXED[kind]
        if self.named_by is not None and not signature.bound and fallback_name is not None:
            fixed = {**fixed, self.named_by: fallback_name}
            self.named_by = None
        self.lists = _LISTS[kind]
        self.owned = signature.owned
        self.captures_arguments = kind is Kind.TOOL_CALL and vocabulary.capture_content
        self.maps_inputs, self.maps_outcome = bool(vocabulary.at_start), bool(vocabulary.at_end)
        self.keeps_inputs = any(m.root in {"self", "args", "kwargs"} for m in vocabulary.at_end)
        read_common: Callable[[Any, Any, Attributes], None] = input_reader(
            kind, signature, vocabulary.readers, fixed, capture_content=vocabulary.capture_content
        )
        self._read_common = read_common
        if not (self.maps_inputs or self.captures_arguments or self.named_by):
            self.read_inputs = read_common  # type: ignore[method-assign, assignment]  # saves most calls a call
        self.read_outcome = vocabulary.readers[Root.RESULT].read

    def read_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Attributes) -> None:
        """Add what the arguments say; what is in `out` already wins."""
        if self.maps_inputs:
            roots = self.roots(args, kwargs)
            for line in self.vocabulary.at_start:
                if line.field.attribute not in out:
                    line.read(roots, out)
        self._read_common(args, kwargs, out)
        named_by = self.named_by
        if named_by is not None and named_by not in out and (name := self.name_of(args)) is not None:
            out[named_by] = name
        if self.captures_arguments and a.GEN_AI_TOOL_CALL_ARGUMENTS not in out and (args or kwargs):
            arguments = tool_arguments(self.signature, args, kwargs)
            if arguments is not None:
                out[a.GEN_AI_TOOL_CALL_ARGUMENTS] = arguments

    def read_list(self, key: str, out: Attributes, *, tools_are_numbered: bool) -> tuple[tuple[str, Attributes], ...]:
        """Turn the list of objects in `out` into arrays there, or into the events that are returned."""
        items = out.pop(key)
        read = self.vocabulary.item_readers[key]
        if key == GATES:
            return tuple([(a.GEN_AI_EVALUATION_EVENT, gate) for gate in composites.gates(items, read)])
        if key == TURNS:
            turns = composites.turns(items, read, tools_are_numbered=tools_are_numbered)
            return tuple([(a.TURN_EVENT, turn) for turn in turns])
        out.update({**composites.candidates(items, read), **out})
        return ()

    def read_candidates(self, items: Any) -> Attributes:
        """Return the parallel arrays of candidates that were given as an argument."""
        return composites.candidates(items, self.vocabulary.item_readers[CANDIDATES])

    def read_mapped(
        self, inputs: Mapping[str, Any] | None, result: Any, error: BaseException | None, out: Attributes
    ) -> None:
        """Add what the mapping file finds in the outcome."""
        roots = {**(inputs or {}), "result": result}
        if error is not None:
            roots["exception"] = error
        for line in self.vocabulary.at_end:
            line.read(roots, out)

    def roots(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the start of each path of a mapping file, for the inputs of a call."""
        named = {p.name: p.value(args, kwargs) for p in self.signature.parameters if p.name}
        own = int(self.owned)
        roots: dict[str, Any] = {
            "args": [*named.values()] if named else list(args[own:]),
            "kwargs": {**named, **kwargs},
        }
        if self.signature.bound and args:
            roots["self"] = args[0]
        return roots

    def name_of(self, args: tuple[Any, ...]) -> str | None:
        """Return what to call the callee: its own name, where that says nothing its object's."""
        name = self.fallback_name
        if self.signature.bound and args and (name is None or name in _GENERIC or self.kind is not Kind.TOOL_CALL):
            own = _own_name(args[0])
            return own if isinstance(own, str) and own else type(args[0]).__name__
        return name

    def span_name(self, out: Attributes, args: tuple[Any, ...]) -> str:
        """Return the span's name: its kind's word, then the type, router, agent, tool or evaluator."""
        for attribute in self.name_attributes:
            if attribute in out:
                return f"{self.word} {out[attribute]}"
        subject = self.name_of(args) if self.kind is Kind.ROUTE else None
        return f"{self.word} {subject}" if subject else self.word


def _own_name(instance: Any) -> Any:
    own = getattr(instance, "__dict__", {}).get("name")
    if own is None:
        own = next((base.__dict__["name"] for base in type(instance).__mro__ if "name" in base.__dict__), None)
    return own

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
_FIXED: Final[Mapping[Kind, Attributes]] = MappingProxyType(
    {
        Kind.TASK: {},
        Kind.ROUTE: {},
        Kind.EXECUTION: {a.GEN_AI_OPERATION_NAME: a.OPERATION_INVOKE_AGENT},
        Kind.TOOL_CALL: {a.GEN_AI_OPERATION_NAME: a.OPERATION_EXECUTE_TOOL},
        Kind.EVALUATION: {},
    }
)


class Vocabulary:
    """The readers of one kind of span under one configuration, shared by all its callables."""

    def __init__(self, kind: Kind, lines: Lines | None = None, *, capture_content: bool = False) -> None:
        self.kind = kind
        self.capture_content = capture_content
        lines = lines or Lines()
        self.at_start = tuple(m for m in lines.fields if not m.at_end and self._allowed(m.field.value))
        self.at_end = tuple(m for m in lines.fields if m.at_end and self._allowed(m.field.value))
        self.readers: Mapping[Root, Reader] = {
            root: Reader(names_of(FIELDS[kind], root, capture_content=capture_content)) for root in Root
        }
        self.item_readers: Mapping[str, Callable[[Any, Attributes], None]] = {
            key: self._item_reader(key, lines) for key in ITEM_FIELDS if any(f.key == key for f in FIELDS[kind])
        }

    def _allowed(self, value: Value) -> bool:
        return self.capture_content or value is not Value.CONTENT

    def _item_reader(self, key: str, lines: Lines) -> Callable[[Any, Attributes], None]:
        reader = Reader(names_of(ITEM_FIELDS[key], Root.ITEM, capture_content=self.capture_content))
        mapped = lines.items.get(key, ())
        if not mapped:
            return reader

        def read(item: Any, out: Attributes) -> None:
            for line in mapped:
                line.read({"item": item}, out)
            reader(item, out)

        return read


class Plan:
    """How the calls of one callable become spans of one kind.

    `target` says which callables override one another: methods of one name and kind share it. `only` restricts a
    method's plan to one object; a plan that is not `enabled` records nothing.
    """

    __slots__ = (
        "enabled",
        "fallback_name",
        "function",
        "keeps_inputs",
        "kind",
        "only",
        "read_common",
        "signature",
        "target",
        "vocabulary",
    )

    def __init__(
        self, vocabulary: Vocabulary, target: object, function: Any, signature: Signature, fallback_name: str | None
    ) -> None:
        self.kind = vocabulary.kind
        self.vocabulary = vocabulary
        self.target = target
        self.function = function
        self.signature = signature
        self.fallback_name = fallback_name
        self.enabled = True
        self.only: object = None
        self.keeps_inputs = any(m.root in {"self", "args", "kwargs"} for m in vocabulary.at_end)
        self.read_common: Callable[[Any, Any, Attributes], None] = input_reader(
            self.kind, signature, vocabulary.readers, capture_content=vocabulary.capture_content
        )

    def read_inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Attributes) -> None:
        """Add what the arguments say; what is in `out` already wins."""
        kind = self.kind
        if self.vocabulary.at_start:
            roots = self.roots(args, kwargs)
            for line in self.vocabulary.at_start:
                if line.field.attribute not in out:
                    line.read(roots, out)
        self.read_common(args, kwargs, out)
        if fixed := _FIXED[kind]:
            out.update(fixed)
        if kind is Kind.TOOL_CALL:
            if a.GEN_AI_TOOL_NAME not in out and (name := self.name_of(args)) is not None:
                out[a.GEN_AI_TOOL_NAME] = name
            out.setdefault(a.GEN_AI_TOOL_TYPE, "function")
            if self.vocabulary.capture_content and a.GEN_AI_TOOL_CALL_ARGUMENTS not in out and (args or kwargs):
                out[a.GEN_AI_TOOL_CALL_ARGUMENTS] = tool_arguments(self.signature, args, kwargs)
        elif kind is Kind.EVALUATION and a.EVALUATOR_NAME not in out and (name := self.name_of(args)) is not None:
            out[a.EVALUATOR_NAME] = name

    def read_result(self, result: Any, out: Attributes, *, tools_are_numbered: bool) -> list[tuple[str, Attributes]]:
        """Add what the outcome says; return the events, as name and attributes, that it lists."""
        events: list[tuple[str, Attributes]] = []
        self.vocabulary.readers[Root.RESULT](result, out)
        read = self.vocabulary.item_readers
        if (items := out.pop(CANDIDATES, None)) is not None:
            for name, value in composites.candidates(items, read[CANDIDATES]).items():
                out.setdefault(name, value)
        if (items := out.pop(GATES, None)) is not None:
            events += [(a.GEN_AI_EVALUATION_EVENT, gate) for gate in composites.gates(items, read[GATES])]
        if (items := out.pop(TURNS, None)) is not None:
            turns = composites.turns(items, read[TURNS], tools_are_numbered=tools_are_numbered)
            events += [(a.TURN_EVENT, turn) for turn in turns]
        return events

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
        own = 1 if self.signature.bound else 0
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
        kind = self.kind
        if kind is Kind.ROUTE:
            subject = self.name_of(args)
        else:
            subject = None
            for attribute in NAME_ATTRIBUTES[kind]:
                subject = out.get(attribute)
                if subject is not None:
                    break
        return f"{kind.value} {subject}" if subject else kind.value


def _own_name(instance: Any) -> Any:
    own = getattr(instance, "__dict__", {}).get("name")
    if own is None:
        own = next((base.__dict__["name"] for base in type(instance).__mro__ if "name" in base.__dict__), None)
    return own

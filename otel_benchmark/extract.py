"""Host objects → attributes, by the common names.

A Reader holds the names that are looked for under one root. For each shape of object it meets (a type; with an
instance `__dict__` or a mapping, the type and its keys) it generates one plain function with one look-up per name
that exists, and keeps it. Generated code costs 18 µs a task where getter closures cost 40 (spec/facts.md).

Only data is looked at: keys of mappings, instance attributes, slots, plain class attributes. Properties and other
descriptors are never run, they may hide a query. An exception means missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from otel_benchmark.fields import Field, Root, Value
from otel_benchmark.values import TEXT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Attributes: TypeAlias = dict[str, Any]
"""Span attributes under construction; what is already there wins over what is found later."""
Plan: TypeAlias = "Callable[[Any, Attributes], None]"

_MAX_KEYS: Final = 64
_MAX_SHAPES: Final = 128
_ITSELF: Final = "."


class Name(NamedTuple):
    """One common name of a field, split into the steps of its path."""

    path: tuple[str, ...]
    field: Field
    negated: bool


def names_of(fields: Iterable[Field], root: Root, *, capture_content: bool) -> tuple[Name, ...]:
    """Return the common names of the fields under a root, field by field, best first."""
    return tuple(
        Name((_ITSELF,) if name == _ITSELF else tuple(name.lstrip("!").split(".")), field, name.startswith("!"))
        for field in fields
        if capture_content or field.value is not Value.CONTENT
        for name in field.names.get(root, ())
    )


class Reader:
    """Reads the fields that have a common name under one root; `read(value, out)` adds them to `out`, never raises.

    `fresh` says that `out` is always empty when it is called, so that generated code need not look what is there.
    """

    __slots__ = ("_direct", "_fresh", "_itself", "_names", "_parts", "_wanted", "read")

    def __init__(self, names: Iterable[Name], *, fresh: bool = False) -> None:
        self._names = tuple(names)
        self._fresh = fresh
        self._itself = tuple(name for name in self._names if name.path == (_ITSELF,))
        self._direct = tuple(name for name in self._names if len(name.path) == 1 and name not in self._itself)
        below: dict[str, list[Name]] = {}
        for name in self._names:
            if len(name.path) > 1:
                below.setdefault(name.path[0], []).append(name._replace(path=name.path[1:]))
        self._parts = {part: Reader(names).read for part, names in below.items()}
        self._wanted = frozenset(name.path[0] for name in self._direct) | frozenset(self._parts)
        self.read: Plan = self._reader()

    def __bool__(self) -> bool:
        return bool(self._names)

    def _reader(self) -> Plan:
        plans: dict[type, Plan] = {}

        def read(value: Any, out: Attributes) -> None:
            kind = type(value)
            try:
                plan = plans.get(kind)
                if plan is None:
                    if len(plans) >= _MAX_SHAPES:
                        plans.clear()  # a host that makes classes as it goes: keep none of them alive
                    plan = plans[kind] = self._plan_for(kind)
                plan(value, out)
            except Exception:  # noqa: BLE001 - host code behind a look-up may raise anything: read name by name
                self._probe(value, out)

        return read

    def _plan_for(self, kind: type) -> Plan:
        if not self._names:
            return _ignore
        if issubclass(kind, dict):
            return self._by_keys({}, "value")
        if issubclass(kind, Mapping):
            return self._probe
        has_dict = "__dict__" in dir(kind) and not issubclass(kind, (type, Enum))
        fixed = {
            name: f"getattr(value, {name!r}, None)"
            for name in self._wanted
            if _is_slot(kind, name) or _is_constant(kind, name)
        }
        if not has_dict:
            return self._compile("value, out", fixed) if fixed or self._itself else _ignore
        declared = _declared(kind)
        if declared is None:
            return self._by_keys(fixed, "value.__dict__")
        if _is_plain(kind):
            # Not through __dict__: asking for it makes CPython build one, which costs more than ten attributes. A
            # field that an instance lacks raises, and `read` goes on name by name.
            found = {
                name: f"value.{name}" for name in declared if name in self._wanted and not _is_computed(kind, name)
            }
            return self._compile("value, out", fixed | found)
        found = {name: f"data.get({name!r})" for name in declared if name in self._wanted}
        return self._compile("value, out", fixed | found, "data = value.__dict__")

    def _by_keys(self, fixed: dict[str, str], data_of: str) -> Plan:
        """Return a plan that generates one function for each set of keys it meets."""
        shapes: dict[tuple[str, ...], Callable[[Any, Any, Attributes], None]] = {}

        def missing(value: Any, data: dict[str, Any], out: Attributes) -> None:
            if len(data) > _MAX_KEYS or len(shapes) >= _MAX_SHAPES:
                self._probe(value, out)
                return
            keys = tuple(data)
            found = {name: f"data[{name!r}]" for name in keys if name in self._wanted}
            shapes[keys] = self._compile("value, data, out", fixed | found)
            shapes[keys](value, data, out)

        lines = [
            f"data = {data_of}",
            f"(shapes.get(tuple(data), missing) if len(data) <= {_MAX_KEYS} else missing)(value, data, out)",
        ]
        return define("value, out", lines, {"shapes": shapes, "missing": missing})

    def _compile(self, parameters: str, source: dict[str, str], *prologue: str) -> Callable[..., None]:
        """Generate the function for one shape: `source` says for each name that exists how to get its value."""
        lines = list(prologue)
        scope: dict[str, Any] = {}
        nested = {name.field.key: index for index, name in enumerate(self._names) if len(name.path) > 1}

        written: set[str] = set()

        def read(names: Iterable[Name], *, first: bool = False) -> None:
            for name in names:
                if name.path[0] in source:
                    new = first and name.field.attribute not in written
                    lines.extend(assignment(name, source[name.path[0]], scope, new=new))
                    written.add(name.field.attribute)

        def after_parts(name: Name) -> bool:
            return nested.get(name.field.key, len(self._names)) < self._names.index(name)

        read((name for name in self._direct if not after_parts(name)), first=self._fresh)
        for index, part in enumerate(part for part in self._parts if part in source):
            scope[f"part{index}"] = self._parts[part]
            lines += [f"v = {source[part]}", f"if v is not None: part{index}(v, out)"]
        read(name for name in self._direct if after_parts(name))
        for name in self._itself:
            lines += assignment(name, "value", scope)
        return define(parameters, lines, scope)

    def _probe(self, value: Any, out: Attributes) -> None:
        for name in self._names:
            if name.field.attribute not in out:
                found = name.field.convert(_follow(value, name.path))
                if found is not None:
                    for attribute in name.field.attributes:
                        out[attribute] = (not found) if name.negated else found


def assignment(name: Name, expression: str, scope: dict[str, Any], *, new: bool = False) -> list[str]:
    """Return the lines that convert `expression` and put it into `out`; they use names that are added to `scope`.

    What is well-formed already, nearly everything, is taken without a call. `new`: `out` can't hold the field yet.
    """
    convert = f"convert_{name.field.value.name.lower()}"
    scope[convert] = name.field.convert
    check = _WELL_FORMED.get(name.field.value, "False")
    absent = "True" if new else f"{name.field.attribute!r} not in out"
    store = "".join(f"out[{attribute!r}] = " for attribute in name.field.attributes) + (
        "not v" if name.negated else "v"
    )
    return [
        f"v = {expression}",
        f"if {check}:",
        f"    if {absent}: {store}",
        f"elif v is not None and {absent}:",
        f"    v = {convert}(v)",
        f"    if v is not None: {store}",
    ]


_WELL_FORMED: Final = {
    Value.IDENTIFIER: f"type(v) is str and v.isascii() and 0 < len(v) <= {TEXT_BYTES}",
    Value.TEXT: f"type(v) is str and v.isascii() and len(v) <= {TEXT_BYTES}",
    Value.NUMBER: "type(v) is float",
    Value.INTEGER: f"type(v) is int and {-(2**63)} <= v < {2**63}",
    Value.FLAG: "v is True or v is False",
}
"""When a value needs no conversion, as an expression."""


def define(parameters: str, lines: list[str], scope: dict[str, Any]) -> Callable[..., None]:
    """Compile a function from lines; everything in it comes from this package's own tables and `repr`."""
    body = "\n".join(f"    {line}" for line in lines) or "    pass"
    exec(compile(f"def plan({parameters}):\n{body}\n", "<otel_benchmark plan>", "exec"), scope)  # noqa: S102
    plan: Callable[..., None] = scope["plan"]
    return plan


def _ignore(value: Any, out: Attributes) -> None:
    """Plan of types that hold nothing to read."""


def _follow(value: Any, path: tuple[str, ...]) -> Any:
    if path == (_ITSELF,):
        return value
    for step in path:
        if value is None:
            return None
        try:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif step in getattr(value, "__dict__", ()):
                value = value.__dict__[step]
            elif _is_slot(type(value), step) or _is_constant(type(value), step):
                value = getattr(value, step)
            else:
                return None
        except Exception:  # noqa: BLE001 - whatever the host's mapping raises means missing
            return None
    return value


def _declared(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a dataclass, attrs or pydantic class; None where instances may differ."""
    if "__dataclass_fields__" in vars(kind):
        return tuple(kind.__dict__["__dataclass_fields__"])
    if "__attrs_attrs__" in vars(kind):
        return tuple(field.name for field in kind.__dict__["__attrs_attrs__"])
    fields = getattr(kind, "__pydantic_fields__", None)
    return tuple(fields) if isinstance(fields, dict) else None


def _static(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _is_slot(kind: type, name: str) -> bool:
    # A namedtuple's fields are C getters of a private type, as harmless as slots.
    member = _static(kind, name)
    return isinstance(member, MemberDescriptorType) or type(member).__name__ == "_tuplegetter"


def _is_plain(kind: type) -> bool:
    own = _static(kind, "__getattribute__")
    return own is object.__dict__["__getattribute__"] and not hasattr(kind, "__getattr__")


def _is_computed(kind: type, name: str) -> bool:
    return hasattr(type(_static(kind, name)), "__get__")


def _is_constant(kind: type, name: str) -> bool:
    member = _static(kind, name)
    return member is not None and not hasattr(type(member), "__get__")

"""A call's arguments → attributes: which parameter is the task, the agent, the decision, and one reader for all.

The roles of parameters are decided once per function, from their names and order. The reader is generated from
them, so that a call costs one plain function without a binding of its arguments.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark import values
from otel_benchmark.attributes import GEN_AI_TOOL_NAME, Kind
from otel_benchmark.extract import Name, Reader, assignment, define, names_of
from otel_benchmark.fields import PARAMETER_ROLES, Root
from otel_benchmark.vocabulary import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_TOOL_INPUTS: Final = frozenset(
    {"arguments", "args", "params", "parameters", "tool_input", "tool_args", "input", "kwargs"}
)
_AGENT_PARAMETERS: Final = frozenset({"agent_id", "agentId", "agent_name", "agentName", "agent"})
_FIRST_IS: Final = {
    Kind.TASK: Root.TASK,
    Kind.ROUTE: Root.TASK,
    Kind.EXECUTION: Root.TASK,
    Kind.EVALUATION: Root.SUBJECT,
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: its position (None = by keyword only) and its default (None = none worth reading)."""

    name: str
    index: int | None
    default: Any = None

    def value(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the argument however it was passed, else the default."""
        if self.index is not None and len(args) > self.index:
            return args[self.index]
        return kwargs.get(self.name, self.default)


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters without `self`; `open_ended` takes any keyword besides."""

    parameters: tuple[Parameter, ...]
    open_ended: bool = False
    owned: bool = False
    """Whether args[0] is `self` or the class of a class method."""
    bound: bool = False
    """Whether args[0] is `self`."""


def signature_of(function: Any, *, owned: bool = False, bound: bool = False) -> Signature:
    """Return the parameters that tell what a call is about; any callable is welcome, one without a signature too."""
    try:
        declared = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        declared = [inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)]
    parameters: list[Parameter] = []
    for index, parameter in enumerate(declared):
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        if parameter.kind is parameter.VAR_POSITIONAL and index <= int(owned):
            parameters.append(Parameter("", max(index, int(owned))))
        elif parameter.kind is parameter.KEYWORD_ONLY:
            parameters.append(Parameter(parameter.name, None, default))
        elif parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD} and not (
            owned and index == 0
        ):
            parameters.append(Parameter(parameter.name, index, default))
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in declared)
    return Signature(tuple(parameters), open_ended, owned, bound)


def roles_of(kind: Kind, signature: Signature) -> dict[Root, list[Parameter]]:
    """Decide what each parameter is; the first one without a telling name is the kind's own subject."""
    direct = {name.path[0] for name in names_of(FIELDS[kind], Root.PARAMETER, capture_content=True)}
    roles: dict[Root, list[Parameter]] = {}
    unnamed: list[Parameter] = []
    for parameter in signature.parameters:
        role = PARAMETER_ROLES.get(parameter.name)
        if role is not None:
            roles.setdefault(role, []).append(parameter)
        elif parameter.name not in direct and parameter.index is not None:
            unnamed.append(parameter)
    if signature.open_ended:
        named = {parameter.name for parameter in signature.parameters}
        for name, role in PARAMETER_ROLES.items():
            if name not in named:
                roles.setdefault(role, []).append(Parameter(name, None))
    first = _FIRST_IS.get(kind)
    if first is not None and unnamed and first not in declared_roles(signature):
        roles.setdefault(first, []).insert(0, unnamed[0])
    return roles


def declared_roles(signature: Signature) -> set[Root]:
    """Return the roles that the function's own parameters have by their names."""
    return {PARAMETER_ROLES[p.name] for p in signature.parameters if p.name in PARAMETER_ROLES}


def input_reader(
    kind: Kind,
    signature: Signature,
    readers: Mapping[Root, Reader],
    fixed: Mapping[str, str],
    *,
    capture_content: bool,
) -> Any:
    """Generate `read(args, kwargs, out)`: parameters by name, objects in the order of their roots, fixed values."""
    lines = ["n = len(args)"]
    scope: dict[str, Any] = {}

    def expression(parameter: Parameter) -> str:
        default = f"default_{parameter.name}"
        scope[default] = parameter.default
        by_name = f"kwargs.get({parameter.name!r}, {default})" if parameter.name else "None"
        return (
            by_name if parameter.index is None else f"args[{parameter.index}] if n > {parameter.index} else {by_name}"
        )

    by_name = {parameter.name: parameter for parameter in signature.parameters if parameter.name}
    for name in _parameter_names(kind, by_name, capture_content=capture_content):
        parameter = by_name.get(name.path[0])
        if parameter is None and signature.open_ended:
            parameter = Parameter(name.path[0], None)
        if parameter is not None:
            lines += assignment(name, expression(parameter), scope)

    roles = roles_of(kind, signature)
    for root in (Root.TASK, Root.AGENT, Root.DECISION, Root.SUBJECT):
        reader = readers.get(root)
        if not reader:
            continue
        scope[f"read_{root.value}"] = reader.read
        for parameter in roles.get(root, ()):
            lines += [f"p = {expression(parameter)}", f"if p is not None: read_{root.value}(p, out)"]
    if signature.bound:
        told = set(by_name) & _AGENT_PARAMETERS or declared_roles(signature) & {Root.AGENT, Root.DECISION}
        own = [Root.SELF] if told else [Root.AGENT, Root.SELF]
        for root in own:
            if readers.get(root):
                scope[f"own_{root.value}"] = readers[root].read
                lines.append(f"if n: own_{root.value}(args[0], out)")
    lines += [f"if {name!r} not in out: out[{name!r}] = {value!r}" for name, value in fixed.items()]
    return define("args, kwargs, out", lines, scope)


def _parameter_names(kind: Kind, by_name: Mapping[str, Parameter], *, capture_content: bool) -> list[Name]:
    names = list(names_of(FIELDS[kind], Root.PARAMETER, capture_content=capture_content))
    if kind is Kind.TOOL_CALL and "name" in by_name and _TOOL_INPUTS & set(by_name):
        # call_tool(name, arguments) names the tool; create_user(name) is a tool with an argument of that name.
        field = next(field for field in FIELDS[kind] if field.attribute == GEN_AI_TOOL_NAME)
        names.append(Name(("name",), field, negated=False))
    return names


def tool_arguments(signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Return a tool call's arguments as JSON: the parameter that holds them all, else every argument by name."""
    for parameter in signature.parameters:
        if parameter.name in _TOOL_INPUTS and (held := parameter.value(args, kwargs)) is not None:
            return values.content(held)
    given = {p.name: p.value(args, kwargs) for p in signature.parameters if p.name}
    return values.content({**given, **kwargs})

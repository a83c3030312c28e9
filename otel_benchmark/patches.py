"""Replaces callables by recording ones where they live, and puts the originals back.

On a class the method is replaced where the target names it and in every subclass that overrides it, those that are
defined later included. A callable instance is recorded through its class, for this one object.
"""

from __future__ import annotations

import inspect
import weakref
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark.wrappers import describe, is_wrapped, plan_for, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_benchmark.attributes import Kind
    from otel_benchmark.environment import Target
    from otel_benchmark.plans import Plan

_ABSENT: Final = object()


class TargetError(Exception):
    """A target that can't be wrapped; the message says why and what to name instead."""


class Patches:
    """What has been replaced, in order; `undo` restores it and silences wrappers that somebody still holds."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._plans: list[Plan] = []

    def undo(self) -> None:
        """Put every original back, the last replacement first."""
        for restore in reversed(self._undo):
            restore()
        for plan in self._plans:
            plan.enabled = False
        self._undo.clear()
        self._plans.clear()

    def plan(self, kind: Kind) -> Plan | None:
        """Return the first plan of a kind."""
        return next((plan for plan in self._plans if plan.kind is kind), None)

    def apply(self, target: Target, module: ModuleType) -> list[str]:
        """Wrap a target in its module; return a description of each callable wrapped, or raise TargetError."""
        *parents, name = target.path.split(".")
        owner: Any = module
        for part in parents:
            owner = _attribute(owner, part, target)
        value = _attribute(owner, name, target)
        if inspect.isclass(owner):
            return self._methods(owner, name, target.kind)
        if inspect.isclass(value):
            if _defining(value, "__call__") is None:
                raise TargetError(f"{target} is a class; name the method to wrap: {target}.method")
            return self._methods(value, "__call__", target.kind)
        if not callable(value):
            raise TargetError(f"{target} is a {type(value).__name__}, which can't be called")
        if not isinstance(owner, ModuleType) and name not in getattr(owner, "__dict__", {}):
            return self._instance(owner, name, target.kind)
        if not inspect.isroutine(value) and isinstance(_defining(type(value), "__call__"), FunctionType):
            return self._instance(value, "__call__", target.kind)
        if is_wrapped(value, target.kind):
            return []
        self._replace(owner, name, wrap(value, self._plan(target.kind, str(target), value)))
        return [f"{target} ({describe(value)})"]

    def _plan(self, kind: Kind, key: str, function: Any, *, owned: bool = False, bound: bool = False) -> Plan:
        plan = plan_for(kind, (kind, key), function, owned=owned, bound=bound)
        self._plans.append(plan)
        return plan

    def _methods(self, cls: type, name: str, kind: Kind) -> list[str]:
        wrapped = [self._method(cls, name, kind, _defining(cls, name))]
        self._watch(cls, name, kind)
        for subclass in _subclasses(cls):
            if name in subclass.__dict__:
                wrapped.append(self._method(subclass, name, kind, subclass.__dict__[name]))
            if "__init_subclass__" in subclass.__dict__:
                self._watch(subclass, name, kind)
        return [text for text in wrapped if text is not None]

    def _method(self, cls: type, name: str, kind: Kind, raw: Any, *, only: object = None) -> str | None:
        inner = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
        if is_wrapped(inner, kind):
            return None
        if not callable(inner):
            raise TargetError(f"{cls.__module__}:{cls.__qualname__}.{name} is a {type(raw).__name__}, not a method")
        method = isinstance(raw, FunctionType)
        plan = self._plan(kind, name, inner, owned=method or isinstance(raw, classmethod), bound=method)
        plan.only = only
        recording = wrap(inner, plan)
        if isinstance(raw, (staticmethod, classmethod)):
            recording = type(raw)(recording)
        self._replace(cls, name, recording)
        prefix = {staticmethod: "static ", classmethod: "class "}.get(type(raw), "")
        what = "method" if describe(inner) == "function" else f"{describe(inner)}"
        return f"{cls.__module__}:{cls.__qualname__}.{name} ({prefix}{what})"

    def _instance(self, instance: Any, name: str, kind: Kind) -> list[str]:
        cls = type(instance)
        text = self._method(cls, name, kind, _defining(cls, name), only=instance)
        return [f"{text} of one object"] if text else []

    def _watch(self, cls: type[Any], name: str, kind: Kind) -> None:
        """Wrap the method of subclasses that are defined from now on."""
        original = cls.__dict__.get("__init_subclass__")

        def __init_subclass__(subclass: type[Any], /, **kwargs: Any) -> None:  # noqa: N807 - it is one
            if original is None:
                super(cls, subclass).__init_subclass__(**kwargs)
            else:
                original.__get__(None, subclass)(**kwargs)
            self._adopt(subclass, name, kind)

        self._replace(cls, "__init_subclass__", classmethod(__init_subclass__))

    def _adopt(self, subclass: type, name: str, kind: Kind) -> None:
        try:
            if name in subclass.__dict__:
                self._method(subclass, name, kind, subclass.__dict__[name])
            if "__init_subclass__" in subclass.__dict__:
                self._watch(subclass, name, kind)
        except Exception:  # noqa: BLE001, S110 - a class statement of the host must not fail because of us
            pass

    def _replace(self, owner: Any, name: str, replacement: Any) -> None:
        original = vars(owner).get(name, _ABSENT)
        try:
            setattr(owner, name, replacement)
        except (AttributeError, TypeError) as error:
            raise TargetError(f"{owner!r} doesn't let its {name} be replaced ({error}); decorate it instead") from error
        # Classes that a host makes and drops must not be kept alive by us.
        owner_of = weakref.ref(owner) if inspect.isclass(owner) else lambda: owner

        def restore() -> None:
            holder = owner_of()
            if holder is None or vars(holder).get(name) is not replacement:
                return  # gone, or patched over by somebody else since
            if original is _ABSENT:
                delattr(holder, name)
            else:
                setattr(holder, name, original)

        self._undo.append(restore)


def _attribute(owner: Any, name: str, target: Target) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        holder = getattr(owner, "__qualname__", getattr(owner, "__name__", type(owner).__name__))
        raise TargetError(f"{target} doesn't exist: {holder} has no {name}") from None


def _defining(cls: type, name: str) -> Any:
    """Return a class's raw attribute, unbound, as the class that defines it holds it; None if only `object` does."""
    for base in cls.__mro__:
        if name in base.__dict__ and base is not object:
            return base.__dict__[name]
    return None


def _subclasses(cls: type) -> Iterator[type]:
    found: list[type] = type.__subclasses__(cls)
    for subclass in found:
        yield subclass
        yield from _subclasses(subclass)

"""Replaces callables by recording ones where they live, and puts the originals back.

On a class the method is replaced where the target names it and in every subclass that overrides it, those that are
defined later included. A callable instance is recorded through its class, for this one object.
"""

from __future__ import annotations

import inspect
import itertools
import weakref
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from otel_benchmark.wrappers import ORIGINAL, describe, plan_for, recording_plan, wrap

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
        # Classes that a host makes and drops must not be kept alive by us, nor what we know of them: an original
        # method may refer to its class, so it is held by its recorder, and the recorder by the class alone.
        self._undo: dict[int, Callable[[], None]] = {}
        self._plans: weakref.WeakValueDictionary[int, Plan] = weakref.WeakValueDictionary()
        self._recorders: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._count = itertools.count()

    def undo(self) -> None:
        """Put every original back, the last replacement first."""
        for restore in reversed(list(self._undo.values())):
            restore()
        for plan in list(self._plans.values()):
            plan.enabled = False
        self._undo.clear()
        self._plans.clear()
        self._recorders.clear()

    def plan(self, kind: Kind) -> Plan | None:
        """Return the first plan of a kind."""
        return next((plan for plan in list(self._plans.values()) if plan.kind is kind), None)

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
        if recording_plan(value, target.kind) is not None:
            return []
        self._replace(owner, name, wrap(value, self._plan(target.kind, str(target), value)))
        return [f"{target} ({describe(value)})"]

    def _plan(self, kind: Kind, key: str, function: Any, *, owned: bool = False, bound: bool = False) -> Plan:
        plan = plan_for(kind, (kind, key), function, owned=owned, bound=bound)
        self._plans[next(self._count)] = plan
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
        inner = _unbound(raw)
        text = f"{cls.__module__}:{cls.__qualname__}.{name}"
        prefix = {staticmethod: "static ", classmethod: "class "}.get(type(raw), "")
        what = "method" if describe(inner) == "function" else describe(inner)
        recorded = recording_plan(inner, kind)
        if recorded is not None and not _wraps_inherited(cls, name, kind, recorded):
            if name in cls.__dict__ and self._recorders.get(id(inner)) is inner:
                # A copy of a class that was wrapped: `slots=True` of dataclasses and attrs makes one.
                self._restore_later(cls, name, inner)
            return f"{text} ({prefix}{what})" if _extend(recorded, only) else None
        if not callable(inner):
            raise TargetError(f"{text} is a {type(raw).__name__}, not a method")
        method = isinstance(raw, FunctionType)
        plan = self._plan(kind, name, inner, owned=method or isinstance(raw, classmethod), bound=method)
        plan.only = None if only is None else (only,)
        recording = wrap(inner, plan)
        if isinstance(raw, (staticmethod, classmethod)):
            recording = type(raw)(recording)
        self._replace(cls, name, recording)
        return f"{text} ({prefix}{what})"

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
        recorder = _unbound(replacement)
        setattr(recorder, ORIGINAL, original)
        self._recorders[id(recorder)] = recorder
        self._restore_later(owner, name, recorder)

    def _restore_later(self, owner: Any, name: str, recorder: Any) -> None:
        key = next(self._count)
        forget = self._undo.pop
        owner_of = weakref.ref(owner, lambda _: forget(key, None)) if inspect.isclass(owner) else lambda: owner
        recorder_of = weakref.ref(recorder)

        def restore() -> None:
            holder, made = owner_of(), recorder_of()
            if holder is None or made is None or _unbound(vars(holder).get(name)) is not made:
                return  # gone, or patched over by somebody else since
            original = getattr(made, ORIGINAL)
            if original is _ABSENT:
                delattr(holder, name)
            else:
                setattr(holder, name, original)

        self._undo[key] = restore


def _extend(plan: Plan, only: object) -> bool:
    """Let a plan that records some objects alone record one more, None meaning all; tell whether it changed."""
    if plan.only is None or any(only is each for each in plan.only):
        return False
    plan.only = None if only is None else (*plan.only, only)
    return True


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


def _unbound(raw: Any) -> Any:
    return raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw


def _wraps_inherited(cls: type, name: str, kind: Kind, plan: Plan) -> bool:
    """Tell an override that looks recorded because `functools.wraps(Base.method)` copied our mark onto it."""
    return name in cls.__dict__ and any(
        recording_plan(_unbound(base.__dict__[name]), kind) is plan for base in cls.__mro__[1:] if name in base.__dict__
    )


def _subclasses(cls: type) -> Iterator[type]:
    found: list[type] = type.__subclasses__(cls)
    for subclass in found:
        yield subclass
        yield from _subclasses(subclass)

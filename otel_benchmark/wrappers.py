"""Callables → callables of the same kind that record their calls.

A coroutine function stays a native one, so do generator and async generator functions; name, signature and
attributes are the original's, and the wrapper pickles by its name as the original did. What a plain function
returns is looked at: a coroutine, generator or future keeps the span open until it ends. One difference remains: a
coroutine or generator function called with wrong arguments raises its TypeError at the first step, not at the call.
"""

from __future__ import annotations

import functools
import inspect
from types import AsyncGeneratorType, CoroutineType, FunctionType, GeneratorType, coroutine
from typing import TYPE_CHECKING, Any, Final

import wrapt

from otel_benchmark.inputs import signature_of
from otel_benchmark.opening import open_span
from otel_benchmark.plans import Plan
from otel_benchmark.runtime import RUNTIME
from otel_benchmark.steps import Untracked, async_generator_function, defer, generator_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_benchmark.attributes import Kind
    from otel_benchmark.extract import Attributes
    from otel_benchmark.steps import Active

MARK: Final = "__otel_benchmark_plan__"
"""On a wrapper: its plan. What carries it is wrapped already."""
ORIGINAL: Final = "__otel_benchmark_original__"
"""On a wrapper that replaces something: what was there before."""
_UNTRACKED: Final = Untracked()


def describe(function: Any) -> str:
    """Return what kind of callable this is, in the words of `plugin check`."""
    if inspect.isasyncgenfunction(function):
        return "async generator function"
    if inspect.iscoroutinefunction(function):
        return "coroutine function"
    if inspect.isgeneratorfunction(function):
        return "generator function"
    return "function" if inspect.isroutine(function) else f"callable {type(function).__name__}"


def recording_plan(function: Any, kind: Kind) -> Plan | None:
    """Return the plan by which calls of this callable are recorded as spans of this kind already."""
    while function is not None:
        proxied = isinstance(function, _RecordingProxy)
        plan: Plan | None = getattr(function, MARK) if proxied else getattr(function, "__dict__", {}).get(MARK)
        if plan is not None and plan.kind is kind and plan.enabled:
            return plan
        function = getattr(function, "__wrapped__", None)
    return None


def plan_for(kind: Kind, target: object, function: Any, *, owned: bool = False, bound: bool = False) -> Plan:
    """Build the plan of a callable. `owned`: its first parameter is `self` or the class; `bound`: it is `self`."""
    signature = signature_of(function, owned=owned, bound=bound)
    return Plan(RUNTIME.vocabulary(kind), target, function, signature, getattr(function, "__name__", None))


def wrap(function: Any, plan: Plan, given: Attributes | None = None) -> Any:
    """Return the recording callable; `given` are attributes that every call's span gets."""
    if not isinstance(function, FunctionType):
        return _proxy(function, plan, given)
    flags = function.__code__.co_flags
    if flags & inspect.CO_ASYNC_GENERATOR:
        wrapper = async_generator_function(_starter(function, plan, given))
    elif flags & inspect.CO_COROUTINE:
        wrapper = _coroutine(function, plan, given)
    elif flags & inspect.CO_GENERATOR:
        wrapper = generator_function(_starter(function, plan, given))
        if flags & inspect.CO_ITERABLE_COROUTINE:
            wrapper = coroutine(wrapper)
    else:
        wrapper = _function(function, plan, given)
    functools.update_wrapper(wrapper, function)
    setattr(wrapper, MARK, plan)
    return wrapper


def _function(function: Callable[..., Any], plan: Plan, given: Attributes | None) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        active = open_span(plan, args, kwargs, given)
        if active is None:
            return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            active.close(None, error)
            raise
        if type(result) is not plan.plain_type:
            if _runs_on(result):
                return defer(result, active)
            plan.plain_type = type(result)
        active.close(result)
        return result

    return wrapper


def _coroutine(function: Callable[..., Any], plan: Plan, given: Attributes | None) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        active = open_span(plan, args, kwargs, given)
        if active is None:
            return await function(*args, **kwargs)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            active.close(None, error)
            raise
        active.close(result)
        return result

    return wrapper


def _starter(function: Callable[..., Any], plan: Plan, given: Attributes | None) -> Callable[..., tuple[Any, Active]]:
    def start(*args: Any, **kwargs: Any) -> tuple[Any, Active]:
        body = function(*args, **kwargs)
        active = open_span(plan, args, kwargs, given)
        if active is None:
            return body, _UNTRACKED
        active.leave()
        return body, active

    return start


def _proxy(function: Any, plan: Plan, given: Attributes | None) -> Any:
    """Wrap a callable that is no function: a proxy keeps its other attributes (`cache_info` of a cached one)."""

    def call(wrapped: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _function(wrapped, plan, given)(*args, **kwargs)

    proxy = _RecordingProxy(function, call)
    setattr(proxy, MARK, plan)
    return proxy


class _RecordingProxy(wrapt.FunctionWrapper):  # type: ignore[type-arg]  # generic to the type checker only
    """A recording callable that is no function; it pickles as what it wraps, by name where that does."""

    # Set on the class, they are kept by the proxy itself instead of by what it wraps.
    __otel_benchmark_plan__: Plan | None = None
    __otel_benchmark_original__: Any = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)


def _runs_on(result: Any) -> bool:
    kind = type(result)
    # By identity: a metaclass of the host may make its types unhashable.
    if kind is CoroutineType or kind is GeneratorType or kind is AsyncGeneratorType:
        return True
    try:
        return hasattr(kind, "add_done_callback") and hasattr(kind, "cancelled")
    except Exception:  # noqa: BLE001 - a metaclass of the host may raise anything
        return False

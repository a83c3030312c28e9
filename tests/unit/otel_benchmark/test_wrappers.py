"""What the host gets stays what it was: kind, signature, results, exceptions, pickles; and every call has its span."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from support.functions import FUNCTIONS, NAMES

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Target

CHECKS: list[Callable[[Any], bool]] = [
    inspect.isfunction,
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    asyncio.iscoroutinefunction if sys.version_info < (3, 12) else inspect.iscoroutinefunction,
    callable,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrapped_function_is_of_the_same_kind(telemetry, host, name):
    module = host(FUNCTIONS, execute=name)
    wrapped, original = getattr(module, name), module.ORIGINALS[name]
    assert wrapped is not original
    assert [check(wrapped) for check in CHECKS] == [check(original) for check in CHECKS]
    assert inspect.signature(wrapped) == inspect.signature(original)
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(wrapped, attribute) == getattr(original, attribute)
    assert bool(wrapped.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE) == (name == "old_coroutine")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_call_returns_is_of_the_same_type(telemetry, host, name):
    module = host(FUNCTIONS, execute=name)
    result, expected = getattr(module, name)({}), module.ORIGINALS[name]({})
    assert type(result) is type(expected)
    assert getattr(result, "__name__", None) == getattr(expected, "__name__", None)
    assert inspect.isawaitable(result) == inspect.isawaitable(expected)
    for each in (result, expected):
        if hasattr(each, "close"):
            each.close()


def run(module: Any, name: str) -> Any:
    """Drive a callable to its end and return the id of the span that was current in its body."""

    async def iterate() -> Any:
        return await anext(take(module.async_generator({})))

    async def take(items):
        yield await items.__anext__()
        with pytest.raises(StopAsyncIteration):
            await items.asend("stop")

    match name:
        case "function":
            return module.function({})
        case "generator":
            items = module.generator({})
            first = next(items)
            with pytest.raises(StopIteration) as stopped:
                items.send("stop")
            assert stopped.value.value == "returned"
            return first
        case "async_generator":
            return asyncio.run(iterate())
        case "old_coroutine":

            async def await_it() -> Any:
                return await module.old_coroutine({})

            return asyncio.run(await_it())
        case _:
            return asyncio.run(getattr(module, name)({}))


@pytest.mark.parametrize("name", NAMES)
def test_the_span_is_current_in_the_body_and_ended_after_it(telemetry, host, name):
    module = host(FUNCTIONS, execute=name)
    inside = run(module, name)
    assert telemetry.one("invoke_agent").context.span_id == inside
    assert not trace.get_current_span().get_span_context().is_valid


ERRORS = """
import asyncio
def function(task, error): raise error
async def coroutine(task, error):
    await asyncio.sleep(0)
    raise error
def generator(task, error):
    yield 1
    raise error
async def async_generator(task, error):
    yield 1
    raise error
"""


@pytest.mark.parametrize("name", ["function", "coroutine", "generator", "async_generator"])
@pytest.mark.parametrize(
    "error", [ValueError("why"), asyncio.CancelledError("stop"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()]
)
def test_the_hosts_exception_comes_out_unchanged(telemetry, host, name, error):
    module = host(ERRORS, execute=name)
    error.__cause__ = cause = LookupError("before")

    def call() -> None:
        if name == "function":
            module.function({}, error)
        elif name == "generator":
            list(module.generator({}, error))
        elif name == "coroutine":
            coroutine = module.coroutine({}, error)
            coroutine.send(None)
            coroutine.send(None)
        else:
            items = module.async_generator({}, error)
            for _ in range(2):
                with pytest.raises(StopIteration):
                    items.__anext__().send(None)

    with pytest.raises(type(error)) as caught:
        call()
    assert caught.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None
    span = telemetry.one("invoke_agent")
    if isinstance(error, GeneratorExit):
        assert span.status.status_code is StatusCode.UNSET
    else:
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes[a.ERROR_TYPE].endswith(type(error).__name__)
        assert [event.name for event in span.events] == ["exception"]


def test_stop_iteration_of_a_plain_function_is_the_hosts(telemetry, host):
    module = host("def step(task): raise StopIteration(5)", execute="step")
    with pytest.raises(StopIteration) as stopped:
        module.step({})
    assert stopped.value.value == 5


def test_an_exception_is_described_without_its_stack_and_shortened(telemetry, host):
    module = host("class Error(Exception): pass\ndef f(task): raise Error('x' * 5000)", execute="f")
    with pytest.raises(module.Error):
        module.f({})
    span = telemetry.one("invoke_agent")
    (event,) = span.events
    assert set(event.attributes) == {a.EXCEPTION_TYPE, a.EXCEPTION_MESSAGE}
    assert span.attributes[a.ERROR_TYPE].endswith(".Error")
    assert len(event.attributes[a.EXCEPTION_MESSAGE]) < 2048
    assert len(span.status.description) < 2048


# -- Other callables ---------------------------------------------------------------------------------------------


def test_wrapped_functions_pickle_by_name(telemetry, host, monkeypatch):
    module = host(FUNCTIONS.replace("__main__", "host"), execute="function")
    monkeypatch.setitem(sys.modules, "host", module)
    module.function.__module__ = "host"
    assert pickle.loads(pickle.dumps(module.function)) is module.function


def test_a_cached_function_keeps_its_other_attributes(telemetry, host):
    module = host(
        """
        import functools
        @functools.lru_cache
        def pick(task): return "a-1"
        partial = functools.partial(pick, "t")
        """,
        route="pick",
        execute="partial",
    )
    assert module.pick("x") == module.pick("x") == "a-1"
    assert module.pick.cache_info().hits == 1
    assert isinstance(module.partial, functools.partial)
    assert module.partial() == "a-1"
    assert telemetry.names == ["route pick", "route pick", "invoke_agent"]


def test_a_cached_function_is_wrapped_once_and_pickles_by_name(telemetry, host, monkeypatch):
    module = host("import functools\n@functools.lru_cache\ndef pick(task): return 'a-1'", route="pick")
    assert module.patches.apply(Target(Kind.ROUTE, "host", "pick"), module) == []
    monkeypatch.setitem(sys.modules, "host", module)
    module.pick.__module__ = "host"
    assert pickle.loads(pickle.dumps(module.pick)) is module.pick
    module.pick("t")
    assert telemetry.names == ["route pick"]


def test_a_call_with_wrong_arguments_fails_as_before(telemetry, host):
    module = host(FUNCTIONS, execute="function")
    with pytest.raises(TypeError, match="function"):
        module.function()

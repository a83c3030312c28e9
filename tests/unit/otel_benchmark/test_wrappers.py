"""What the host gets stays what it was: kind, signature, results, exceptions, pickles; and every call has its span."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import gc
import inspect
import pickle
import subprocess
import sys
import textwrap
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from otel_benchmark import attributes as a
from otel_benchmark.attributes import Kind
from otel_benchmark.environment import Target

FUNCTIONS = """
import asyncio, types
from opentelemetry import trace

def current(): return trace.get_current_span().get_span_context().span_id

def function(task, *, flag=True):
    "Doc."
    return current()
async def coroutine(task, *, flag=True):
    "Doc."
    await asyncio.sleep(0)
    return current()
def generator(task, *, flag=True):
    "Doc."
    got = yield current()
    while got != "stop":
        got = yield got
    return "returned"
async def async_generator(task, *, flag=True):
    "Doc."
    got = yield current()
    while got != "stop":
        await asyncio.sleep(0)
        got = yield got
@types.coroutine
def old_coroutine(task, *, flag=True):
    "Doc."
    yield
    return current()
NAMES = ["function", "coroutine", "generator", "async_generator", "old_coroutine"]
ORIGINALS = {name: globals()[name] for name in NAMES}
"""
NAMES = ["function", "coroutine", "generator", "async_generator", "old_coroutine"]
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


# -- Generators --------------------------------------------------------------------------------------------------

GENERATORS = """
from opentelemetry import trace
seen = []
def current(): return trace.get_current_span().get_span_context().span_id
def stubborn(task):
    try: yield 1
    except GeneratorExit: yield "no"
def careful(task):
    try:
        yield 1
    finally:
        seen.append(current())
def catching(task):
    while True:
        try:
            yield current()
        except ValueError as error:
            yield str(error)
def closing(task):
    try: yield 1
    except GeneratorExit: return "closed"
async def async_careful(task):
    try:
        yield 1
        yield 2
    finally:
        seen.append(current())
"""


def test_the_consumer_never_sees_the_generators_span(telemetry, host):
    module = host(FUNCTIONS, execute="generator")
    items = module.generator({})
    first = next(items)
    assert not trace.get_current_span().get_span_context().is_valid
    assert items.send("x") == "x"
    assert not trace.get_current_span().get_span_context().is_valid
    items.close()
    assert telemetry.one("invoke_agent").context.span_id == first


def test_the_consumer_never_sees_the_async_generators_span(telemetry, host):
    module = host(FUNCTIONS, execute="async_generator")

    async def consume() -> None:
        items = module.async_generator({})
        await items.__anext__()
        assert not trace.get_current_span().get_span_context().is_valid
        assert await items.asend("x") == "x"
        assert not trace.get_current_span().get_span_context().is_valid
        await items.aclose()

    asyncio.run(consume())
    assert len(telemetry.spans) == 1


def test_exceptions_are_thrown_into_the_body(telemetry, host):
    module = host(GENERATORS, execute="catching")
    contexts = []
    for items in (module.catching({}), module.catching.__wrapped__({})):
        next(items)
        assert items.throw(ValueError("in")) == "in"
        with pytest.raises(KeyError) as caught:
            items.throw(KeyError("out"))
        contexts.append(repr(caught.value.__context__))
    assert contexts[0] == contexts[1]
    assert telemetry.one("invoke_agent").attributes[a.ERROR_TYPE] == "KeyError"


def test_a_generator_that_ignores_its_end_is_the_hosts_error(telemetry, host):
    items = host(GENERATORS, execute="stubborn").stubborn({})
    next(items)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        items.close()
    assert not telemetry.spans
    items.close()
    assert telemetry.names == ["invoke_agent"]


@pytest.mark.parametrize("end", ["close", "throw"])
def test_a_generator_may_answer_its_end(telemetry, host, end):
    module = host(GENERATORS, execute="closing")
    items, original = module.closing({}), module.closing.__wrapped__({})
    outcomes = []
    for each in (items, original):
        next(each)
        try:
            outcomes.append(each.close() if end == "close" else each.throw(GeneratorExit()))
        except StopIteration as stopped:
            outcomes.append(("stopped", stopped.value))
    assert outcomes[0] == outcomes[1]


def test_an_abandoned_generator_is_finished_and_its_span_ended(telemetry, host):
    module = host(GENERATORS, execute="careful")
    items = module.careful({})
    next(items)
    del items
    gc.collect()
    assert module.seen == [telemetry.one("invoke_agent").context.span_id]


def test_an_abandoned_async_generator_is_finished_by_its_loop(telemetry, host, recwarn):
    module = host(GENERATORS, execute="async_careful")
    problems = []

    async def consume() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        async for _ in module.async_careful({}):
            break
        gc.collect()
        await asyncio.sleep(0.01)

    asyncio.run(consume())
    assert module.seen == [telemetry.one("invoke_agent").context.span_id]
    assert not problems


def test_an_async_generator_left_to_the_loops_shutdown_is_closed_once(telemetry, host):
    module = host(GENERATORS, execute="async_careful")
    problems, kept = [], []

    async def consume() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem))
        items = module.async_careful({})
        kept.append(items)
        await items.__anext__()

    asyncio.run(consume())
    assert module.seen == [telemetry.one("invoke_agent").context.span_id]
    assert not problems


def test_an_async_generator_may_be_stepped_by_two_tasks(telemetry, host):
    module = host(FUNCTIONS, execute="async_generator")

    async def consume() -> None:
        items = module.async_generator({})

        async def step(value: str | None) -> object:
            return await items.asend(value)

        await asyncio.create_task(step(None))
        assert await asyncio.create_task(step("two")) == "two"
        await items.aclose()

    asyncio.run(consume())
    assert len(telemetry.spans) == 1


def test_cancellation_inside_a_step_reaches_the_body(telemetry, host):
    module = host(
        """
        import asyncio
        ended = []
        async def stream(task):
            try:
                yield 1
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
        """,
        execute="stream",
    )

    async def consume() -> None:
        async def body() -> None:
            async for _ in module.stream({}):
                pass

        task = asyncio.create_task(body())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(consume())
    assert module.ended == ["cancelled"]
    assert telemetry.one("invoke_agent").attributes[a.ERROR_TYPE] == "asyncio.exceptions.CancelledError"


def test_a_generators_outcome_is_its_return_value_or_its_last_item(telemetry, host):
    module = host(
        """
        def returning(task):
            yield {"success": False}
            return {"success": True}
        def yielding(task):
            yield {"success": False}
            yield {"success": True, "cost_usd": 0.5}
        """,
        execute="returning",
        tool="yielding",
    )
    assert list(module.returning({})) == [{"success": False}]
    list(module.yielding({}))
    assert telemetry.attributes("invoke_agent")[a.EXECUTION_SUCCESS] is True
    assert telemetry.attributes("execute_tool")[a.TOOL_SUCCESS] is True


# -- What a plain function returns -------------------------------------------------------------------------------

RETURNING = (
    FUNCTIONS
    + """
import concurrent.futures
def gives_coroutine(task): return coroutine(task)
def gives_generator(task): return generator(task)
def gives_async_generator(task): return async_generator(task)
def gives_task(task): return asyncio.ensure_future(work())
async def work():
    await asyncio.sleep(0.01)
    return {"success": True}
def gives_future(task, pool): return pool.submit(lambda: {"success": True})
def gives_failure(task): return asyncio.ensure_future(failing())
async def failing(): raise ValueError("late")
"""
)


def test_a_returned_coroutine_is_native_and_holds_the_span_open(telemetry, host):
    module = host(RETURNING, execute="gives_coroutine")
    coroutine = module.gives_coroutine({})
    assert isinstance(coroutine, types.CoroutineType)
    assert not telemetry.spans
    assert not trace.get_current_span().get_span_context().is_valid
    assert asyncio.run(coroutine) == telemetry.one("invoke_agent").context.span_id


def test_a_returned_generator_is_native_and_holds_the_span_open(telemetry, host):
    module = host(RETURNING, execute="gives_generator")
    items = module.gives_generator({})
    assert isinstance(items, types.GeneratorType)
    inside = next(items)
    assert not telemetry.spans
    items.close()
    assert telemetry.one("invoke_agent").context.span_id == inside


def test_a_returned_async_generator_is_native_and_holds_the_span_open(telemetry, host):
    module = host(RETURNING, execute="gives_async_generator")

    async def consume() -> Any:
        items = module.gives_async_generator({})
        assert isinstance(items, types.AsyncGeneratorType)
        inside = await anext(items)
        assert not telemetry.spans
        await items.aclose()
        return inside

    assert asyncio.run(consume()) == telemetry.one("invoke_agent").context.span_id


def test_what_is_never_started_closes_its_span_when_it_is_thrown_away(telemetry, host):
    module = host(RETURNING, execute="gives_coroutine", tool="gives_generator")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module.gives_coroutine({})
        gc.collect()
    assert [str(warning.message) for warning in caught] == ["coroutine 'coroutine' was never awaited"]
    module.gives_generator({})
    gc.collect()
    assert len(telemetry.spans) == 2


def test_a_returned_future_is_handed_on_and_ends_the_span_when_done(telemetry, host):
    module = host(RETURNING, execute="gives_task", tool="gives_future")

    async def consume() -> None:
        task = module.gives_task({})
        assert isinstance(task, asyncio.Task)
        assert not telemetry.spans
        await task
        await asyncio.sleep(0)

    asyncio.run(consume())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert module.gives_future({}, pool).result() == {"success": True}
    assert telemetry.attributes("invoke_agent")[a.EXECUTION_SUCCESS] is True
    assert telemetry.attributes("execute_tool")[a.TOOL_SUCCESS] is True


def test_asyncio_still_tells_the_host_of_a_lost_exception(telemetry, host):
    module = host(RETURNING, execute="gives_failure")
    problems = []

    async def consume() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, problem: problems.append(problem["message"]))
        module.gives_failure({})
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(consume())
    assert problems == ["Task exception was never retrieved"]
    assert telemetry.attributes("invoke_agent")[a.ERROR_TYPE] == "ValueError"


def test_a_returned_generator_that_can_be_awaited_stays_so(telemetry, host):
    module = host(
        """
        import types
        @types.coroutine
        def awaitable(task):
            yield
            return {"success": True}
        def gives_awaitable(task): return awaitable(task)
        """,
        execute="gives_awaitable",
    )

    async def consume() -> Any:
        return await module.gives_awaitable({})

    assert asyncio.run(consume()) == {"success": True}
    assert telemetry.attributes("invoke_agent")[a.EXECUTION_SUCCESS] is True


def test_an_abandoned_returned_generator_leaves_its_consumers_span_current(telemetry, host):
    module = host(RETURNING, execute="gives_generator")
    with telemetry.provider.get_tracer("host").start_as_current_span("outer") as outer:
        for _ in module.gives_generator({}):
            break
        gc.collect()
        assert trace.get_current_span() is outer
    assert telemetry.one("invoke_agent").parent.span_id == outer.get_span_context().span_id


def test_a_returned_coroutine_still_running_at_exit_is_left_to_the_host(tmp_path):
    program = tmp_path / "host.py"
    program.write_text(
        textwrap.dedent(
            """
            import asyncio, threading
            from otel_benchmark import execution
            started = threading.Event()
            async def serve():
                try:
                    started.set()
                    await asyncio.Event().wait()
                finally:
                    print("closed by somebody")
            @execution
            def run(): return serve()
            threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
            started.wait()
            """
        ),
        "utf-8",
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("add_done_callback", "result", "error"),
    [("raise RuntimeError('closed')", "return 1", None), ("done(self)", "raise KeyError('x')", "KeyError")],
)
def test_a_future_of_another_making_can_not_fail_the_call(telemetry, host, add_done_callback, result, error):
    module = host(
        f"""
        class Future:
            def add_done_callback(self, done): {add_done_callback}
            def cancelled(self): return False
            def result(self): {result}
        future = Future()
        def run(): return future
        """,
        execute="run",
    )
    assert module.run() is module.future
    assert telemetry.attributes("invoke_agent").get(a.ERROR_TYPE) == error


@pytest.mark.parametrize(
    "metaclass", ["def __eq__(cls, other): return cls is other", "def __getattr__(cls, name): raise RuntimeError(name)"]
)
def test_a_returned_objects_type_can_not_fail_the_call(telemetry, host, metaclass):
    module = host(
        f"""
        class Meta(type):
            {metaclass}
        class Result(metaclass=Meta):
            pass
        def run(): return Result()
        """,
        execute="run",
    )
    assert type(module.run()) is module.Result
    assert telemetry.names == ["invoke_agent"]


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

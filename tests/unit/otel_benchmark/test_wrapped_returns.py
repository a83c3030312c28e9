"""What a wrapped plain function returns is handed on as it is, and holds its span open where it runs later."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import subprocess
import sys
import textwrap
import types
import warnings
from typing import Any

import pytest
from opentelemetry import trace
from support.functions import FUNCTIONS

from otel_benchmark import attributes as a

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
